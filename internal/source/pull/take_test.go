package pull

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

func TestWhatAServerPushesIsInTheJournalUnderItsOwnNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var path string
		network := serve(t, sessions(t, func(s session) {
			path = s.path
			s.welcome()
			s.text(record(7))
			s.text(alarm(7, 1))
			s.text(alarm(7, 3))
			s.text(`{"eventType":"30000","messageId":"m-1","sendTime":1583726626015,"data":` + recordData(8) + `}`)
			s.hold()
		}))
		var connects []string
		b := follow(t, network, Options{OnConnect: func(name string) { connects = append(connects, name) }})
		b.status(t, gatecast.SourceLive, "")
		if got, want := b.journal.stored(), "hq:record:7 hq:alarm:7:1 hq:alarm:7:3 hq:record:8"; got != want {
			t.Errorf("stored %s, want %s", got, want)
		}
		e := b.journal.all()[0]
		if e.Source != "hq" || e.Kind != gatecast.Record || e.Device != "SPSP-1" || string(e.Data) != recordData(7) || e.At.Unix() != 1569725174 {
			t.Errorf("stored %+v", e)
		}
		cred, err := senselink.ParsePath(path)
		stamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
		if want := (senselink.Credentials{AppKey: testKey, Timestamp: stamp, Sign: senselink.Sign(stamp, testSecret)}); err != nil || cred != want {
			t.Errorf("signed as %q", path)
		}
		st := b.State("hq")
		if st.Events != 4 || st.Rubbish != 0 || !st.LastEvent.Equal(time.Now()) || len(connects) != 1 || connects[0] != "hq" {
			t.Errorf("%+v, connects %q", st, connects)
		}
	})
}

func TestTheSameEventTwiceIsStoredOnce(t *testing.T) {
	const noNumber = `{"code":30000,"data":{"name":"x","signTime":1569725174}}`
	synctest.Test(t, func(t *testing.T) {
		network := serve(t, sessions(t, func(s session) {
			s.welcome()
			for range 2 {
				s.text(record(1))
				s.text(alarm(1, 2))
				s.text(noNumber)
			}
			s.hold()
		}))
		b := follow(t, network, Options{})
		b.status(t, gatecast.SourceLive, "")
		want := "hq:record:1 hq:alarm:1:2 " + gatecast.UpstreamID("hq", gatecast.Record, 0, 0, []byte(`{"name":"x","signTime":1569725174}`))
		if got := b.journal.stored(); got != want {
			t.Errorf("stored %s, want %s", got, want)
		}
		if n := testutil.ToFloat64(b.metrics.duplicates.WithLabelValues("hq")); n != 3 || b.State("hq").Events != 3 {
			t.Errorf("%v duplicates, %+v", n, b.State("hq"))
		}
	})
}

func TestWhatCannotBeUnderstoodIsSetAsideAndTearsNothingDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rubbish := []string{
			"Hello, world!",
			record(1)[:40],
			`[` + record(1) + `]`,
			`{"data":{"id":1}}`,
			`{"code":{"a":1},"data":{"id":1}}`,
			`{"code":30000}`,
			`{"code":30000,"data":[1,2]}`,
			`{"code":30000,"data":{"id":"twelve"}}`,
			`{"code":30100,"data":{"id":1,"status":[]}}`,
			`{"code":30000,"code":30100,"data":{"id":1}}`,
			`{"code":30000,"data":{"name":"` + "\xff" + `"}}`,
			`{"code":30000,"data":{"remark":"` + strings.Repeat("x", 300<<10) + `"}}`,
			strings.Repeat("[", 1<<20+1),
			"",
		}
		network := serve(t, sessions(t, func(s session) {
			s.welcome()
			for _, r := range rubbish {
				s.text(r)
			}
			s.send(ws.NewBinaryFrame([]byte{0, 1, 2, 0xfe}))
			s.text(`{"code":39999,"desc":"","message":"push weather","data":{"id":1}}`)
			s.text(`{"code":39999,"desc":7,"data":null}`)
			s.text(record(2))
			s.hold()
		}))
		b := follow(t, network, Options{})
		b.status(t, gatecast.SourceLive, "")
		got := b.shelf.all()
		if len(got) != len(rubbish)+1 || b.State("hq").Rubbish != uint64(len(got)) {
			t.Errorf("set aside %d of %d: %s", len(got), len(rubbish)+1, strings.Join(got, "\n"))
		}
		for i, part := range []string{"no JSON object", "", "", "no code", "no code", "no data", "expected an object", "/data/id", "/data/status", "", "", "more than 262144", "has 1048577 bytes"} {
			if i < len(got) && !strings.Contains(got[i], part) {
				t.Errorf("%s: want %q in it", got[i], part)
			}
		}
		if b.journal.stored() != "hq:record:2" {
			t.Errorf("stored %s", b.journal.stored())
		}
		if n := testutil.ToFloat64(b.metrics.codes.WithLabelValues("hq")); n != 2 || strings.Count(b.log.String(), "code=39999") != 1 {
			t.Errorf("%v unknown codes, log %s", n, b.log)
		}
		if n := testutil.ToFloat64(b.metrics.logins.WithLabelValues("hq", "connected")); n != 1 {
			t.Errorf("%v logins", n)
		}
	})
}

func TestFramesComeInEveryShapeThatTheStandardAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pongs := make(chan string, 10)
		network := serve(t, sessions(t, func(s session) {
			go s.drain(func(f ws.Frame) {
				if f.Header.OpCode == ws.OpPong {
					pongs <- string(f.Payload)
				}
			})
			s.welcome()
			text := []byte(record(1))
			s.send(ws.NewFrame(ws.OpText, false, text[:9]))
			s.send(ws.NewPingFrame([]byte("between")))
			s.send(ws.NewFrame(ws.OpContinuation, false, nil))
			s.send(ws.NewFrame(ws.OpContinuation, false, text[9:30]))
			s.send(ws.NewFrame(ws.OpContinuation, true, text[30:]))
			s.send(ws.NewBinaryFrame([]byte(record(2))))
			big := make([]byte, 900<<10) // in pieces: too large only together
			s.send(ws.NewFrame(ws.OpText, false, big))
			s.send(ws.NewFrame(ws.OpContinuation, false, big))
			s.send(ws.NewFrame(ws.OpContinuation, true, big))
			s.send(ws.NewPongFrame(nil))
			s.text(record(3))
			pass(time.Second)
		}))
		b := follow(t, network, Options{})
		b.status(t, gatecast.SourceLive, "")
		if got := b.journal.stored(); got != "hq:record:1 hq:record:2 hq:record:3" || <-pongs != "between" {
			t.Errorf("stored %s", got)
		}
		if got := b.shelf.all(); len(got) != 1 || !strings.Contains(got[0], "has 2764800 bytes") {
			t.Errorf("set aside %q", got)
		}
		b.stop()
	})
}

func TestOneSourceDoesNotWaitForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := serve(t, sessions(t, func(s session) {
			if strings.Contains(s.path, testKey) {
				s.drain(func(ws.Frame) {}) // not even a welcome
				return
			}
			s.welcome()
			s.text(record(1))
			s.hold()
		}))
		east := upstream("east")
		east.Settings.AppKey = "fedcba9876543210"
		b := follow(t, network, Options{}, upstream("hq"), east)
		b.status(t, gatecast.SourceConnecting, "")
		if got := b.journal.stored(); got != "east:record:1" || b.State("east").Status != gatecast.SourceLive {
			t.Errorf("stored %s", got)
		}
		if n := testutil.CollectAndCount(b.metrics.states); n != 5 { // hq has given no sign yet
			t.Errorf("%d series", n)
		}
	})
}
