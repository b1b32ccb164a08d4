package reconcile

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gatecast/gatecast"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeJournal is a journal in memory and the hub before it, which sees an event
// only a while after it is on disk.
type fakeJournal struct {
	mu     sync.Mutex
	epoch  string
	lag    time.Duration
	first  gatecast.Seq // the oldest that is held
	events []gatecast.Event
	seen   gatecast.Seq // what the hub has
	bells  []chan struct{}
	fail   error
	refuse func(gatecast.Event) bool
	asked  int // positions that were read
}

func newFakeJournal() *fakeJournal { return &fakeJournal{epoch: "e1", first: 1} }

// margin is the default one.
const margin = 5 * time.Second

// dedup is as long as the journal knows an ID again.
const dedup = time.Hour

func (j *fakeJournal) Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := errors.Join(j.fail, ctx.Err()); err != nil {
		return gatecast.Receipt{}, err
	}
	var r gatecast.Receipt
	for _, e := range events {
		if j.refuse != nil && j.refuse(e) {
			return gatecast.Receipt{}, gatecast.Errorf(gatecast.TooLarge, "too large")
		}
	}
	for _, e := range events {
		if j.knows(e.ID) {
			r.Duplicates++
			continue
		}
		e.Seq, e.Stored = gatecast.Seq(len(j.events)+1), time.Now()
		j.events = append(j.events, e)
		r.Accepted++
		time.AfterFunc(j.lag, func() { j.show(e.Seq) })
	}
	return r, nil
}

func (j *fakeJournal) knows(id string) bool {
	return slices.ContainsFunc(j.events, func(e gatecast.Event) bool { return e.ID == id && time.Since(e.Stored) < dedup })
}

func (j *fakeJournal) show(seq gatecast.Seq) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seen = max(j.seen, seq)
	for _, b := range j.bells {
		select {
		case b <- struct{}{}:
		default:
		}
	}
}

func (j *fakeJournal) Head() gatecast.Seq {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.seen
}

func (j *fakeJournal) Read(_ context.Context, after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if after+1 < j.first {
		return nil, gatecast.Errorf(gatecast.Gap, "gone")
	}
	for i := after; i < j.seen && len(buf) < cap(buf); i++ {
		e := j.events[i]
		buf = append(buf, &e)
		j.asked++
	}
	return buf, nil
}

func (j *fakeJournal) Listen() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.bells = append(j.bells, c)
	return c, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.bells = slices.DeleteFunc(j.bells, func(b chan struct{}) bool { return b == c })
	}
}

func (j *fakeJournal) Extent(context.Context) (gatecast.Extent, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return gatecast.Extent{Epoch: j.epoch, First: j.first, Last: gatecast.Seq(len(j.events))}, nil
}

func (j *fakeJournal) Since(_ context.Context, t time.Time) (gatecast.Seq, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, e := range j.events {
		if !e.Stored.Before(t) {
			return max(gatecast.Seq(i), j.first-1), nil
		}
	}
	return gatecast.Seq(len(j.events)), nil
}

// ids counts what is in the journal, by ID.
func (j *fakeJournal) ids() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := make(map[string]int)
	for _, e := range j.events {
		n[e.ID]++
	}
	return n
}

// fakeSources is a registry.
type fakeSources struct {
	mu   sync.Mutex
	all  map[string]*gatecast.Source
	news []chan string
}

func (f *fakeSources) Source(name string) (*gatecast.Source, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.all[name]
	return s, ok
}

func (f *fakeSources) Sources() []*gatecast.Source {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []*gatecast.Source
	for _, s := range f.all {
		list = append(list, s)
	}
	return list
}

func (f *fakeSources) SourceChanges(ctx context.Context) iter.Seq[string] {
	c := make(chan string, 100)
	f.mu.Lock()
	f.news = append(f.news, c)
	f.mu.Unlock()
	return func(yield func(string) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case name := <-c:
				if !yield(name) {
					return
				}
			}
		}
	}
}

// set makes or changes a source; nil deletes it.
func (f *fakeSources) set(name string, s *gatecast.Source) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = make(map[string]*gatecast.Source)
	}
	if f.all[name] = s; s == nil {
		delete(f.all, name)
	}
	for _, c := range f.news {
		c <- name
	}
}

// fakeQuarantine keeps what it is given.
type fakeQuarantine struct {
	mu      sync.Mutex
	reasons []string
	bodies  [][]byte
}

func (q *fakeQuarantine) Put(_, reason string, body []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reasons, q.bodies = append(q.reasons, reason), append(q.bodies, slices.Clone(body))
}

// take returns one of what is kept.
func (q *fakeQuarantine) take(i int) gatecast.Quarantined {
	q.mu.Lock()
	defer q.mu.Unlock()
	return gatecast.Quarantined{Source: sourceName, Reason: q.reasons[i], Body: q.bodies[i]}
}

func (q *fakeQuarantine) count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.reasons)
}

// site is a source and everything around it.
type site struct {
	up         *fakeUpstream
	journal    *fakeJournal
	sources    *fakeSources
	quarantine *fakeQuarantine
	source     *gatecast.Source
	opts       Options

	rec  *Reconciler
	stop func()
}

const sourceName = "hq"

func newSite(dir string, o Options) *site {
	s := &site{up: newFakeUpstream(), journal: newFakeJournal(), sources: &fakeSources{}, quarantine: &fakeQuarantine{}, opts: o}
	s.source = &gatecast.Source{
		Name: sourceName, Created: time.Now(),
		Settings: gatecast.SourceSettings{
			Kind: gatecast.SourceWebSocket, AppKey: "k", AppSecret: "geheim",
			REST: gatecast.SourceREST{URL: "http://up", Style: gatecast.RESTv5, Every: 5 * time.Minute, Lookback: 24 * time.Hour},
		},
	}
	s.opts.Dir, s.opts.Transport = dir, s.up
	s.sources.set(sourceName, s.source)
	return s
}

// start runs a Reconciler; stop ends it.
func (s *site) start(t fataler) {
	rec, err := New(Parts{Sources: s.sources, Journal: s.journal, Hub: s.journal, Quarantine: s.quarantine}, s.opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = rec.Run(ctx) }()
	s.rec, s.stop = rec, func() { cancel(); <-done }
}

type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// push is what happens when the source pushes an event and it arrives.
func (s *site) push(t fataler, r *upstreamRow) {
	t.Helper()
	e := gatecast.Event{
		ID: r.eventID(), Kind: r.kind, At: r.at.Truncate(time.Second), Source: sourceName, Data: []byte(`{}`),
	}
	if _, err := s.journal.Append(context.Background(), []gatecast.Event{e}); err != nil {
		t.Fatal(err)
	}
}

func (s *site) change(change func(*gatecast.Source)) {
	next := *s.source
	change(&next)
	s.source = &next
	s.sources.set(sourceName, s.source)
}

func sleep(d time.Duration) { <-time.After(d) }
