package push

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/senselink"
)

const token = "t0ken-of-the-office"

// registry knows one source.
type registry struct{ office gatecast.Source }

func (r *registry) Source(name string) (*gatecast.Source, bool) {
	return &r.office, name == r.office.Name
}

func (r *registry) SourceByToken(hash [32]byte) (*gatecast.Source, bool) {
	return &r.office, hash == auth.HashToken(r.office.Token)
}

// attic is a quarantine that keeps everything.
type attic struct {
	mu            sync.Mutex
	reasons, kept []string
}

func (a *attic) Put(source, reason string, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reasons, a.kept = append(a.reasons, source+": "+reason), append(a.kept, string(body))
}

type site struct {
	http.Handler
	*Receiver
	journal *journal
	sources *registry
	attic   *attic
	log     bytes.Buffer
	heard   []string // by OnConnect
}

func newSite(o Options) *site {
	s := &site{journal: &journal{}, attic: &attic{}, sources: &registry{gatecast.Source{
		Name: "office", Token: token, Created: time.Unix(1_700_000_000, 0),
		Settings: gatecast.SourceSettings{Kind: gatecast.SourceSubscription, Company: 7},
	}}}
	o.Log = slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.Receiver = NewReceiver(New(s.journal, o), s.sources, s.attic, ReceiverOptions{
		OnConnect: func(name string) { s.heard = append(s.heard, name) },
	})
	mux := http.NewServeMux()
	mux.Handle("POST /ingest/senselink/{token}", s.Receiver)
	s.Handler = mux
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.Handler.ServeHTTP(w, r) }

func (s *site) post(body string, headers ...string) *httptest.ResponseRecorder {
	return s.postTo(token, body, headers...)
}

func (s *site) postTo(token, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/ingest/senselink/"+token, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func thanked(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code != 200 || w.Body.String() != thanks {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

const numbered = `{"eventType":"30000","messageId":"m-1","sendTime":1583726626015,"data":{"id":5,"companyId":7}}`

func TestAServersEventsHaveTheIDsThatALookAtItGivesThem(t *testing.T) {
	nameless := `{ "x" : 1 }`
	long := strings.Repeat("m", 128)
	for body, want := range map[string]string{
		numbered: "office:record:5",
		`{"eventType":30100,"data":{"id":9,"status":2}}`:                                "office:alarm:9:2",
		`{"code":"30000","desc":"","message":"push record","data":{"id":6}}`:            "office:record:6",
		`[` + numbered + `,{"eventType":30000,"messageId":"m-2","data":{"id":6}}]`:      "office:record:5 office:record:6",
		`{"eventType":30000,"messageId":"m-3","data":{}}`:                               "office:m-3",
		`{"eventType":30000,"messageId":"record:5","data":{"id":0}}`:                    messageIdentity("office", "record:5"),
		`{"eventType":30000,"messageId":"` + long + `","data":{"id":0}}`:                messageIdentity("office", long),
		"\xef\xbb\xbf" + `{"eventType":30000,"messageId":null,"data":` + nameless + `}`: gatecast.UpstreamID("office", gatecast.Record, 0, 0, []byte(nameless)),
		`{"eventType":30000,"messageId":"other","data":{"id":8,"companyId":8}}`:         "",
		`[]`: "",
	} {
		s := newSite(Options{})
		for range 2 {
			thanked(t, s.post(body, "Content-Type", "text/html; charset=latin1"))
		}
		if got := s.journal.stored(); got != want {
			t.Errorf("%s: stored %q, want %q", body, got, want)
		}
		for _, e := range s.journal.events {
			if e.Source != "office" || len(e.ID) > 128 {
				t.Errorf("%+v", e)
			}
		}
	}
}

func TestATokenThatIsNobodysIsAnsweredUnreadAndUnlogged(t *testing.T) {
	s := newSite(Options{})
	s.sources.office.Paused = "holidays"
	r := httptest.NewRequest(http.MethodPost, "/ingest/senselink/s3cret", untouched{t})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	refusal(t, w, 404)
	if other := s.postTo("another", "x"); other.Body.String() != w.Body.String() {
		t.Errorf("answers differ: %s and %s", other.Body, w.Body)
	}
	if s.log.Len() > 0 || len(s.attic.kept) > 0 {
		t.Errorf("log %q, kept %q", &s.log, s.attic.kept)
	}
	if got := testutil.ToFloat64(s.Receiver.metrics.strangers); got != 2 {
		t.Errorf("counted %v", got)
	}
}

func TestATokenOfAnotherKindOfSourceOpensNothing(t *testing.T) {
	s := newSite(Options{})
	s.sources.office.Settings.Kind = gatecast.SourceWebSocket
	refusal(t, s.post(numbered), 404)
}

func TestHowASourceStands(t *testing.T) {
	s := newSite(Options{})
	want := func(status gatecast.SourceStatus, reason string) gatecast.SourceState {
		t.Helper()
		st := s.State("office")
		if st.Status != status || !strings.Contains(st.Reason, reason) || st.Since.IsZero() {
			t.Errorf("%+v, want %s because of %q", st, status, reason)
		}
		return st
	}
	want(gatecast.SourceWaiting, "yet")
	thanked(t, s.post(numbered))
	if st := want(gatecast.SourceLive, ""); st.Events != 1 || st.LastEvent.IsZero() || st.LastSign.IsZero() {
		t.Errorf("%+v", st)
	}
	refusal(t, s.post("{"), 400)
	if st := want(gatecast.SourceWaiting, "may post nothing more"); st.Rubbish != 1 {
		t.Errorf("%+v", st)
	}
	s.sources.office.Paused = "holidays"
	refusal(t, s.post(numbered), 503)
	want(gatecast.SourcePaused, "holidays")
	s.sources.office.Paused = ""
	want(gatecast.SourceWaiting, "since the pause")
	thanked(t, s.post(numbered))
	want(gatecast.SourceLive, "")
	s.sources.office.Created = s.sources.office.Created.Add(time.Hour) // deleted and made anew
	if st := want(gatecast.SourceWaiting, "yet"); st.Events != 0 {
		t.Errorf("%+v", st)
	}
}

func TestASourceThatPostsNothingMoreIsStalledUntilItPostsAgain(t *testing.T) {
	s := newSite(Options{})
	want := func(status gatecast.SourceStatus, reason string, heard int) {
		t.Helper()
		st := s.State("office")
		if st.Status != status || !strings.Contains(st.Reason, reason) || len(s.heard) != heard {
			t.Errorf("%+v, want %s because of %q; heard %q", st, status, reason, s.heard)
		}
	}
	s.Suspect("office", "5 events were not pushed")
	want(gatecast.SourceWaiting, "yet", 0)
	thanked(t, s.post(numbered))
	want(gatecast.SourceLive, "", 1)
	s.Suspect("nobody", "5 events were not pushed")
	want(gatecast.SourceLive, "", 1)
	s.Suspect("office", "5 events were not pushed")
	want(gatecast.SourceStalled, "5 events were not pushed", 1)
	thanked(t, s.post(numbered))
	thanked(t, s.post(numbered))
	want(gatecast.SourceLive, "", 2)
	s.Suspect("office", "5 events were not pushed")
	refusal(t, s.post("{"), 400)
	want(gatecast.SourceWaiting, "may post nothing more", 2)
	thanked(t, s.post(numbered))
	want(gatecast.SourceLive, "", 3)
}

func TestOtherSendersDoNotCrowdASourceOut(t *testing.T) {
	s := newSite(Options{MaxInflight: 1000, Decode: senselink.Options{MaxBody: 1000}})
	s.door.budget.used = 1000
	refusal(t, post(s.door, numbered, "application/json"), 503)
	thanked(t, s.post(numbered))
	s.budget.used = 1000
	refusal(t, s.post(numbered), 503)
}

func TestWhatCannotBeUnderstoodIsRefusedAndKept(t *testing.T) {
	huge := `{"eventType":30000,"data":{"x":"` + strings.Repeat("x", 2000) + `"}}`
	for body, status := range map[string]int{
		"": 400, "hello": 400, numbered[:30]: 400, "\xff": 400, `{"eventType":30000,"data":{"id":1,"id":1}}`: 400,
		`{"eventType":99,"data":{}}`: 422, `5`: 422, huge: 413,
	} {
		s := newSite(Options{Decode: senselink.Options{MaxBody: 1000}})
		refusal(t, s.post(body), status)
		if len(s.attic.kept) != 1 || !strings.HasPrefix(body, s.attic.kept[0][:min(1000, len(s.attic.kept[0]))]) || s.journal.calls != 0 {
			t.Errorf("%.40q: kept %.60q", body, s.attic.kept)
		}
		if strings.Contains(s.log.String(), token) {
			t.Errorf("the log tells the token: %s", &s.log)
		}
		if s.budget.used != 0 {
			t.Errorf("%d bytes still reserved", s.budget.used)
		}
	}
	s := newSite(Options{})
	refusal(t, s.post(numbered, "Content-Encoding", "br"), 415)
	refusal(t, s.post(numbered, "Content-Encoding", "gzip"), 400)
	thanked(t, s.post(zipped(t, numbered), "Content-Encoding", "gzip"))
	if len(s.attic.kept) != 2 {
		t.Errorf("kept %q", s.attic.reasons)
	}
}

func TestWhatTheJournalWillNeverTakeIsKept(t *testing.T) {
	s := newSite(Options{})
	s.journal.fail = gatecast.Errorf(gatecast.TooLarge, "too large for the journal")
	refusal(t, s.post(numbered), 413)
	if len(s.attic.kept) != 1 || s.attic.kept[0] != numbered || s.journal.calls != 1 {
		t.Errorf("kept %q after %d calls", s.attic.kept, s.journal.calls)
	}
}

// later is a journal that takes nothing until a moment.
type later struct {
	journal
	from   time.Time
	hangs  bool
	checks int
}

func (l *later) Accepting() error {
	if l.checks++; !l.hangs && time.Now().Before(l.from) {
		return crowded()
	}
	return nil
}

func (l *later) Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error) {
	if time.Now().Before(l.from) {
		<-ctx.Done()
		return gatecast.Receipt{}, &gatecast.Error{Code: gatecast.Unavailable, Message: "no answer", Cause: ctx.Err()}
	}
	return l.journal.Append(ctx, events)
}

func TestAShortOutageOfTheJournalHoldsPostsUpAndALongOneRefusesThemInTime(t *testing.T) {
	for name, test := range map[string]struct {
		outage, least, most time.Duration
		hangs               bool
		status              int
	}{
		"2 s":      {2 * time.Second, 2 * time.Second, 2500 * time.Millisecond, false, 200},
		"a minute": {time.Minute, 3 * time.Second, 4 * time.Second, false, 503},
		"it hangs": {time.Minute, 4 * time.Second, 4 * time.Second, true, 503},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, began := newSite(Options{}), time.Now()
				j := &later{from: began.Add(test.outage), hangs: test.hangs}
				s.door.journal = j
				w := s.post(numbered)
				if took := time.Since(began); took < test.least || took > test.most || w.Code != test.status {
					t.Errorf("%d after %v", w.Code, took)
				}
				if stored := j.stored(); (stored == "office:record:5") != (test.status == 200) || len(s.attic.kept) > 0 {
					t.Errorf("stored %q, kept %q", stored, s.attic.kept)
				}
			})
		})
	}
}

func TestAServerThatPostsSlowlyIsSentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(Options{ReadTimeout: 10 * time.Second})
		conn := serve(t, s)
		fmt.Fprintf(conn, "POST /ingest/senselink/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{", token)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		if answer.StatusCode != 503 || len(s.attic.kept) > 0 || s.budget.used != 0 {
			t.Errorf("%d, kept %q", answer.StatusCode, s.attic.kept)
		}
	})
}

func TestABodyThatCameSlowlyIsStoredAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(Options{})
		conn := serve(t, s)
		fmt.Fprintf(conn, "POST /ingest/senselink/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n{", token, len(numbered))
		time.Sleep(8 * time.Second) // simulated
		_, _ = io.WriteString(conn, numbered[1:])
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		if answer.StatusCode != 200 || s.journal.stored() != "office:record:5" {
			t.Errorf("%d, stored %q", answer.StatusCode, s.journal.stored())
		}
	})
}

func TestAMessageInTheQuarantineCanBeTriedAgain(t *testing.T) {
	s := newSite(Options{})
	r, err := s.Inject(t.Context(), gatecast.Quarantined{Source: "office", Body: []byte(numbered)})
	if err != nil || r.Accepted != 1 || s.journal.stored() != "office:record:5" {
		t.Errorf("%+v, %v", r, err)
	}
	for source, want := range map[string]gatecast.Code{"office": gatecast.Malformed, "gone": gatecast.NotFound} {
		if _, err := s.Inject(t.Context(), gatecast.Quarantined{Source: source, Body: []byte("{")}); gatecast.CodeOf(err) != want {
			t.Errorf("%s: %v", source, err)
		}
	}
	if len(s.attic.kept) > 0 {
		t.Error("it was kept a second time")
	}
}

func TestPostsAreCountedBySource(t *testing.T) {
	s := newSite(Options{})
	all := prometheus.NewPedanticRegistry()
	all.MustRegister(s.Receiver.Metrics()...)
	all.MustRegister(s.door.Metrics()...) // no name stands twice
	s.post(numbered)
	s.post(numbered)
	s.post("{")
	m := s.Receiver.metrics
	for what, c := range map[string]prometheus.Collector{
		"events": m.events.WithLabelValues("office", "record"), "refused": m.refused.WithLabelValues("office", "malformed"),
		"duplicates": m.duplicates.WithLabelValues("office"), "rubbish": m.rubbish.WithLabelValues("office"),
	} {
		want := 1.0
		if what == "events" {
			want = 2
		}
		if got := testutil.ToFloat64(c); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
}

// Whatever is posted: it is stored whole or refused, and what is refused is
// kept.
func FuzzReceiver(f *testing.F) {
	for _, body := range []string{numbered, "[" + numbered + "]", "", "{", "\xef\xbb\xbf{}", `{"eventType":30000,"data":null}`, `[{"data":{"id":1},"eventType":30100}]`} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, lines bool) {
		s := newSite(Options{})
		media := "application/json"
		if lines {
			media = "application/x-ndjson"
		}
		w := s.post(string(body), "Content-Type", media)
		if w.Code == 200 && len(s.attic.kept) > 0 || w.Code != 200 && (len(s.attic.kept) != 1 || s.journal.calls > 0) {
			t.Fatalf("%d, kept %q", w.Code, s.attic.kept)
		}
		if strings.Contains(s.attic.reason(), "not valid JSON") {
			if _, err := s.door.decoder.Decode(bytes.NewReader(body), map[bool]senselink.Format{true: senselink.NDJSON}[lines], time.Now()); err == nil {
				t.Fatalf("the decoder takes %q, the receiver does not: %s", body, s.attic.reason())
			}
		}
		for _, e := range s.journal.events {
			if !strings.HasPrefix(e.ID, "office:") || len(e.ID) > 128 {
				t.Fatalf("ID %q", e.ID)
			}
		}
	})
}

func (a *attic) reason() string { return strings.Join(a.reasons, " ") }
