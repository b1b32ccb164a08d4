package hub

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeJournal is a journal in memory whose oldest events can be taken away and
// whose stream can be made to fail.
type fakeJournal struct {
	mu     sync.Mutex
	events []gatecast.Event
	first  gatecast.Seq
	grown  chan struct{}
	fail   error
}

func newFakeJournal(n int) *fakeJournal {
	j := &fakeJournal{first: 1, grown: make(chan struct{})}
	j.append(n)
	return j
}

func (j *fakeJournal) append(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for range n {
		j.events = append(j.events, gatecast.Event{Seq: gatecast.Seq(len(j.events) + 1)})
	}
	close(j.grown)
	j.grown = make(chan struct{})
}

func (j *fakeJournal) expire(first gatecast.Seq) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.first = first
}

func (j *fakeJournal) breakWith(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fail = err
	close(j.grown)
	j.grown = make(chan struct{})
}

func (j *fakeJournal) Extent(context.Context) (gatecast.Extent, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return gatecast.Extent{First: j.first, Last: gatecast.Seq(len(j.events))}, nil
}

func (j *fakeJournal) Since(context.Context, time.Time) (gatecast.Seq, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.first - 1, nil
}

func (j *fakeJournal) Read(_ context.Context, after gatecast.Seq, max int) ([]gatecast.Event, error) {
	got, _, err := j.read(after, max)
	return got, err
}

func (j *fakeJournal) read(after gatecast.Seq, limit int) ([]gatecast.Event, chan struct{}, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail != nil {
		return nil, nil, j.fail
	}
	if after+1 < j.first {
		return nil, nil, gatecast.Errorf(gatecast.Gap, "events after %d are gone", after)
	}
	rest := j.events[after:]
	return slices.Clone(rest[:min(limit, len(rest))]), j.grown, nil
}

func (j *fakeJournal) Follow(ctx context.Context, after gatecast.Seq) gatecast.Stream {
	return func(yield func(gatecast.Event, error) bool) {
		for {
			events, grown, err := j.read(after, 100)
			if err != nil {
				yield(gatecast.Event{}, err)
				return
			}
			for _, ev := range events {
				if !yield(ev, nil) {
					return
				}
				after = ev.Seq
			}
			if len(events) > 0 {
				continue
			}
			select {
			case <-ctx.Done():
				yield(gatecast.Event{}, ctx.Err())
				return
			case <-grown:
			}
		}
	}
}

func start(t *testing.T, j Journal, o Options) *Hub {
	t.Helper()
	h, err := New(t.Context(), j, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return h
}

// drain reads from after until nothing is left.
func drain(t *testing.T, h *Hub, after gatecast.Seq, page int) []gatecast.Seq {
	t.Helper()
	var seqs []gatecast.Seq
	for {
		got, err := h.Read(t.Context(), after, make([]*gatecast.Event, 0, page))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			return seqs
		}
		for _, ev := range got {
			seqs = append(seqs, ev.Seq)
		}
		after = seqs[len(seqs)-1]
	}
}

func span(first, last gatecast.Seq) []gatecast.Seq {
	var s []gatecast.Seq
	for i := first; i <= last; i++ {
		s = append(s, i)
	}
	return s
}

func TestReaderOffTheRingReadsTheJournalAndMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal(5)
		h := start(t, j, Options{Ring: 4})
		j.append(95)
		synctest.Wait()
		if _, ok := h.Window(50, make([]*gatecast.Event, 0, 10)); ok {
			t.Error("the ring of 4 claims to hold what came after 50 of 100")
		}
		if diff := cmp.Diff(span(1, 100), drain(t, h, 0, 7)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestListenerIsToldOfEventsThatCameWhileItWasBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal(0)
		h := start(t, j, Options{})
		moved, stop := h.Listen()
		defer stop()
		synctest.Wait()
		j.append(1)
		<-moved
		j.append(2)
		synctest.Wait()
		<-moved
		if diff := cmp.Diff(span(1, 3), drain(t, h, 0, 10)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestHubGoesOnWhereItWasAfterTheJournalFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal(0)
		h := start(t, j, Options{Retry: time.Second})
		j.append(3)
		synctest.Wait()
		j.breakWith(errors.New("no answer"))
		synctest.Wait()
		if h.Healthy() == nil {
			t.Error("a hub that cannot follow the journal calls itself healthy")
		}
		j.append(3)
		j.breakWith(nil)
		<-time.After(2 * time.Second) // simulated: past the retry
		synctest.Wait()
		if err := h.Healthy(); err != nil {
			t.Errorf("still unhealthy after the journal came back: %v", err)
		}
		got, ok := h.Window(0, make([]*gatecast.Event, 0, 10))
		if !ok || len(got) != 6 {
			t.Errorf("ring holds %d events (complete: %v), want all 6", len(got), ok)
		}
	})
}

func TestHubJumpsOverWhatRetentionTookAndReadersGetTheGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal(2)
		h := start(t, j, Options{Retry: time.Second})
		synctest.Wait()
		j.breakWith(errors.New("away"))
		synctest.Wait()
		j.append(8)
		j.expire(6)
		j.breakWith(nil)
		<-time.After(5 * time.Second) // simulated: past the retries
		synctest.Wait()
		_, err := h.Read(t.Context(), 2, make([]*gatecast.Event, 0, 10))
		if gatecast.CodeOf(err) != gatecast.Gap {
			t.Errorf("reading over the loss gave %v, want a Gap", err)
		}
		if diff := cmp.Diff(span(6, 10), drain(t, h, 5, 10)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWindowIsTheJournalsTailWhateverThePositions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 9).Draw(t, "size")
		r := newRing(size, 0)
		var all []gatecast.Seq
		var seq gatecast.Seq
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			seq += gatecast.Seq(rapid.IntRange(1, 3).Draw(t, "step"))
			all = append(all, seq)
			r.push(&gatecast.Event{Seq: seq})
		}
		after := gatecast.Seq(rapid.IntRange(0, int(seq)+2).Draw(t, "after"))
		limit := rapid.IntRange(1, 12).Draw(t, "limit")
		var want []gatecast.Seq
		for _, s := range all {
			if s > after && len(want) < limit {
				want = append(want, s)
			}
		}
		inRing := len(all) <= size || after >= all[len(all)-size-1]
		got, ok := r.window(after, make([]*gatecast.Event, 0, limit))
		if ok != inRing {
			t.Fatalf("window(%d) complete: %v, want %v", after, ok, inRing)
		}
		if !ok {
			return
		}
		var seqs []gatecast.Seq
		for _, ev := range got {
			seqs = append(seqs, ev.Seq)
		}
		if diff := cmp.Diff(want, seqs); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestWindowAllocatesNothing(t *testing.T) {
	r := newRing(128, 0)
	for i := range gatecast.Seq(200) {
		r.push(&gatecast.Event{Seq: i + 1})
	}
	buf := make([]*gatecast.Event, 0, 64)
	if n := testing.AllocsPerRun(100, func() { buf, _ = r.window(150, buf[:0]) }); n != 0 {
		t.Errorf("window allocates %v times", n)
	}
}

func TestHubIsHealthyAgainBeforeTheNextEventComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newFakeJournal(3)
		h := start(t, j, Options{Retry: time.Second})
		synctest.Wait()
		j.breakWith(errors.New("no answer"))
		<-time.After(3 * time.Second) // simulated: some retries
		synctest.Wait()
		if h.Healthy() == nil {
			t.Error("a hub that cannot follow the journal calls itself healthy")
		}
		j.breakWith(nil)
		<-time.After(2 * time.Second) // simulated: past the retry
		synctest.Wait()
		if err := h.Healthy(); err != nil {
			t.Errorf("unhealthy until an event comes, which nobody sends to a server that is not ready: %v", err)
		}
	})
}

func TestRingHoldsNoMoreBytesThanItMayButAlwaysTheNewest(t *testing.T) {
	r := newRing(100, 0)
	r.maxBytes = 1000
	for i := range gatecast.Seq(20) {
		r.push(&gatecast.Event{Seq: i + 1, Data: make([]byte, 300)})
	}
	if _, ok := r.window(16, nil); ok {
		t.Error("four events of 300 bytes are held, 1000 bytes are allowed")
	}
	if got, ok := r.window(17, make([]*gatecast.Event, 0, 9)); !ok || len(got) != 3 {
		t.Errorf("%d events (complete: %v), want the newest 3", len(got), ok)
	}
	r.push(&gatecast.Event{Seq: 21, Data: make([]byte, 5000)})
	if got, ok := r.window(20, make([]*gatecast.Event, 0, 9)); !ok || len(got) != 1 {
		t.Errorf("%d events (complete: %v), want the one that is larger than the limit", len(got), ok)
	}
	r.reset(30)
	r.push(&gatecast.Event{Seq: 31, Data: make([]byte, 600)})
	r.push(&gatecast.Event{Seq: 32, Data: make([]byte, 300)})
	if got, ok := r.window(30, make([]*gatecast.Event, 0, 9)); !ok || len(got) != 2 {
		t.Errorf("after a reset: %d events (complete: %v), want 2", len(got), ok)
	}
}
