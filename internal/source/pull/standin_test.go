package pull

import (
	"crypto/tls"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/standin"
)

// site is a stand-in for the vendor's server, as a rule on a real socket, and
// who follows it.
type site struct {
	*bench
	server *standin.Server
	added  int
}

// patience is how long a test waits for what must come. It decides only how
// late a broken test fails.
const patience = 2 * time.Minute

// until waits for something that happens on other goroutines.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func newSite(t *testing.T, so standin.Options, start func(*httptest.Server), change func(*gatecast.Source, *Options)) *site {
	t.Helper()
	s := &site{server: standin.New(so)}
	web := httptest.NewUnstartedServer(s.server)
	start(web)
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
		s.server.Close()
	})
	s.follow(t, web.URL, nil, change)
	return s
}

// simulated runs a test with a stand-in in time and on a network of its own.
func simulated(t *testing.T, so standin.Options, change func(*gatecast.Source, *Options), test func(*testing.T, *site)) {
	synctest.Test(t, func(t *testing.T) {
		pass(27 * 365 * 24 * time.Hour) // timestamps have 13 digits since 2001
		s := &site{server: standin.New(so)}
		network := serve(t, s.server)
		t.Cleanup(s.server.Close)
		s.follow(t, "http://gate.example", network, change)
		test(t, s)
	})
}

func (s *site) follow(t *testing.T, url string, network *pipes, change func(*gatecast.Source, *Options)) {
	src := upstream("hq")
	src.Settings.URL = strings.Replace(url, "http", "ws", 1)
	src.Settings.AppKey, src.Settings.AppSecret = s.server.AppKey(), s.server.AppSecret()
	o := Options{LoginsPerMinute: 1000, Rand: func() float64 { return 0.1 }}
	change(src, &o)
	s.bench = (&bench{sources: newRegistry(src), journal: &journal{}, shelf: &shelf{}, log: &logs{}}).run(t, network, o)
}

func (s *site) is(t *testing.T, status gatecast.SourceStatus) {
	t.Helper()
	until(t, "to become "+string(status), func() bool { return s.State("hq").Status == status })
}

// ready waits until the server pushes to us, which it does a moment after it has
// said welcome.
func (s *site) ready(t *testing.T) {
	t.Helper()
	heard := func() float64 { return testutil.ToFloat64(s.metrics.codes.WithLabelValues("hq")) }
	before := heard()
	until(t, "to be pushed something", func() bool {
		s.server.Push([]byte(`{"code":39999}`))
		return heard() > before
	})
}

// add has the server get records and alarms, and returns the IDs that the
// journal should have.
func (s *site) add(t *testing.T, n int) (ids []string) {
	t.Helper()
	for i := s.added; i < s.added+n; i++ {
		kind, data := gatecast.Record, standin.SampleRecord(i, time.Now())
		if i%5 == 4 {
			kind, data = gatecast.Alarm, standin.SampleAlarm(i/15, i/5%3+1, time.Now())
		}
		e, err := s.server.Add(kind, data)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, gatecast.UpstreamID("hq", e.Kind, e.ID, e.Status, e.Data))
	}
	s.added += n
	return ids
}

// has waits for the journal to have these events, in order, and no others.
func (s *site) has(t *testing.T, ids []string) {
	t.Helper()
	want := strings.Join(ids, " ")
	defer func() {
		if t.Failed() {
			t.Logf("the journal has %s\nwant %s\n%s", s.journal.stored(), want, s.log)
		}
	}()
	until(t, fmt.Sprintf("for %d events", len(ids)), func() bool { return s.journal.stored() == want })
}

func noChange(*gatecast.Source, *Options) {}

func TestAStandInIsFollowedOverTLS(t *testing.T) {
	s := newSite(t, standin.Options{}, (*httptest.Server).StartTLS, func(_ *gatecast.Source, o *Options) {
		o.TLS = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the test server's certificate is its own
	})
	s.ready(t)
	s.has(t, s.add(t, 100))
}

func TestACertificateThatNobodyVouchesForIsNotTrusted(t *testing.T) {
	s := newSite(t, standin.Options{}, (*httptest.Server).StartTLS, noChange)
	until(t, "for the reason", func() bool { return strings.Contains(s.State("hq").Reason, "certificate") })
	if st := s.State("hq"); st.Status != gatecast.SourceConnecting {
		t.Errorf("%+v", st)
	}
}

func TestAStandInThatMisbehavesIsFollowedAllTheSame(t *testing.T) {
	for name, m := range map[string]standin.Misbehaviour{
		"twice":    {Mode: standin.Twice},
		"rubbish":  {Mode: standin.Rubbish, N: 3},
		"renaming": {Mode: standin.Rename, From: "sn", To: "deviceSerial"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, standin.Options{}, (*httptest.Server).Start, noChange)
			s.ready(t)
			if err := s.server.Misbehave(m); err != nil {
				t.Fatal(err)
			}
			s.has(t, s.add(t, 60))
			if st := s.State("hq"); (st.Rubbish > 0) != (m.Mode == standin.Rubbish) {
				t.Errorf("%+v: %s", st, strings.Join(s.shelf.all(), "\n"))
			}
		})
	}
}

func TestAStandInThatCutsOrRestartsIsFollowedAgain(t *testing.T) {
	for _, m := range []standin.Misbehaviour{
		{Mode: standin.Drop},
		{Mode: standin.Restart, For: 300 * time.Millisecond},
	} {
		t.Run(string(m.Mode), func(t *testing.T) {
			connects := make(chan string, 100)
			s := newSite(t, standin.Options{}, (*httptest.Server).Start, func(_ *gatecast.Source, o *Options) {
				o.OnConnect = func(name string) { connects <- name }
			})
			<-connects
			s.ready(t)
			ids := s.add(t, 10)
			s.has(t, ids)
			if err := s.server.Misbehave(m); err != nil {
				t.Fatal(err)
			}
			<-connects
			s.ready(t)
			s.has(t, append(ids, s.add(t, 10)...))
		})
	}
}

func TestAStandInThatHangsIsDialledAnew(t *testing.T) {
	var connects int
	change := func(_ *gatecast.Source, o *Options) { o.OnConnect = func(string) { connects++ } }
	simulated(t, standin.Options{}, change, func(t *testing.T, s *site) {
		s.ready(t)
		pass(time.Hour) // its heartbeats keep the connection
		if err := s.server.Misbehave(standin.Misbehaviour{Mode: standin.Silent}); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Minute)
		s.ready(t)
		s.has(t, s.add(t, 10))
		if connects != 2 {
			t.Errorf("it was dialled %d times, want twice", connects)
		}
	})
}

func TestAStandInThatPushesNothingIsSuspectedAndFollowedAgain(t *testing.T) {
	connects := make(chan string, 100)
	s := newSite(t, standin.Options{Heartbeat: 50 * time.Millisecond}, (*httptest.Server).Start, func(_ *gatecast.Source, o *Options) {
		o.OnConnect = func(name string) { connects <- name }
	})
	<-connects
	s.ready(t)
	if err := s.server.Misbehave(standin.Misbehaviour{Mode: standin.Stall}); err != nil {
		t.Fatal(err)
	}
	s.add(t, 5)
	s.Suspect("hq", "5 events were not pushed")
	if st := s.State("hq"); st.Status != gatecast.SourceStalled || st.Reason != "5 events were not pushed" {
		t.Errorf("%+v", st)
	}
	<-connects
	s.ready(t)
	s.has(t, s.add(t, 5))
	s.is(t, gatecast.SourceLive)
}

func TestAStandInThatRefusesIsLeftAlone(t *testing.T) {
	for desc, m := range map[string]standin.Misbehaviour{
		"login too frequent": {Mode: standin.Logins, N: 1},
		"timestamp expired":  {Mode: standin.Clock},
	} {
		t.Run(desc, func(t *testing.T) {
			s := newSite(t, standin.Options{}, (*httptest.Server).Start, noChange)
			s.ready(t)
			if err := s.server.Misbehave(m); err != nil {
				t.Fatal(err)
			}
			until(t, "to be refused", func() bool {
				s.cut(t)
				return s.State("hq").Status == gatecast.SourceRefused
			})
			if reason := s.State("hq").Reason; !strings.Contains(reason, desc) {
				t.Errorf("%q", reason)
			}
		})
	}
}

func (s *site) cut(t *testing.T) {
	t.Helper()
	if err := s.server.Misbehave(standin.Misbehaviour{Mode: standin.Drop}); err != nil {
		t.Fatal(err)
	}
}

func TestAStandInDoesNotLetInWhoHasAWrongSecret(t *testing.T) {
	s := newSite(t, standin.Options{}, (*httptest.Server).Start, func(src *gatecast.Source, _ *Options) {
		src.Settings.AppSecret = "7ba41f9a8ac98f2c16ee904bc7ea624c"
	})
	s.is(t, gatecast.SourceRefused)
	if reason := s.State("hq").Reason; !strings.Contains(reason, "sign wrong") {
		t.Errorf("%q", reason)
	}
}

func TestAnotherCompanysEventsAreNotTaken(t *testing.T) {
	s := newSite(t, standin.Options{Company: 4}, (*httptest.Server).Start, func(src *gatecast.Source, _ *Options) {
		src.Settings.Company = 5
	})
	s.ready(t)
	s.add(t, 5)
	e, err := s.server.Add(gatecast.Record, []byte(`{"id":0,"name":"ours","companyId":5}`))
	if err != nil {
		t.Fatal(err)
	}
	s.has(t, []string{gatecast.UpstreamID("hq", e.Kind, e.ID, 0, nil)})
}
