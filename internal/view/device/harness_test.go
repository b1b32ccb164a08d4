package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gatecast/gatecast"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal is a journal in memory, and the hub before it.
type journal struct {
	mu     sync.Mutex
	epoch  string
	first  gatecast.Seq // the oldest that is held
	events []gatecast.Event
	bells  []chan struct{}
	fail   error
}

func (j *journal) Append(_ context.Context, events []gatecast.Event) (gatecast.Receipt, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail != nil {
		return gatecast.Receipt{}, j.fail
	}
	for _, e := range events {
		e.Stored = time.Now()
		j.add(e)
	}
	for _, b := range j.bells {
		select {
		case b <- struct{}{}:
		default:
		}
	}
	return gatecast.Receipt{Accepted: len(events), Last: gatecast.Seq(len(j.events))}, nil
}

func (j *journal) add(e gatecast.Event) {
	e.Seq = gatecast.Seq(len(j.events) + 1)
	j.events = append(j.events, e)
}

func (j *journal) Head() gatecast.Seq {
	j.mu.Lock()
	defer j.mu.Unlock()
	return gatecast.Seq(len(j.events))
}

func (j *journal) Read(_ context.Context, after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if after+1 < j.first {
		return nil, gatecast.Errorf(gatecast.Gap, "gone")
	}
	for i := int(after); i < len(j.events) && len(buf) < cap(buf); i++ {
		buf = append(buf, &j.events[i])
	}
	return buf, j.fail
}

func (j *journal) Listen() (<-chan struct{}, func()) {
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

func (j *journal) Extent(context.Context) (gatecast.Extent, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return gatecast.Extent{Epoch: j.epoch, First: max(j.first, 1), Last: gatecast.Seq(len(j.events))}, j.fail
}

func (j *journal) set(change func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change()
}

// servers is how the sources stand.
type servers struct {
	mu  sync.Mutex
	all map[string]gatecast.SourceState
}

func (s *servers) State(name string) gatecast.SourceState {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.all[name]
	if st.Status == gatecast.SourceLive || st.Status == gatecast.SourceStalled {
		st.LastSign = time.Now() // heartbeats
	}
	return st
}

func (s *servers) Names() (names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.all {
		names = append(names, name)
	}
	return names
}

func (s *servers) set(name string, st gatecast.SourceState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[name] = st
}

// site is a company with gates, whose people come on working days from 8 to 18.
type site struct {
	*Tracker
	t       *testing.T
	zone    *time.Location
	journal *journal
	servers *servers
	dice    *rand.Rand
	opts    Options
	gates   []gate
	log     bytes.Buffer
	stop    func()

	mu       sync.Mutex
	suspects []string
}

// gate is a device through which so many people come in an hour.
type gate struct {
	sn, source string
	rate       float64
}

// sixGates belong to one server, and two to another.
func sixGates() []gate {
	return []gate{
		{"g1", "hq", 60},
		{"g2", "hq", 60},
		{"g3", "hq", 20},
		{"g4", "hq", 12},
		{"g5", "hq", 6},
		{"g6", "hq", 30},
		{"y1", "yard", 30},
		{"y2", "yard", 30},
	}
}

// newSite is a site with so many weeks behind it, up to now.
func newSite(t *testing.T, zone *time.Location, weeks int, gates ...gate) *site {
	t.Helper()
	s := &site{
		t: t, zone: zone, journal: &journal{epoch: "e1"}, servers: &servers{all: map[string]gatecast.SourceState{}},
		dice: rand.New(rand.NewPCG(7, 7)), gates: gates, opts: Options{Zone: zone, Every: time.Minute},
	}
	for _, g := range gates {
		s.servers.set(g.source, gatecast.SourceState{Status: gatecast.SourceLive})
	}
	now := time.Now()
	for at := now.Add(-time.Duration(weeks) * week * time.Hour); at.Before(now); at = at.Add(time.Minute) {
		for _, e := range s.minute(at, everybody) {
			e.Stored = e.At
			s.journal.add(e)
		}
	}
	return s
}

func everybody(gate) bool { return true }

func but(sn string) func(gate) bool { return func(g gate) bool { return g.sn != sn } }

// minute is what happens at the gates in a minute.
func (s *site) minute(at time.Time, open func(gate) bool) (events []gatecast.Event) {
	local := at.In(s.zone)
	if wd := local.Weekday(); wd == time.Saturday || wd == time.Sunday || local.Hour() < 8 || local.Hour() >= 18 {
		return nil
	}
	for _, g := range s.gates {
		if s.dice.Float64() < g.rate/60 && open(g) {
			events = append(events, passage(g.sn, g.source, at))
		}
	}
	return events
}

func passage(sn, source string, at time.Time) gatecast.Event {
	return gatecast.Event{
		ID: fmt.Sprintf("%s-%d", sn, at.UnixNano()), Kind: gatecast.Record, Device: sn, Source: source, At: at,
		Data: fmt.Appendf(nil, `{"deviceName":"Gate %s","location":"1F","sn":%q}`, sn, sn),
	}
}

func offline(sn, source, trace string, status int, at time.Time) gatecast.Event {
	return gatecast.Event{
		ID: fmt.Sprintf("%s:%s:%d", source, trace, status), Kind: gatecast.Alarm, Device: sn, Source: source, At: at,
		Data: fmt.Appendf(nil, `{"code":30001,"status":%d,"traceId":%q,"deviceSn":%q,"deviceId":77}`, status, trace, sn),
	}
}

// run starts the tracker; it has read what there is when it returns.
func (s *site) run() *site {
	s.t.Helper()
	o := s.opts
	o.Log = slog.New(slog.NewTextHandler(&s.log, nil))
	o.Suspect = func(name, why string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.suspects = append(s.suspects, name+": "+why)
	}
	s.Tracker = New(Parts{s.journal, s.journal, s.servers}, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
			s.t.Errorf("Run: %v", err)
		}
	}()
	var once sync.Once
	s.stop = func() { once.Do(func() { cancel(); <-done }) }
	s.t.Cleanup(s.stop)
	synctest.Wait()
	return s
}

// live lets time pass, and people come at the gates that are open.
func (s *site) live(d time.Duration, open func(gate) bool) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		<-time.After(time.Minute)
		if events := s.minute(time.Now(), open); len(events) > 0 {
			s.post(events...)
		}
		synctest.Wait()
	}
}

func (s *site) post(events ...gatecast.Event) {
	s.t.Helper()
	if _, err := s.journal.Append(s.t.Context(), events); err != nil {
		s.t.Error(err)
	}
	synctest.Wait()
}

// until lets people come until a moment of the site's week.
func (s *site) until(day time.Weekday, hour int, open func(gate) bool) {
	for {
		local := time.Now().In(s.zone)
		if local.Weekday() == day && local.Hour() == hour {
			return
		}
		s.live(time.Minute, open)
	}
}

// state is how a device stands.
func (s *site) state(sn string) gatecast.Freshness {
	s.t.Helper()
	d, _, there := s.Device(sn)
	if !there {
		s.t.Fatalf("%s is not known", sn)
	}
	return d.Freshness
}

// want checks how the devices stand.
func (s *site) want(state gatecast.Fresh, sns ...string) {
	s.t.Helper()
	for _, sn := range sns {
		if f := s.state(sn); f.State != state {
			s.t.Errorf("%v: %s is %s (%s), want %s", time.Now().In(s.zone).Format("Mon 15:04"), sn, f.State, f.Why, state)
		}
	}
}

func (s *site) wantSource(name string, state gatecast.Fresh) {
	s.t.Helper()
	if f := s.SourceFreshness(name); f.State != state {
		s.t.Errorf("%v: source %s is %s (%s), want %s", time.Now().In(s.zone).Format("Mon 15:04"), name, f.State, f.Why, state)
	}
}

// simulate runs a test in simulated time, which begins on Monday 2000-01-03 at 7
// o'clock in a zone.
func simulate(t *testing.T, zone string, test func(t *testing.T, zone *time.Location)) {
	t.Helper()
	where, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(time.Date(2000, 1, 3, 7, 0, 0, 0, where)))
		test(t, where)
	})
}

// synctestAt is simulate from another moment.
func synctestAt(t *testing.T, zone string, at time.Time, test func(t *testing.T, zone *time.Location)) {
	t.Helper()
	where, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(at))
		test(t, where)
	})
}
