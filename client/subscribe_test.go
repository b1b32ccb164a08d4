package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// quick comes back at once.
var quick = Options{Backoff: Backoff{Min: time.Millisecond, Max: time.Millisecond, Rand: func() float64 { return 0 }}}

// take runs a loop that acknowledges each delivery at once, and leaves it at
// last.
func take(t *testing.T, c *Client, s Subscription, last gatecast.Seq) (seqs []gatecast.Seq, gaps []gatecast.GapNotice) {
	t.Helper()
	for d, err := range c.Subscribe(t.Context(), s) {
		if err != nil {
			t.Fatal(err)
		}
		d.Ack()
		if d.Gap != nil {
			gaps = append(gaps, *d.Gap)
			continue
		}
		if seqs = append(seqs, d.Seq); d.Seq == last {
			break
		}
	}
	return seqs, gaps
}

func upTo(first, last gatecast.Seq) (seqs []gatecast.Seq) {
	for n := first; n <= last; n++ {
		seqs = append(seqs, n)
	}
	return seqs
}

func TestASubscriptionGoesOnAfterEachDisconnectWhereItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault(t, 5)
		v.cut = func(n, i int) bool { return n == 1 && i == 3 || n == 2 && i == 1 }
		c := newClient(t, serve(t, sessions(t, v.serve)), quick)
		store := MemoryCursor()
		seqs, gaps := take(t, c, Subscription{Cursor: store, Since: Earliest()}, 5)
		if diff := cmp.Diff(upTo(1, 5), seqs); diff != "" || gaps != nil {
			t.Error(diff, gaps)
		}
		v.add(2)
		seqs, _ = take(t, c, Subscription{Cursor: store, Filter: gatecast.Filter{
			Kinds: []gatecast.Kind{gatecast.Record}, Devices: []string{"SPSP-1"}, Groups: []int64{7},
		}}, 7)
		if diff := cmp.Diff(upTo(6, 7), seqs); diff != "" {
			t.Error(diff)
		}
		want := []string{
			"seq=1&since=earliest", "epoch=E1&seq=1&since=2", "epoch=E1&seq=1&since=2",
			"epoch=E1&group=7&kinds=30000&seq=1&since=5&sn=SPSP-1",
		}
		if diff := cmp.Diff(want, v.queries()); diff != "" {
			t.Error(diff)
		}
	})
}

// Without it a restart before the first event would begin at a later "latest".
func TestWhereItBeganIsSavedBeforeAnyEventCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault(t, 3)
		c := newClient(t, serve(t, sessions(t, v.serve)), quick)
		store := MemoryCursor()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for d, err := range c.Subscribe(ctx, Subscription{Cursor: store}) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %+v, %v", d, err)
			}
		}
		v.add(2)
		if seqs, _ := take(t, c, Subscription{Cursor: store}, 5); !slices.Equal(seqs, upTo(4, 5)) {
			t.Errorf("the second loop got %v, want 4 and 5", seqs)
		}
	})
}

func TestAnEventThatWasNotAcknowledgedComesAgain(t *testing.T) {
	for _, s := range []Subscription{{Name: "hr"}, {Cursor: MemoryCursor(), Since: Earliest()}} {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, 6)
			c := newClient(t, serve(t, sessions(t, v.serve)), quick)
			for d, err := range c.Subscribe(t.Context(), s) {
				if err != nil {
					t.Fatal(err)
				}
				if d.Seq != 3 { // a hole, which the cursor must not pass
					d.Ack()
				}
				if d.Replay != true || d.Late != (d.Seq == 3) || d.Epoch != "E1" || d.ID == "" {
					t.Errorf("delivery %+v", d)
				}
				if d.Seq == 5 {
					break
				}
			}
			if seqs, _ := take(t, c, s, 6); !slices.Equal(seqs, upTo(3, 6)) {
				t.Errorf("the second loop got %v, want 3 to 6", seqs)
			}
		})
	}
}

func TestAcknowledgementsFlowWhileNothingElseHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault(t, 4)
		type told struct {
			seq  gatecast.Seq
			when time.Duration
		}
		var mu sync.Mutex
		var acks []told
		start := time.Now()
		v.onAck = func(_ string, seq gatecast.Seq) {
			mu.Lock()
			defer mu.Unlock()
			acks = append(acks, told{seq, time.Since(start)})
		}
		c := newClient(t, serve(t, sessions(t, v.serve)), quick)
		for d, err := range c.Subscribe(t.Context(), Subscription{Name: "hr", InFlight: 4}) {
			if err != nil {
				t.Fatal(err)
			}
			d.Ack()
			switch d.Seq {
			case 1: // the body is busy: told after 50 ms
				pass(time.Second)
			case 3: // with 2 it makes half of what may be in flight: told at once
				pass(time.Second)
			}
			if d.Seq == 4 {
				break // told before the goodbye
			}
		}
		synctest.Wait()
		want := []told{{1, 50 * time.Millisecond}, {3, time.Second}, {4, 2 * time.Second}}
		if diff := cmp.Diff(want, acks, cmp.AllowUnexported(told{})); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTheServerMaySendNoMoreThanIsAllowedInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault(t, 10)
		c := newClient(t, serve(t, sessions(t, v.serve)), quick)
		var open []*Delivery
		var most atomic.Int64
		for d, err := range c.Subscribe(t.Context(), Subscription{Name: "hr", InFlight: 3}) {
			if err != nil {
				t.Fatal(err)
			}
			if open = append(open, d); len(open) == 3 {
				most.Add(1)
				batch := open
				open = nil
				go func() {
					pass(time.Minute)
					for _, d := range slices.Backward(batch) {
						d.Ack()
					}
				}()
			}
			if d.Seq == 10 {
				break
			}
		}
		if got := v.cursors["hr"]; most.Load() != 3 || got != 9 {
			t.Errorf("%d batches, cursor %d; want 3 and 9", most.Load(), got)
		}
		if diff := cmp.Diff([]string{"ack=manual&client=hr&inflight=3"}, v.queries()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAFullWindowWaitsForAcknowledgementsWithAnOwnCursorToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault(t, 5)
		c := newClient(t, serve(t, sessions(t, v.serve)), quick)
		var acked time.Time
		for d, err := range c.Subscribe(t.Context(), Subscription{Since: Earliest(), InFlight: 2}) {
			if err != nil {
				t.Fatal(err)
			}
			if d.Seq == 1 {
				time.AfterFunc(time.Minute, func() { acked = time.Now(); d.Ack() })
			}
			if d.Seq == 3 {
				if acked.IsZero() {
					t.Error("a third event came while two were open")
				}
				break
			}
		}
	})
}

// Until it is acknowledged a gap is told again, as an event would be.
func TestAGapIsDeliveredAndToldAgainUntilAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault(t, 9)
		v.first = 5
		store := MemoryCursor()
		_ = store.Save(t.Context(), Position{"E1", 1})
		c := newClient(t, serve(t, sessions(t, v.serve)), quick)
		want := gatecast.GapNotice{From: 1, To: 4, Reason: gatecast.GapRetention}
		for d, err := range c.Subscribe(t.Context(), Subscription{Cursor: store}) {
			if err != nil || d.Gap == nil || *d.Gap != want || d.Position() != (Position{"E1", 4}) || len(d.Raw) == 0 {
				t.Errorf("got %+v, %v", d, err)
			}
			break
		}
		seqs, gaps := take(t, c, Subscription{Cursor: store}, 9)
		if !slices.Equal(seqs, upTo(5, 9)) || !slices.Equal(gaps, []gatecast.GapNotice{want}) {
			t.Errorf("got %v and %v", seqs, gaps)
		}
	})
}

// A server that crashed may have forgotten the last acknowledgements.
func TestAServerThatForgotAcknowledgementsIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault(t, 8)
		v.cut = func(n, i int) bool {
			if n != 1 || i != 7 {
				return false
			}
			v.mu.Lock()
			defer v.mu.Unlock()
			v.cursors["hr"] = 2
			return true
		}
		c := newClient(t, serve(t, sessions(t, v.serve)), quick)
		// The window is smaller than what comes again: without an answer to the
		// repeated events the server would stop for ever.
		seqs, gaps := take(t, c, Subscription{Name: "hr", InFlight: 3}, 8)
		if !slices.Equal(seqs, upTo(1, 8)) || gaps != nil {
			t.Errorf("got %v, %v", seqs, gaps)
		}
		if got := v.cursors["hr"]; got != 8 {
			t.Errorf("cursor %d, want 8", got)
		}
	})
}

func TestTheEndOfTheContextWaitsForTheBodyAndItsAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault(t, 3)
		c := newClient(t, serve(t, sessions(t, v.serve)), quick)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last error
		for d, err := range c.Subscribe(ctx, Subscription{Name: "hr"}) {
			if last = err; err != nil {
				break
			}
			cancel()
			pass(time.Second)
			d.Ack()
		}
		synctest.Wait()
		if got := v.cursors["hr"]; got != 1 || !errors.Is(last, context.Canceled) {
			t.Errorf("cursor %d, want 1; ended with %v", got, last)
		}
	})
}

func TestPongsComeBetweenTwoDeliveriesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pongs atomic.Int64
		c := newClient(t, serve(t, sessions(t, func(s session) {
			s.welcome()
			s.text(numbered("E", 1, `{"id":1,"sn":"S"}`))
			s.send(ws.NewPingFrame([]byte("1")))
			if f, _ := s.frame(); f.Header.OpCode == ws.OpPong {
				pongs.Add(1)
			}
			s.text(numbered("E", 2, `{"id":2,"sn":"S"}`))
			s.drain()
		})), quick)
		for d, err := range c.Subscribe(t.Context(), Subscription{}) {
			if err != nil {
				t.Fatal(err)
			}
			if d.Seq == 2 {
				break
			}
			pass(time.Hour)
			if pongs.Load() != 0 {
				t.Error("a pong came before its event was handled")
			}
		}
		if pongs.Load() != 1 {
			t.Error("no pong came")
		}
	})
}

func TestASubscriptionThatCannotBeIsRefusedAtOnce(t *testing.T) {
	c := newClient(t, nil, Options{})
	for name, s := range map[string]Subscription{
		"both cursors":      {Name: "hr", Cursor: MemoryCursor()},
		"a start with name": {Name: "hr", Since: Earliest()},
		"a name with space": {Name: "h r"},
		"in flight":         {InFlight: -1},
		"too many":          {InFlight: 70_000},
		"an odd kind":       {Filter: gatecast.Filter{Kinds: []gatecast.Kind{4711}}},
		"an empty device":   {Filter: gatecast.Filter{Devices: []string{""}}},
	} {
		n := 0
		for d, err := range c.Subscribe(t.Context(), s) {
			e, ok := errors.AsType[*gatecast.Error](err)
			if n++; d != nil || !ok || e.Code != gatecast.Invalid || e.Remedy == "" {
				t.Errorf("%s: %v, %v", name, d, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d items, want the error alone", name, n)
		}
	}
}

func TestAServerThatCannotResumeIsAnErrorAndSoIsWhatCannotBeRead(t *testing.T) {
	for body, want := range map[string]gatecast.Code{
		record("1"):                 gatecast.Invalid,
		`{"code":30000,`:            gatecast.Malformed,
		`{"code":20010,"data":{}}`:  gatecast.Malformed,
		`{"code":20011,"data":"x"}`: gatecast.Malformed,
		string(senselink.Denied("parameter since is \"x\": this is no place to begin")): gatecast.Invalid,
	} {
		synctest.Test(t, func(t *testing.T) {
			for d, err := range scripted(t, body).Subscribe(t.Context(), Subscription{}) {
				if d != nil || gatecast.CodeOf(err) != want || strings.Contains(err.Error(), "secret") {
					t.Errorf("%s: %v, %v", body, d, err)
				}
			}
		})
	}
}
