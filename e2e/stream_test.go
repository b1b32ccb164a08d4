package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// numbered is the message that a reader of the stream must get for an event.
func (e sent) numbered(seq int, epoch string, replay bool) string {
	word, again := "push "+e.kind().String(), ""
	if replay {
		again = `"replay":true,`
	}
	return fmt.Sprintf(`{"code":%d,"desc":"","message":%q,"seq":%d,"epoch":%q,%s"data":%s}`, e.kind(), word, seq, epoch, again, e.data)
}

// streamed is one event of a stream.
type streamed struct{ name, id, data string }

// start is the data of the first event of a stream.
type opening struct {
	After, From, To, Head int
	Reason, Epoch         string
}

func (e streamed) opening(t *testing.T) (o opening) {
	t.Helper()
	if err := json.Unmarshal([]byte(e.data), &o); err != nil {
		t.Fatalf("the stream begins with %+v: %v", e, err)
	}
	return o
}

// is compares an event of the stream with event n of the load, which lies at
// seq n+1.
func (e streamed) is(t *testing.T, n int64, epoch string, replay bool) {
	t.Helper()
	s := sample(n)
	want := streamed{s.kind().String(), fmt.Sprint(n + 1), s.numbered(int(n+1), epoch, replay)}
	if e != want {
		t.Fatalf("the stream has\n%+v\nwant\n%+v", e, want)
	}
}

// curl follows the stream with the admin's token and more arguments.
func (s *server) curl(t *testing.T, query string, args ...string) <-chan string {
	t.Helper()
	args = append([]string{"-sN", "-H", "Authorization: Bearer " + s.token}, args...)
	c := stock{name: "curl", program: "curl", args: args, probe: []string{"--version"}}
	return c.run(t, s.base+"/api/v1/events/stream"+query)
}

// frame reads the next event of the stream from what curl prints; ok is false
// at its end. What has no data is not one.
func frame(ctx context.Context, t *testing.T, lines <-chan string) (e streamed, ok bool) {
	t.Helper()
	for {
		select {
		case line, more := <-lines:
			field, value, _ := strings.Cut(line, ": ")
			switch {
			case !more:
				return e, false
			case field == "id":
				e.id = value
			case field == "event":
				e.name = value
			case field == "data":
				e.data += value
			case line == "" && e.data != "":
				return e, true
			}
		case <-ctx.Done():
			t.Fatal("nothing more in the stream")
		}
	}
}

func mustFrame(ctx context.Context, t *testing.T, lines <-chan string) streamed {
	t.Helper()
	e, ok := frame(ctx, t, lines)
	if !ok {
		t.Fatal("the stream has ended")
	}
	return e
}

// TestCurlFollowsTheStream reads what was there, what comes, and the end of the
// stream when the server stops.
func TestCurlFollowsTheStream(t *testing.T) {
	s := start(t, t.TempDir(), "--server.drain_spread=100ms")
	s.postSamples(t, 0, 50)
	lines := s.curl(t, "?since=earliest")
	alarms := s.curl(t, "?since=earliest&kinds=30100")
	ctx := within(t)
	first := mustFrame(ctx, t, lines)
	at := first.opening(t)
	if first.name != "resumed" || first.id != "0" || at.After != 0 || at.Head != 50 || at.Epoch == "" {
		t.Fatalf("the stream begins with %+v", first)
	}
	mustFrame(ctx, t, alarms)
	for n := range int64(50) {
		mustFrame(ctx, t, lines).is(t, n, at.Epoch, true)
	}
	s.postSamples(t, 50, 500)
	for n := int64(50); n < 550; n++ {
		mustFrame(ctx, t, lines).is(t, n, at.Epoch, false)
	}
	for n := int64(4); n < 550; n += 5 {
		mustFrame(ctx, t, alarms).is(t, n, at.Epoch, n < 50)
	}
	s.stop(t)
	for _, l := range []<-chan string{lines, alarms} {
		if e, ok := frame(ctx, t, l); ok {
			t.Errorf("after the last event came %+v", e)
		} else if e.id != "550" {
			t.Errorf("the stream ends at position %q, want 550", e.id)
		}
	}
	if log := s.output.String(); strings.Contains(log, "broken off") {
		t.Errorf("the stop was not orderly:\n%s", log)
	}
}

// TestStreamTellsOfAGap comes back, as browsers do, to a journal that no longer
// has what followed.
func TestStreamTellsOfAGap(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	s.postSamples(t, 0, 20)
	s.stop(t)
	s = forget(t, data)
	s.postSamples(t, 20, 5)
	lines := s.curl(t, "", "-H", "Last-Event-ID: 7")
	ctx := within(t)
	first := mustFrame(ctx, t, lines)
	at := first.opening(t)
	want := opening{From: 7, To: 20, Head: 25, Reason: "retention", Epoch: at.Epoch}
	if first.name != "gap" || first.id != "20" || at != want {
		t.Errorf("the stream begins with %+v, want a gap %+v", first, want)
	}
	for n := int64(20); n < 25; n++ {
		mustFrame(ctx, t, lines).is(t, n, at.Epoch, true)
	}
}

// signedStream is the address of the stream for an EventSource.
func (s *server) signedStream(a app) string {
	timestamp := fmt.Sprint(time.Now().UnixMilli())
	return fmt.Sprintf("%s/api/v1/events/stream?app_key=%s&timestamp=%s&sign=%s", s.base, a.Key, timestamp, sign(timestamp, a.Secret))
}

func eventSource() stock {
	const script = "stock/node/eventsource.js"
	return stock{name: "EventSource", program: "node", args: []string{script}, probe: []string{script, "--probe"}}
}

// TestWrongSignatureGetsNoStream expects a status, and what to do next.
func TestWrongSignatureGetsNoStream(t *testing.T) {
	s := start(t, t.TempDir())
	a := s.createApp(t)
	a.Secret += "x"
	url := s.signedStream(a)
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var problem struct{ Detail, Remedy string }
	if err := json.NewDecoder(res.Body).Decode(&problem); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusUnauthorized || !strings.Contains(problem.Remedy, "app_secret") {
		t.Errorf("status %d, %+v; want 401 and how to sign", res.StatusCode, problem)
	}
	expect(within(t), t, eventSource().run(t, url), "error 2")
}

// TestEventSourceMissesNothingSurvivesKill kills the server under load; the
// browser comes back by itself, to the same address, and has everything once.
func TestEventSourceMissesNothingSurvivesKill(t *testing.T) {
	rng, books, data := seeded(t), newLedger(), t.TempDir()
	address := "127.0.0.1:" + freePort(t)
	s := start(t, data, "--listen", address)
	lines := eventSource().run(t, s.signedStream(s.createApp(t)))
	ctx := within(t)
	expect(ctx, t, lines, "open")
	browser := &tab{}
	browser.read(ctx, t, lines, func() bool { return len(browser.openings) == 1 })
	for range rounds(2) {
		halt := books.load(s, rng, 1)
		goal := len(browser.events) + 1 + rng.IntN(500)
		browser.read(ctx, t, lines, func() bool { return len(browser.events) >= goal })
		s.kill(t)
		halt()
		s = start(t, data, "--listen", address)
		books.resolve(t, s)
		again := len(browser.openings)
		browser.read(ctx, t, lines, func() bool { return len(browser.openings) > again })
	}
	halt := books.load(s, rand.New(rand.NewPCG(rng.Uint64(), 4)), 1)
	books.untilAcked(t, 100)
	halt()
	books.resolve(t, s)
	last := sample(books.next - 1)
	browser.read(ctx, t, lines, func() bool { return strings.Contains(browser.last, fmt.Sprintf(`"data":%s`, last.data)) })
	s.stop(t)
	events := openJournal(t, data)
	books.check(t, events)
	var want []string
	for _, e := range events {
		want = append(want, fmt.Sprintf("%s %d", e.Kind, e.Seq))
	}
	if !slices.Equal(browser.events, want) {
		t.Errorf("the browser has %d events, the journal %d, or in another order", len(browser.events), len(want))
	}
	t.Logf("%d events, %d connections", len(browser.events), len(browser.openings))
}

// tab is what the page in the browser has been told.
type tab struct {
	openings []string // the first events of its connections
	events   []string // name and position
	last     string   // the newest event's data
}

// read takes lines until ok holds. What comes must be as it was sent.
func (b *tab) read(ctx context.Context, t *testing.T, lines <-chan string, ok func() bool) {
	t.Helper()
	for !ok() {
		line := next(ctx, t, lines)
		if line == "open" || line == "error 0" {
			continue
		}
		rest, isEvent := strings.CutPrefix(line, "event ")
		name, rest, _ := strings.Cut(rest, " ")
		id, quoted, _ := strings.Cut(rest, " ")
		var text string
		if err := json.Unmarshal([]byte(quoted), &text); err != nil || !isEvent {
			t.Fatalf("the browser says %q (%v)", line, err)
		}
		switch name {
		case "resumed":
			b.openings = append(b.openings, text)
		case "record", "alarm":
			b.take(t, name, id, text)
		default:
			t.Fatalf("the browser says %q", line)
		}
	}
}

func (b *tab) take(t *testing.T, name, id, text string) {
	t.Helper()
	var m struct {
		Seq    int
		Epoch  string
		Replay bool
		Data   struct{ ID int64 }
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	if want := sample(m.Data.ID).numbered(m.Seq, m.Epoch, m.Replay); text != want || id != fmt.Sprint(m.Seq) {
		t.Fatalf("the browser has, with id %s,\n%s\nwant\n%s", id, text, want)
	}
	b.events, b.last = append(b.events, name+" "+id), text
}
