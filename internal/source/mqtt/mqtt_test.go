package mqtt

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gatecast/gatecast"
)

const recordTopic = "gatecast/SPS-1/record"

var full = &gatecast.Error{Code: gatecast.Unavailable, Message: "the disk is full"}

// hold makes the journal answer nothing until the returned function is called.
func (s *site) hold() (release func()) {
	gate := make(chan struct{})
	s.set(func() { s.gate = gate })
	return func() { close(gate) }
}

func TestAMessageIsAcknowledgedWhenItsEventIsOnDisk(t *testing.T) {
	s := newSite(t, Options{})
	release := s.hold()
	p := s.connect("gate", "door-1")
	p.send(publishPacket(1, 7, recordTopic, recordOf(41)))
	p.send([]byte{0xc0, 0}) // its answer comes behind the acknowledgement
	if got := s.stored(); got != nil {
		t.Fatalf("stored too early: %v", got)
	}
	release()
	p.expect("40020007" + "d000")
	if diff := cmp.Diff([]string{"record:SPS-1:41"}, s.stored()); diff != "" {
		t.Error(diff)
	}
	e := s.events[0]
	if e.Source != "mqtt" || e.Device != "SPS-1" || e.Kind != gatecast.Record || !strings.Contains(string(e.Data), `"sn":"SPS-1"`) {
		t.Errorf("stored %+v with %s", e, e.Data)
	}
}

func TestMessagesInFlightAreStoredTogetherAndInOrder(t *testing.T) {
	s := newSite(t, Options{})
	release := s.hold()
	p := s.connect("gate", "door-1")
	const n = 200
	var want []string
	var acks strings.Builder
	size := 0
	for i := 1; i <= n; i++ {
		packet := publishPacket(1, i, recordTopic, recordOf(i))
		p.send(packet)
		size += len(packet) - 2
		want = append(want, fmt.Sprintf("record:SPS-1:%d", i))
		fmt.Fprintf(&acks, "4002%04x", i)
	}
	eventually(t, "all are read", func() bool { return s.budget.spent() == int64(size) })
	release()
	p.expect(acks.String())
	if diff := cmp.Diff(want, s.stored()); diff != "" {
		t.Error(diff)
	}
	if s.calls > 2 {
		t.Errorf("%d calls for %d events, of which all but the first came while that was stored", s.calls, n)
	}
}

func TestRubbishIsKeptAndAcknowledgedInItsTurn(t *testing.T) {
	s := newSite(t, Options{Limits: Limits{Packet: 1024}})
	release := s.hold()
	p := s.connect("gate", "door-1")
	p.send(
		publishPacket(1, 1, recordTopic, recordOf(1)),
		publishPacket(1, 2, recordTopic, "\xff\x00"),
		publishPacket(1, 3, "elsewhere", "text"),
		publishPacket(2, 4, recordTopic, `{"remark":"`+strings.Repeat("x", 200<<10)+`"}`),
		publishPacket(1, 5, recordTopic, `{"id":5,"remark":"unstorable"}`),
		publishPacket(0, 0, recordTopic, `{"id":`),
		publishPacket(1, 6, recordTopic, recordOf(6)),
	)
	release()
	p.expect("40020001" + "40020002" + "40020003" + "50020004" + "40020005" + "40020006")
	if diff := cmp.Diff([]string{"record:SPS-1:1", "record:SPS-1:6"}, s.stored()); diff != "" {
		t.Error(diff)
	}
	var got []string
	for _, q := range s.quarantined() {
		got = append(got, fmt.Sprintf("%s %.20s: %.40s", q.Source, q.Body, q.Reason))
		if len(q.Body) > maxControl {
			t.Errorf("%d bytes of a message that is too large were kept", len(q.Body))
		}
	}
	want := []string{
		"mqtt:SPS-1/record \xff\x00: the payload is not one JSON object",
		`mqtt text: there is no topic "elsewhere"; events co`,
		`mqtt:SPS-1/record {"remark":"xxxxxxxxx: the message has more than 1024 bytes (mq`,
		`mqtt:SPS-1/record {"id":5,"remark":"un: the journal does not take it: this one n`,
		`mqtt:SPS-1/record {"id":: /id: the body ends in the middle of a JS`,
	}
	slices.Sort(got) // what the journal does not take is known before what was not understood is kept
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEachQualityHasItsAnswers(t *testing.T) {
	s := newSite(t, Options{})
	p := s.connect("site", "")
	p.send(publishPacket(0, 0, "gatecast/A/record", recordOf(1)), publishPacket(1, 2, "gatecast/B/record", recordOf(1)))
	p.expect("40020002")
	second := publishPacket(2, 3, "gatecast/A/alarm", `{"id":7,"status":1}`)
	p.send(second)
	p.expect("50020003")
	second[0] |= 0x08 // it did not hear the answer
	p.send(second, packetOf(0x62, number(3)))
	p.expect("50020003" + "70020003")
	p.send(packetOf(0x62, number(9))) // of before a restart
	p.expect("70020009")
	if diff := cmp.Diff([]string{"record:A:1", "record:B:1", "alarm:A:7:1"}, s.stored()); diff != "" {
		t.Error(diff)
	}
	p.send([]byte{0xe0, 0})
	p.closed()
}

func TestNobodyCanSubscribe(t *testing.T) {
	s := newSite(t, Options{})
	p := s.connect("site", "spy")
	p.send(packetOf(0x82, number(5), textOf("gatecast/#"), []byte{1}, textOf("#"), []byte{0}))
	p.expect("9004" + "0005" + "8080")
	p.send(packetOf(0xa2, number(6), textOf("gatecast/#")))
	p.expect("b0020006")
	other := s.connect("site", "door")
	other.send(publishPacket(1, 1, "gatecast/A/record", recordOf(1)))
	other.expect("40020001")
	p.send([]byte{0xc0, 0})
	p.expect("d000")
}

func TestWhileTheJournalTakesNothingNothingIsAcknowledgedAndNothingLost(t *testing.T) {
	s := newSite(t, Options{StoreTimeout: 300 * time.Millisecond})
	p := s.connect("gate", "door-1")
	other := s.connect("gate", "door-2")
	s.set(func() { s.full = full })
	p.send(publishPacket(1, 1, recordTopic, recordOf(1)), publishPacket(0, 0, recordTopic, recordOf(2)), []byte{0xc0, 0})
	p.closed()
	refused := s.dial()
	refused.send(connectPacket("gate", password, "door-1"))
	refused.expect("20020003")
	refused.closed()
	if got := s.stored(); got != nil {
		t.Fatalf("stored %v", got)
	}
	s.set(func() { s.full = nil })
	other.send([]byte{0xc0, 0}) // who has sent nothing meanwhile was not disturbed
	other.expect("d000")
	again := publishPacket(1, 1, recordTopic, recordOf(1))
	again[0] |= 0x08
	p = s.connect("gate", "door-1")
	p.send(again)
	p.expect("40020001")
	if diff := cmp.Diff([]string{"record:SPS-1:1"}, s.stored()); diff != "" {
		t.Error(diff)
	}
	if got := testutil.ToFloat64(s.metrics.lost); got != 1 {
		t.Errorf("%v events are counted as lost, want that of quality 0", got)
	}
}

func TestAJournalThatIsBusyForAMomentCutsNobodyOff(t *testing.T) {
	s := newSite(t, Options{})
	p := s.connect("gate", "door-1")
	s.set(func() { s.full = full })
	p.send(publishPacket(1, 1, recordTopic, recordOf(1)))
	eventually(t, "the message is read", func() bool { return s.budget.spent() > 0 })
	s.set(func() { s.full = nil })
	p.expect("40020001")
}

func TestAMessageThatComesAgainIsOneEvent(t *testing.T) {
	s := newSite(t, Options{})
	for range 3 {
		p := s.connect("gate", "door-1")
		p.send(publishPacket(1, 1, recordTopic, `{"signTime":1583726625}`))
		p.expect("40020001")
	}
	if n := len(s.stored()); n != 1 {
		t.Errorf("%d events", n)
	}
	if got := testutil.ToFloat64(s.metrics.duplicates); got != 2 {
		t.Errorf("%v duplicates are counted", got)
	}
}

func TestAUserSendsForItsOwnDevicesOnly(t *testing.T) {
	s := newSite(t, Options{})
	p := s.connect("gate", "door-1")
	p.send(publishPacket(1, 1, recordTopic, recordOf(1)), publishPacket(1, 2, "gatecast/SPS-2/record", recordOf(2)))
	p.expect("40020001")
	p.closed() // not acknowledged: giving the user the device brings the message in
	s.user("gate", "SPS-1", "SPS-2")
	p = s.connect("gate", "door-1")
	p.send(publishPacket(1, 2, "gatecast/SPS-2/record", recordOf(2)))
	p.expect("40020002")
	if diff := cmp.Diff([]string{"record:SPS-1:1", "record:SPS-2:2"}, s.stored()); diff != "" {
		t.Error(diff)
	}
	if got := s.quarantined(); len(got) != 0 {
		t.Errorf("in the quarantine: %v", got)
	}
}

func TestAUserWhoIsGoneIsCutOffWithItsNextPacket(t *testing.T) {
	s := newSite(t, Options{})
	gone, rotated := s.connect("gate", "door-1"), s.connect("site", "door-2")
	s.set(func() {
		delete(s.users, "gate")
		other := *s.users["site"]
		other.Password[0]++
		s.users["site"] = &other
	})
	for _, p := range []*peer{gone, rotated} {
		p.send(publishPacket(1, 1, recordTopic, recordOf(1)))
		p.closed()
	}
	if got := s.stored(); got != nil {
		t.Errorf("stored %v", got)
	}
}

func TestAClientThatComesBackTakesThePlaceOfItsFormerConnection(t *testing.T) {
	s := newSite(t, Options{Limits: Limits{Conns: 2}})
	first, other := s.connect("gate", "door-1"), s.connect("site", "door-1")
	release := s.hold()
	first.send(publishPacket(1, 1, recordTopic, recordOf(1)))
	eventually(t, "the message is read", func() bool { return s.budget.spent() > 0 })
	second := s.dial()
	second.send(connectPacket("gate", password, "door-1"))
	first.closed() // the answer to the message is lost, the message is not
	release()
	second.expect("20020000")
	second.send(publishPacket(1, 2, recordTopic, recordOf(2)))
	second.expect("40020002")
	if diff := cmp.Diff([]string{"record:SPS-1:1", "record:SPS-1:2"}, s.stored()); diff != "" {
		t.Error(diff)
	}
	other.send([]byte{0xc0, 0}) // of another user, with the same identifier
	other.expect("d000")
	if s.Connections() != 2 || s.Online("gate") != 1 || s.Online("nobody") != 0 {
		t.Errorf("%d connections, %d of gate", s.Connections(), s.Online("gate"))
	}
}

func TestAStopAcknowledgesWhatWasReadAndThenCloses(t *testing.T) {
	s := newSite(t, Options{})
	release := s.hold()
	p, idle := s.connect("gate", "door-1"), s.connect("gate", "door-2")
	half := s.connect("gate", "door-3")
	whole := publishPacket(1, 1, recordTopic, recordOf(9))
	half.send(whole[:20])
	p.send(publishPacket(1, 1, recordTopic, recordOf(1)), publishPacket(1, 2, recordTopic, recordOf(2)))
	eventually(t, "the messages are read", func() bool { return s.budget.spent() == 3*int64(len(whole)-2) })
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	idle.closed()
	half.closed()
	release()
	p.expect("40020001" + "40020002")
	p.closed()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"record:SPS-1:1", "record:SPS-1:2"}, s.stored()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatWasSentIsStoredThoughItsSenderHasLeft(t *testing.T) {
	s := newSite(t, Options{})
	p := s.connect("gate", "door-1")
	release := s.hold()
	size := 0
	for i := 1; i <= 40; i++ {
		packet := publishPacket(byte(i&1), i, recordTopic, recordOf(i))
		p.send(packet)
		size += len(packet) - 2
		if i == 1 { // so that the others are stored after an answer that nobody takes
			eventually(t, "the first is read", func() bool { return s.budget.spent() == int64(size) })
		}
	}
	eventually(t, "all are read", func() bool { return s.budget.spent() == int64(size) })
	_ = p.c.(*net.TCPConn).SetLinger(0) // RST
	_ = p.c.Close()
	release()
	eventually(t, "all are stored", func() bool { return len(s.stored()) == 40 })
}
