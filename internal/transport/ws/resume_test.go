package ws

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/cursor"
	"github.com/gatecast/gatecast/senselink"
	gows "github.com/gobwas/ws"
)

var whole = gatecast.Consumer{App: key}

// quick asks busy connections so often that no test waits for it.
func quick() Options { return Options{Confirm: Confirm{ConfirmInterval: time.Millisecond}} }

// ask connects as the usual app with parameters.
func (s *site) ask(query string) *peer {
	s.t.Helper()
	p := s.dial(path(key, secret, time.Now()) + "?" + query)
	p.expectText(senselink.Connected)
	return p
}

// settled connects, has an app confirm everything there is, and leaves.
func (s *site) settled(last int) {
	s.t.Helper()
	p := s.connect()
	s.publish(1, last, 0, gatecast.Record)
	p.expectEvents(1, last, 0, gatecast.Record)
	for p.pong() != strconv.Itoa(last) {
	}
	s.awaitCursor(whole, gatecast.Seq(last))
	p.cut()
	<-s.server.roster.empty()
}

func TestAppThatComesBackIsSentWhatItMissedAndThenWhatIsNew(t *testing.T) {
	for name, ring := range map[string]int{"from memory": 64, "from the journal": 4} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, ring, quick())
			s.settled(5)
			s.publish(6, 20, 0, gatecast.Record)
			s.awaitHead(25)
			p := s.connect()
			p.expectEvents(6, 25, 0, gatecast.Record)
			s.publish(26, 3, 0, gatecast.Alarm)
			p.expectEvents(26, 28, 0, gatecast.Alarm)
		})
	}
}

func TestWhatNobodyConfirmedIsSentAgain(t *testing.T) {
	answers := map[string]func(p *peer, asked []byte){
		"no answer":       func(*peer, []byte) {},
		"empty":           func(p *peer, _ []byte) { p.write(gows.NewPongFrame(nil)) },
		"one more":        func(p *peer, asked []byte) { p.write(gows.NewPongFrame([]byte(string(asked) + "0"))) },
		"an older one":    func(p *peer, _ []byte) { p.write(gows.NewPongFrame([]byte("5"))) },
		"no number":       func(p *peer, _ []byte) { p.write(gows.NewPongFrame([]byte("seven"))) },
		"a leading zero":  func(p *peer, asked []byte) { p.write(gows.NewPongFrame([]byte("0" + string(asked)))) },
		"before the Ping": func(p *peer, _ []byte) { p.write(gows.NewPongFrame([]byte("999"))) },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 64, quick())
			s.settled(5)
			p := s.connect()
			s.publish(6, 3, 0, gatecast.Record)
			for seen := 0; seen < 3; {
				switch f, err := p.frame(); {
				case err != nil:
					t.Fatal(err)
				case f.Header.OpCode == gows.OpPing:
					answer(p, f.Payload)
				default:
					seen++
				}
			}
			p.cut()
			<-s.server.roster.empty()
			s.connect().expectEvents(6, 8, 0, gatecast.Record)
		})
	}
}

func TestEveryConnectionOfAnAppStartsAtItsCursorAndAnyOfThemConfirms(t *testing.T) {
	s := newSite(t, 64, quick())
	s.settled(5)
	mute, other := s.connect(), s.connect()
	mute.mute = true
	s.publish(6, 4, 0, gatecast.Record)
	mute.expectEvents(6, 9, 0, gatecast.Record)
	other.expectEvents(6, 9, 0, gatecast.Record)
	for other.pong() != "9" {
	}
	s.awaitCursor(whole, 9)
	mute.cut()
	other.cut()
	<-s.server.roster.empty()
	s.publish(10, 1, 0, gatecast.Record)
	s.connect().expectEvents(10, 10, 0, gatecast.Record)
}

func TestFirstConnectionBeginsAtTheHeadOrInThePastAsTheAppSays(t *testing.T) {
	for first, from := range map[gatecast.First]int{"": 4, gatecast.FirstLatest: 4, gatecast.FirstEarliest: 1} {
		app := anApp()
		app.CatchUp.First = first
		s := newSite(t, 64, quick(), app)
		s.publish(1, 3, 0, gatecast.Record)
		s.awaitHead(3)
		p := s.connect()
		s.publish(4, 1, 0, gatecast.Record)
		p.expectEvents(from, 4, 0, gatecast.Record)
	}
}

func TestFirstConnectionThatIsCutBeforeItConfirmsIsNoStrangerAfterACrash(t *testing.T) {
	s := newSite(t, 64, Options{})
	s.publish(1, 3, 0, gatecast.Record)
	s.awaitHead(3)
	s.connect()
	// What another process would find on the disk at this moment:
	found := cursor.OpenMem(cursor.Options{Mem: s.disk.Crash()})
	if cur, ok := found.Cursor(whole); !ok || cur.Seq != 3 {
		t.Errorf("after a crash the cursor is %+v (there: %v), want position 3: the client has been told 20000", cur, ok)
	}
}

func TestAppWithoutCatchUpGetsWhatHappensWhileItIsConnected(t *testing.T) {
	app := anApp()
	app.CatchUp.Window = gatecast.LookbackOff
	s := newSite(t, 64, quick(), app)
	s.connect().cut()
	<-s.server.roster.empty()
	s.publish(1, 3, 0, gatecast.Record)
	s.awaitHead(3)
	p := s.connect()
	s.publish(4, 1, 0, gatecast.Record)
	p.expectEvents(4, 4, 0, gatecast.Record)
}

func TestWhatIsOlderThanTheWindowIsLeftOutAndTheLossIsRecorded(t *testing.T) {
	for name, ring := range map[string]int{"from memory": 64, "from the journal": 4} {
		t.Run(name, func(t *testing.T) {
			var ahead atomic.Int64 // of the server's clock
			o := quick()
			o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			s := newSite(t, ring, o)
			s.settled(5)
			s.publish(6, 10, 0, gatecast.Record)
			s.awaitHead(15)
			ahead.Store(int64(25 * time.Hour))
			now := o.Now()
			p := s.dial(path(key, secret, now))
			p.expectText(senselink.Connected)
			s.awaitCursor(whole, 15)
			cur, _ := s.cursors.Cursor(whole)
			if edge := now.Add(-24 * time.Hour); cur.Lost != 10 || cur.Complete.Sub(edge).Abs() > time.Minute {
				t.Errorf("lost %d, complete since %v; want 10 and %v", cur.Lost, cur.Complete, edge)
			}
			s.publish(16, 1, 0, gatecast.Record)
			p.expectEvents(16, 16, 0, gatecast.Record)
		})
	}
}

func TestWhatRetentionHasRemovedIsToldToThoseWhoUnderstandAndRecordedForAll(t *testing.T) {
	s := newSite(t, 4, quick())
	s.settled(5)
	s.publish(6, 20, 0, gatecast.Record)
	s.awaitHead(25)
	s.journal.Expire(18)
	s.connect().expectEvents(19, 25, 0, gatecast.Record)
	if cur, _ := s.cursors.Cursor(whole); cur.Lost != 13 {
		t.Errorf("lost %d positions, want 13", cur.Lost)
	}
	p := s.ask("since=7")
	expectGap(t, p.text(), 7, 18, "retention")
	p.expectEvents(19, 25, 0, gatecast.Record)
}

func expectGap(t *testing.T, text string, from, to gatecast.Seq, reason string) {
	t.Helper()
	var m struct {
		Code int
		Data struct {
			From, To, Head gatecast.Seq
			Reason, Epoch  string
		}
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil || m.Code != senselink.CodeGap || m.Data.From != from || m.Data.To != to ||
		m.Data.Reason != reason || m.Data.Epoch == "" {
		t.Fatalf("got %s, want a gap from %d to %d by %s", text, from, to, reason)
	}
}

func expectResumed(t *testing.T, text string, after gatecast.Seq) {
	t.Helper()
	if want := fmt.Sprintf(`{"code":20010,"message":"resumed","desc":"","data":{"after":%d,"head":`, after); !strings.HasPrefix(text, want) {
		t.Fatalf("got %s, want %s…", text, want)
	}
}

func TestOptInClientsBeginWhereTheyAskAndAreToldSo(t *testing.T) {
	for query, from := range map[string]int{
		"since=earliest": 1, "since=latest": 11, "since=3": 4, "since=10": 11, "since=0": 1, "kinds=30000": 11,
		"since=8&epoch=EPOCH": 9, "since=LATER": 11, "since=2020-01-01T00:00:00%2b09:00": 1,
		"since=2020-01-01T00:00:00+09:00": 1, // as people type it
	} {
		s := newSite(t, 4, quick())
		s.publish(1, 10, 0, gatecast.Record)
		s.awaitHead(10)
		query = strings.NewReplacer("EPOCH", s.server.opts.Epoch, "LATER", s.laterThan(10)).Replace(query)
		p := s.ask(query)
		expectResumed(t, p.text(), gatecast.Seq(from-1))
		s.publish(11, 1, 0, gatecast.Record)
		p.expectEvents(from, 11, 0, gatecast.Record)
	}
}

func TestPositionThatMeansNothingHereIsToldAndEverythingThereIsFollows(t *testing.T) {
	s := newSite(t, 4, quick())
	s.publish(1, 10, 0, gatecast.Record)
	s.awaitHead(10)
	for query, reason := range map[string]string{"since=500": "ahead", "since=3&epoch=other": "epoch"} {
		p := s.ask(query)
		at, _, _ := strings.Cut(strings.TrimPrefix(query, "since="), "&")
		expectGap(t, p.text(), gatecast.Seq(must(strconv.Atoi(at))), 0, reason)
		p.expectEvents(1, 10, 0, gatecast.Record)
	}
}

// laterThan returns a time after an event was stored, as a client writes it.
func (s *site) laterThan(seq gatecast.Seq) string {
	events := must(s.journal.Read(s.t.Context(), seq-1, 1))
	return events[0].Stored.Add(time.Hour).UTC().Format(time.RFC3339)
}

func TestBadParametersAreRefusedWith20002AndTheReason(t *testing.T) {
	s := newSite(t, 64, Options{})
	for _, c := range []struct{ query, desc string }{
		{"since=yesterday", "since"},
		{"since=-1", "since"},
		{"since=1&since=2", "since"},
		{"epoch=x", "epoch"},
		{"client=", "client"},
		{"client=a%20b", "client"},
		{"seq=maybe", "seq"},
		{"ack=later", "ack"},
		{"inflight=10", "inflight"},
		{"ack=manual&inflight=0", "inflight"},
		{"kinds=30000,99", "kinds"},
		{"sn=", "sn"},
		{"group=one", "group"},
	} {
		p := s.dial(path(key, secret, time.Now()) + "?" + c.query)
		if got := p.text(); !strings.Contains(got, `"code":20002`) || !strings.Contains(got, "parameter "+c.desc) {
			t.Errorf("%s: got %s, want 20002 that names %s", c.query, got, c.desc)
		}
		p.expectClose(gows.StatusPolicyViolation)
	}
	s.dial(path(key, secret, time.Now()) + "?token=abc&since_when=x").expectText(senselink.Connected)
}

func TestNumberedPushesCarryPositionEpochAndWhetherTheyAreReplayed(t *testing.T) {
	s := newSite(t, 64, quick())
	s.publish(1, 2, 0, gatecast.Record)
	s.awaitHead(2)
	p := s.ask("since=earliest&seq=1")
	expectResumed(t, p.text(), 0)
	s.publish(3, 1, 0, gatecast.Alarm)
	for i, kind := range []gatecast.Kind{gatecast.Record, gatecast.Record, gatecast.Alarm} {
		ev := makeEvent(i+1, 0, kind)
		ev.Seq = gatecast.Seq(i + 1)
		p.expectText(string(senselink.AppendNumbered(nil, &ev, s.server.opts.Epoch, i < 2)))
	}
}

func TestOnlyWhoAskedForNumbersIsToldThatAnEventIsLate(t *testing.T) {
	s := newSite(t, 64, quick())
	s.settled(1)
	old, asked := s.connect(), s.ask("seq=1")
	expectResumed(t, asked.text(), 1)
	ev := gatecast.Event{ID: "l", Kind: gatecast.Record, Late: true, Data: []byte(`{"id":9}`)}
	must(s.journal.Append(t.Context(), []gatecast.Event{ev}))
	old.expectText(`{"code":30000,"desc":"","message":"push record","data":{"id":9}}`)
	asked.expectText(`{"code":30000,"desc":"","message":"push record","seq":2,"epoch":"` + s.server.opts.Epoch + `","late":true,"data":{"id":9}}`)
}

func TestFiltersNarrowWhatTheAppSeesAndMoveNoCursorOfOthers(t *testing.T) {
	s := newSite(t, 64, quick())
	s.settled(1)
	p := s.ask("sn=D2&sn=D3&kinds=alarm,30000&group=7")
	expectResumed(t, p.text(), 1)
	for i, ev := range []gatecast.Event{
		{Device: "D1", Groups: []int64{7}}, {Device: "D2"}, {Device: "D2", Groups: []int64{6, 7}}, {Device: "D3", Groups: []int64{7}},
	} {
		ev.ID, ev.Kind, ev.Data = "f"+strconv.Itoa(i), gatecast.Record, []byte(`{"id":`+strconv.Itoa(i)+`}`)
		must(s.journal.Append(t.Context(), []gatecast.Event{ev}))
	}
	for _, want := range []int{2, 3} {
		if got := eventID(t, p.text()); got != want {
			t.Fatalf("got event %d, want %d", got, want)
		}
	}
	p.cut()
	<-s.server.roster.empty()
	if cur, _ := s.cursors.Cursor(whole); cur.Seq != 1 {
		t.Errorf("a client that sees a part moved the app's cursor to %d", cur.Seq)
	}
}

func TestNamedClientsAndAddressesHaveCursorsOfTheirOwn(t *testing.T) {
	app := anApp()
	app.CatchUp.Cursors = gatecast.CursorByAddress
	s := newSite(t, 64, quick(), app)
	from := func(ip string) *peer {
		p := s.dialFrom(ip, path(key, secret, time.Now()))
		p.expectText(senselink.Connected)
		return p
	}
	named := func() *peer {
		p := s.ask("client=desk")
		expectResumed(t, p.text(), 0)
		return p
	}
	for _, p := range []*peer{from("127.0.0.2"), from("127.0.0.3"), named()} {
		p.cut()
	}
	<-s.server.roster.empty()
	s.publish(1, 2, 0, gatecast.Record)
	s.awaitHead(2)
	for _, connect := range []func() *peer{func() *peer { return from("127.0.0.2") }, func() *peer { return from("127.0.0.3") }, named} {
		p := connect()
		p.expectEvents(1, 2, 0, gatecast.Record)
		for p.pong() != "2" {
		}
	}
	s.awaitCursor(gatecast.NamedConsumer(key, "desk"), 2)
	s.awaitCursor(gatecast.AddressConsumer(key, "127.0.0.3"), 2)
}

func TestClientThatAcknowledgesIsSentOnlySoManyAndResumesAfterTheLast(t *testing.T) {
	s := newSite(t, 64, quick())
	s.ask("client=hr&ack=manual").cut()
	<-s.server.roster.empty()
	s.publish(1, 9, 0, gatecast.Record)
	s.awaitHead(9)
	p := s.ask("client=hr&ack=manual&inflight=3")
	expectResumed(t, p.text(), 0)
	ack := func(n int) { p.write(gows.NewTextFrame(fmt.Appendf(nil, `{"ack":%d}`, n))) }
	next := func(want int) {
		t.Helper()
		if got := eventID(t, p.text()); got != want {
			t.Fatalf("got event %d, want %d", got, want)
		}
	}
	p.write(gows.NewTextFrame([]byte("hello, I am a client of the old kind")))
	next(1)
	next(2)
	next(3)
	s.awaitInFlight(3)
	ack(2)
	next(4)
	next(5)
	ack(5)
	ack(4) // older: changes nothing
	next(6)
	s.awaitCursor(gatecast.NamedConsumer(key, "hr"), 5)
	p.cut()
	<-s.server.roster.empty()
	p = s.ask("client=hr&ack=manual")
	expectResumed(t, p.text(), 5)
	next(6)
	p.write(gows.NewTextFrame([]byte(`{"ack":77}`)))
	if reason := p.expectClose(gows.StatusPolicyViolation); !strings.Contains(reason, "does not exist") {
		t.Errorf("closed for %q", reason)
	}
}

// awaitInFlight returns when a connection waits for its client to acknowledge.
func (s *site) awaitInFlight(n int) {
	for {
		for _, c := range s.server.roster.all() {
			if c.receipt.acks.count() == n && c.state() == blocked {
				return
			}
		}
	}
}

// TestAnAcknowledgementMayComeBeforeWhatItIsFor has a client acknowledge events
// that it was not sent yet: no later message says so again.
func TestAnAcknowledgementMayComeBeforeWhatItIsFor(t *testing.T) {
	for name, ring := range map[string]int{"from memory": 64, "from the journal": 4} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, ring, quick())
			s.publish(1, 10, 0, gatecast.Record)
			s.awaitHead(10)
			p := s.ask("ack=manual&inflight=2&since=earliest")
			p.text() // 20010
			p.write(gows.NewTextFrame([]byte(`{"ack":10}`)))
			for want := 1; want <= 10; want++ {
				if text := p.text(); !strings.Contains(text, fmt.Sprintf(`"seq":%d,`, want)) {
					t.Fatalf("got %s, want event %d", text, want)
				}
			}
		})
	}
}

// TestAClientThatMayBeGoneIsLookedAtNowAndThen: neither heard of nor
// acknowledged by its system, it ignores nothing, and watching it all the time
// would make it answer no sooner.
func TestAClientThatMayBeGoneIsLookedAtNowAndThen(t *testing.T) {
	now := time.Now()
	s := &shard{opts: Options{Now: func() time.Time { return now }}.withDefaults()}
	c := &conn{}
	c.receipt.clock.waiting = now.Add(-2 * s.opts.ConfirmTimeout)
	if due := s.earliest(c, now.Add(time.Hour)); !due.After(now) {
		t.Errorf("it is due %v ago, and so again and again", now.Sub(due))
	}
	c.receipt.clock.waiting = now.Add(-time.Second)
	if due := s.earliest(c, now.Add(time.Hour)); !due.Equal(now.Add(s.opts.ConfirmTimeout - time.Second)) {
		t.Errorf("it is due in %v", due.Sub(now))
	}
}

func TestClientThatNeverAnswersIsLiveOnlyAndDoesNotHoldItsCursorBack(t *testing.T) {
	o := quick()
	o.Confirm.ConfirmTimeout, o.Heartbeat = 20*time.Millisecond, 10*time.Millisecond
	s := newSite(t, 64, o)
	p := s.connect()
	p.mute = true
	s.publish(1, 3, 0, gatecast.Record)
	p.expectEvents(1, 3, 0, gatecast.Record)
	go func() { // it reads on, and answers nothing
		for {
			if _, err := p.frame(); err != nil {
				return
			}
		}
	}()
	s.awaitCursor(whole, 3)
	if list := s.listed(1); list[0].Confirmation != gatecast.ConfirmNone || list[0].Position != 3 {
		t.Errorf("the list says %+v", list)
	}
	if cur, _ := s.cursors.Cursor(whole); !cur.Confirmed.IsZero() {
		t.Error("what was never confirmed counts as confirmed")
	}
}

func TestSilentClientWaitsForTheOneThatConfirmed(t *testing.T) {
	clock := &lead{}
	o := quick()
	o.Heartbeat, o.DeadAfter, o.Now = 10*time.Millisecond, 24*time.Hour, clock.now
	s := newSite(t, 64, o)
	s.settled(5) // somebody of this app confirms
	p := s.connect()
	p.mute = true
	s.publish(6, 3, 0, gatecast.Record)
	p.expectEvents(6, 8, 0, gatecast.Record)
	for s.listed(1)[0].Confirmation != gatecast.ConfirmNone {
		if _, err := p.frame(); err != nil {
			t.Fatal(err)
		}
		clock.add(time.Second)
	}
	p.cut()
	<-s.server.roster.empty()
	s.connect().expectEvents(6, 8, 0, gatecast.Record)
}

func TestNothingIsSentTwiceAfterAnOrderlyStop(t *testing.T) {
	// Nobody is asked but at the end, and a client's time to answer stands still.
	now := time.Now()
	o := Options{Confirm: Confirm{ConfirmInterval: time.Hour}, Now: func() time.Time { return now }}
	s := newSite(t, 64, o)
	p := s.connect()
	s.publish(1, 20, 0, gatecast.Record)
	p.expectEvents(1, 20, 0, gatecast.Record)
	done := make(chan struct{})
	go func() { defer close(done); s.server.Drain(t.Context(), 0) }()
	for p.pong() != "20" { // the first question came with the first event
	}
	p.expectClose(gows.StatusCode(1012))
	<-done
	if cur, _ := s.cursors.Cursor(whole); cur.Seq != 20 {
		t.Errorf("the cursor is at %d, want 20", cur.Seq)
	}
}

func TestClientThatDoesNotSayGoodbyeHoldsUpAStopForAMomentOnly(t *testing.T) {
	s := newSite(t, 64, Options{})
	p := s.connect()
	p.mute = true
	s.publish(1, 1, 0, gatecast.Record)
	p.expectEvents(1, 1, 0, gatecast.Record)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); s.server.Drain(ctx, 0) }()
	p.expectClose(gows.StatusCode(1012))
	<-done
	if ctx.Err() != nil {
		t.Error("the stop waited until its time was over")
	}
}

func TestAppThatSeesLittleDoesNotPassOverTheRestAgain(t *testing.T) {
	app := anApp()
	app.Kinds = []gatecast.Kind{gatecast.Alarm}
	s := newSite(t, 64, quick(), app)
	p := s.connect()
	s.publish(1, 1, 0, gatecast.Alarm)
	s.publish(2, 50, 0, gatecast.Record)
	p.expectEvents(1, 1, 0, gatecast.Alarm)
	p.pong()
	s.awaitHead(51)
	for s.listed(1)[0].Position < 51 {
	}
	s.awaitCursor(whole, 1)
	p.cut()
	s.awaitCursor(whole, 51)
}

func TestListShowsWhereEveryConnectionStands(t *testing.T) {
	s := openSite(t, front{narrow: true}, 8, quick())
	s.settled(5)
	p := s.ask("client=desk&seq=1")
	s.publish(6, 1, 0, gatecast.Record)
	expectResumed(t, p.text(), 5)
	p.text()
	for p.pong() != "6" {
	}
	s.awaitCursor(gatecast.NamedConsumer(key, "desk"), 6)
	list := s.server.List()
	if len(list) != 1 {
		t.Fatalf("%d connections, want 1", len(list))
	}
	got := list[0]
	if got.App != key || got.Client != "desk" || got.Transport != "websocket" || got.Remote != p.conn.LocalAddr().String() ||
		got.Mode != gatecast.ModeLive || got.Confirmation != gatecast.ConfirmPong || got.Start != 5 || got.Position != 6 ||
		got.Confirmed != 6 || got.LagEvents != 0 || got.Lag != 0 || got.Events != 1 || got.Bytes == 0 {
		t.Errorf("the list says %+v", got)
	}
	s.publish(7, 2000, 1000, gatecast.Record) // more than the socket takes
	s.awaitHead(2006)
	for got = s.server.List()[0]; got.Mode == gatecast.ModeLive; got = s.server.List()[0] {
		runtime.Gosched()
	}
	if got.LagEvents == 0 || got.Lag <= 0 { // on a busy machine it may even count as stalled by now
		t.Errorf("a client that is behind is listed as %+v", got)
	}
}

// slowHistory keeps whoever asks what the journal holds waiting.
type slowHistory struct {
	History
	open chan struct{}
}

func (h slowHistory) Extent(ctx context.Context) (gatecast.Extent, error) {
	<-h.open
	return h.History.Extent(ctx)
}

func TestPongConfirmsNothingWhileItIsNotKnownWhereAConnectionBegins(t *testing.T) {
	o := quick()
	o.Heartbeat = 5 * time.Millisecond
	s := newSite(t, 4, o)
	s.settled(5)
	history := slowHistory{s.hub, make(chan struct{})}
	s.server.replays.history = history // no race: its workers wait: nobody is connected
	s.publish(6, 10, 0, gatecast.Record)
	s.awaitHead(15)
	p := s.connect()
	p.pong()
	p.pong() // the shard has heard the first
	if cur, _ := s.cursors.Cursor(whole); cur.Seq != 5 {
		t.Errorf("the cursor is at %d, and nothing after 5 was sent", cur.Seq)
	}
	close(history.open)
	for want := 6; want <= 15; {
		if text := p.text(); text != senselink.HeartBeat {
			if got := eventID(t, text); got != want {
				t.Fatalf("got event %d, want %d", got, want)
			}
			want++
		}
	}
}

func TestClientThatNeverAnswersAndComesBackOftenIsNotSentEverythingEachTime(t *testing.T) {
	var ahead atomic.Int64 // of the server's clock
	s := newSite(t, 64, Options{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	for first := 1; first <= 3; first++ {
		p := s.connect()
		p.mute = true
		s.publish(first, 1, 0, gatecast.Record)
		p.expectEvents(first, first, 0, gatecast.Record)
		for f := must(p.frame()); f.Header.OpCode != gows.OpPing; f = must(p.frame()) {
		}
		ahead.Add(int64(2 * shortPatience))
		p.write(gows.NewCloseFrame(gows.NewCloseFrameBody(gows.StatusNormalClosure, "")))
		<-s.server.roster.empty()
		s.awaitCursor(whole, gatecast.Seq(first))
	}
}

// counting counts how often the journal is asked where a time lies.
type counting struct {
	History
	asked int
}

func (h *counting) Since(ctx context.Context, t time.Time) (gatecast.Seq, error) {
	h.asked++
	return h.History.Since(ctx, t)
}

func TestJournalIsAskedOnceForThoseWhoComeBackTogether(t *testing.T) {
	s := newSite(t, 64, Options{})
	s.publish(1, 5, 0, gatecast.Record)
	h := &counting{History: s.hub}
	e := newEdges(h)
	second := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
	for i := range 10 {
		if pos, err := e.Since(t.Context(), second.Add(time.Duration(i)*time.Millisecond)); pos != 0 || err != nil {
			t.Fatalf("Since says %d, %v", pos, err)
		}
	}
	if h.asked != 1 {
		t.Errorf("asked %d times for one second", h.asked)
	}
	s.publish(6, 1, 0, gatecast.Record)
	for want, at := range []time.Time{time.Now().Add(-time.Hour), time.Now().Add(time.Hour)} {
		if pos, err := e.Since(t.Context(), at); err != nil || pos != gatecast.Seq(6*want) {
			t.Errorf("Since(%v) says %d, %v", at, pos, err)
		}
	}
}

func TestSinceReachesOnlyAsFarBackAsTheAppMaySee(t *testing.T) {
	var ahead atomic.Int64 // of the server's clock
	o := quick()
	o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	blind := anApp()
	blind.Key, blind.CatchUp.Window = "0123456789abcdef", gatecast.LookbackOff
	all := anApp()
	all.Key, all.CatchUp.Window = "fedcba9876543210", gatecast.LookbackAll
	s := newSite(t, 4, o, anApp(), blind, all)
	s.publish(1, 10, 0, gatecast.Record)
	s.awaitHead(10)
	ahead.Store(int64(25 * time.Hour))
	first := func(key, query string) string {
		p := s.dial(path(key, secret, o.Now()) + "?" + query)
		p.expectText(senselink.Connected)
		return p.text()
	}
	expectGap(t, first(key, "since=3"), 3, 10, "window")
	expectGap(t, first(blind.Key, "since=3"), 3, 10, "window")
	expectResumed(t, first(key, "since=earliest"), 10)
	expectResumed(t, first(blind.Key, "since=earliest"), 10)
	expectResumed(t, first(all.Key, "since=3"), 3)
}

func TestAddressBeginsWhereItsAppIsWhenCursorsAreFirstKeptByAddress(t *testing.T) {
	s := newSite(t, 64, quick())
	s.settled(5)
	s.publish(6, 3, 0, gatecast.Record)
	s.awaitHead(8)
	app := anApp()
	app.CatchUp.Cursors = gatecast.CursorByAddress
	s.apps.set(app)
	s.connect().expectEvents(6, 8, 0, gatecast.Record)
}

func TestMoreNamesThanAnAppMayHaveAreRefused(t *testing.T) {
	s := newSite(t, 64, quick())
	for i := range 1000 {
		if _, _, err := s.cursors.Begin(t.Context(), gatecast.NamedConsumer(key, strconv.Itoa(i)), 0); err != nil {
			t.Fatal(err)
		}
	}
	p := s.dial(path(key, secret, time.Now()) + "?client=one-more")
	if got := p.text(); !strings.Contains(got, `"code":20002`) || !strings.Contains(got, "too many consumers") {
		t.Errorf("got %s, want 20002 and the reason", got)
	}
	p.expectClose(gows.StatusPolicyViolation)
	s.ask("client=7").cut() // one of those that are there
	s.connect().cut()       // and the app itself
	<-s.server.roster.empty()
}

func TestNewNameBeginsWhereItAskedToAlsoWhenItConfirmedNothing(t *testing.T) {
	s := newSite(t, 64, quick())
	s.publish(1, 6, 0, gatecast.Record)
	s.awaitHead(6)
	for _, query := range []string{"client=new&since=3", "client=new"} {
		p := s.ask(query)
		p.mute = true
		expectResumed(t, p.text(), 3)
		p.expectEvents(4, 6, 0, gatecast.Record)
		p.cut()
		<-s.server.roster.empty()
	}
}

func TestQueryThatCannotBeReadIsRefused(t *testing.T) {
	s := newSite(t, 64, Options{})
	for _, query := range []string{"since=%zz", "since=1;seq=1"} {
		p := s.dial(path(key, secret, time.Now()) + "?" + query)
		if got := p.text(); !strings.Contains(got, `"code":20002`) || !strings.Contains(got, "query") {
			t.Errorf("%s: got %s, want 20002 that names the query", query, got)
		}
	}
}

func TestAddressOfAnAppThatNeverConfirmedBeginsWhereTheAppIsToo(t *testing.T) {
	s := newSite(t, 64, quick())
	p := s.connect()
	p.mute = true
	s.publish(1, 2, 0, gatecast.Record)
	p.expectEvents(1, 2, 0, gatecast.Record)
	p.cut()
	<-s.server.roster.empty()
	app := anApp()
	app.CatchUp.Cursors = gatecast.CursorByAddress
	s.apps.set(app)
	s.connect().expectEvents(1, 2, 0, gatecast.Record)
}

func TestLargeMessageIsNotReadAsAnAcknowledgement(t *testing.T) {
	s := newSite(t, 64, quick())
	p := s.ask("client=hr&ack=manual")
	expectResumed(t, p.text(), 0)
	s.publish(1, 2, 0, gatecast.Record)
	p.text()
	p.text()
	p.write(gows.NewTextFrame([]byte(`{"ack":2,"p":"` + strings.Repeat("x", maxAck) + `"}`)))
	p.write(gows.NewTextFrame([]byte(`{"ack":1}`)))
	s.awaitCursor(gatecast.NamedConsumer(key, "hr"), 1)
	if cur, _ := s.cursors.Cursor(gatecast.NamedConsumer(key, "hr")); cur.Seq != 1 {
		t.Errorf("the cursor is at %d, want 1", cur.Seq)
	}
}
