package push

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
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
	"github.com/gatecast/gatecast/senselink"
)

func zipped(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestASenderIsToldWhatBecameOfItsEvents(t *testing.T) {
	j := &journal{}
	h := New(j, Options{})
	batch := "[" + event("a") + "," + event("b") + "]"
	for _, want := range []string{
		`{"accepted":2,"duplicates":0,"first":41,"last":42}`,
		`{"accepted":0,"duplicates":2,"first":0,"last":0}`,
	} {
		w := post(h, batch, "application/json")
		if w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("%d %s, want %s", w.Code, w.Body, want)
		}
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("content type %q", got)
		}
	}
	if j.stored() != "a b" || j.events[0].Source != Source || string(j.events[1].Data) != `{"id":1,"name":"見本 花子"}` {
		t.Errorf("stored %+v", j.events)
	}
}

func TestEveryWayToPackEventsIsUnderstood(t *testing.T) {
	lines := event("a") + "\n" + event("b") + "\n"
	for _, v := range []struct {
		name, body, contentType, encoding, want string
	}{
		{"one", event("a"), "application/json", "", "a"},
		{"charset", event("a"), "Application/JSON; charset=UTF-8", "identity", "a"},
		{"no content type", "[" + event("a") + "]", "", "", "a"},
		{"lines", lines, "application/x-ndjson", "", "a b"},
		{"gzip", zipped(t, lines), "application/x-ndjson", "gzip", "a b"},
		{"two gzip members", zipped(t, event("a")+"\n") + zipped(t, event("b")), "application/x-ndjson", "GZIP", "a b"},
		{"nothing", "[]", "application/json", "", ""},
	} {
		j := &journal{}
		w := post(New(j, Options{}), v.body, v.contentType, "Content-Encoding", v.encoding)
		if w.Code != http.StatusOK || j.stored() != v.want {
			t.Errorf("%s: %d %s, stored %q, want %q", v.name, w.Code, w.Body, j.stored(), v.want)
		}
	}
}

func TestOtherMediaAreRefusedWithTheRemedy(t *testing.T) {
	for _, v := range []struct{ contentType, encoding, remedy string }{
		{"application/x-www-form-urlencoded", "", "application/x-ndjson"},
		{"text/plain", "", "application/json"},
		{"application/json; charset=shift_jis", "", "UTF-8"},
		{"application/json;;;=", "", "application/json"},
		{"application/json", "br", "gzip"},
	} {
		j := &journal{}
		d := refusal(t, post(New(j, Options{}), event("a"), v.contentType, "Content-Encoding", v.encoding), 415)
		if d.Code != "invalid" || !strings.Contains(d.Remedy, v.remedy) || j.calls != 0 {
			t.Errorf("%+v: %+v", v, d)
		}
	}
}

func TestABatchIsStoredAsAWholeOrNotAtAll(t *testing.T) {
	j := &journal{}
	body := event("a") + "\n" + `{"eventType":30000,"data":{"signTime":"now"}}` + "\n" + event("c")
	d := refusal(t, post(New(j, Options{}), body, "application/x-ndjson"), 422)
	if d.Index == nil || *d.Index != 1 || d.Path != "/data/signTime" {
		t.Errorf("points at %+v", d)
	}
	if j.calls != 0 {
		t.Errorf("the journal was asked to store %q", j.stored())
	}
}

func TestMalformedBodiesAreRefused(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "no JSON": "hello", "cut off": event("a")[:30],
		"no UTF-8": strings.Replace(event("a"), "見", "\xff", 1),
		"doubled":  strings.Replace(event("a"), `"id":1`, `"id":1,"id":2`, 1),
	} {
		if d := refusal(t, post(New(&journal{}, Options{}), body, "application/json"), 400); d.Code != "malformed" {
			t.Errorf("%s: %+v", name, d)
		}
	}
	for name, body := range map[string]string{
		"no gzip": event("a"), "empty": "", "cut off": zipped(t, event("a"))[:40],
		"checksum": zipped(t, event("a"))[:len(zipped(t, event("a")))-8] + "12345678",
	} {
		d := refusal(t, post(New(&journal{}, Options{}), body, "", "Content-Encoding", "gzip"), 400)
		if d.Code != "malformed" || !strings.Contains(d.Detail, "gzip") {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// untouched is a body that must not be read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestOversizeBodiesAreRefused(t *testing.T) {
	o := Options{Decode: senselink.Options{MaxBody: 1000}}
	big := event("a") + strings.Repeat(" ", 1000)

	announced := httptest.NewRequest(http.MethodPost, "/", untouched{t})
	announced.ContentLength = 1001
	chunked := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(big))
	chunked.ContentLength = -1
	bomb := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(zipped(t, big)))
	bomb.Header.Set("Content-Encoding", "gzip")
	// Members without content never inflate to anything, however many come.
	idle := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat(zipped(t, ""), 100)))
	idle.ContentLength = -1
	idle.Header.Set("Content-Encoding", "gzip")
	for name, r := range map[string]*http.Request{"announced": announced, "chunked": chunked, "bomb": bomb, "idle": idle} {
		j := &journal{}
		w := httptest.NewRecorder()
		New(j, o).ServeHTTP(w, r)
		d := refusal(t, w, 413)
		if !strings.Contains(d.Remedy, "ingest.max_body") || j.calls != 0 {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestAJournalThatCannotStoreIsReportedAsSuch(t *testing.T) {
	full := gatecast.Errorf(gatecast.Unavailable, "the disk is nearly full")
	w := post(New(&journal{fail: fmt.Errorf("append: %w", full)}, Options{}), event("a"), "application/json")
	refusal(t, w, 503)
	if w.Header().Get("Retry-After") == "" {
		t.Errorf("no Retry-After: %v", w.Header())
	}
	w = post(New(&journal{fail: errors.New("s3cret path")}, Options{}), event("a"), "application/json")
	refusal(t, w, 500)
	if strings.Contains(w.Body.String(), "s3cret") {
		t.Errorf("tells its cause: %s", w.Body)
	}
}

func TestASlowSenderIsSentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		h := New(j, Options{ReadTimeout: 10 * time.Second})
		conn := serve(t, h)
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n[")
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "ingest.read_timeout") {
			t.Errorf("%d %v %s", answer.StatusCode, answer.Header, body)
		}
		if j.calls != 0 || h.budget.used != 0 {
			t.Errorf("%d calls, %d bytes still reserved", j.calls, h.budget.used)
		}
	})
}

func TestTheDeadlineOfSendersIsNotTheJournals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{wait: func(ctx context.Context) error {
			select {
			case <-time.After(time.Minute):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		conn := serve(t, New(j, Options{ReadTimeout: 10 * time.Second, StoreTimeout: time.Hour}))
		answers := bufio.NewReader(conn)
		for _, id := range []string{"a", "b"} { // the second on the same connection
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(event(id)), event(id))
			answer, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			if answer.StatusCode != 200 {
				t.Errorf("%d %s", answer.StatusCode, body)
			}
		}
	})
}

// silence is a journal that never answers.
type silence struct{}

func (silence) Append(ctx context.Context, _ []gatecast.Event) (gatecast.Receipt, error) {
	<-ctx.Done()
	return gatecast.Receipt{}, &gatecast.Error{Code: gatecast.Unavailable, Message: "no answer", Cause: ctx.Err()}
}

func (silence) Accepting() error { return nil }

func TestASenderIsNotKeptWaitingByAJournalThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(silence{}, Options{StoreTimeout: 3 * time.Second})
		began := time.Now()
		w := post(h, event("a"), "application/json")
		refusal(t, w, http.StatusServiceUnavailable)
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("the answer took %v of simulated time, want the limit of 3s", took)
		}
		if w.Header().Get("Retry-After") == "" {
			t.Error("the answer does not say when to try again")
		}
	})
}

func TestBodiesBeyondTheMemoryAreToldToComeBack(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	j := &journal{wait: func(context.Context) error {
		entered <- struct{}{}
		<-release
		return nil
	}}
	size := int64(len(event("a")))
	h := New(j, Options{MaxInflight: size + 10, Decode: senselink.Options{MaxBody: size}})
	var first sync.WaitGroup
	first.Go(func() {
		if w := post(h, event("a"), "application/json"); w.Code != 200 {
			t.Errorf("first: %d %s", w.Code, w.Body)
		}
	})
	<-entered
	w := post(h, event("b"), "application/json")
	if d := refusal(t, w, 503); w.Header().Get("Retry-After") != "1" || !strings.Contains(d.Remedy, "ingest.max_inflight") {
		t.Errorf("%v %+v", w.Header(), d)
	}
	close(release)
	first.Wait()
	j.wait = nil
	if w := post(h, event("c"), "application/json"); w.Code != 200 || j.stored() != "a c" {
		t.Errorf("afterwards: %d %s, stored %q", w.Code, w.Body, j.stored())
	}
}

func TestASenderThatOnlyAnnouncesMuchKeepsNobodyOut(t *testing.T) {
	j := &journal{}
	h := New(j, Options{MaxInflight: 1 << 20, Decode: senselink.Options{MaxBody: 1 << 20}})
	silent, end := io.Pipe()
	var holding sync.WaitGroup
	holding.Go(func() {
		r := httptest.NewRequest(http.MethodPost, "/", silent)
		r.ContentLength = 1 << 20
		h.ServeHTTP(httptest.NewRecorder(), r)
	})
	if _, err := end.Write([]byte("[")); err != nil { // it has arrived: the sender is inside
		t.Fatal(err)
	}
	if w := post(h, event("a"), "application/json"); w.Code != 200 {
		t.Errorf("the other sender: %d %s", w.Code, w.Body)
	}
	end.CloseWithError(io.ErrUnexpectedEOF)
	holding.Wait()
}

func TestIngestIsTheSameDoorWithoutHTTP(t *testing.T) {
	j := &journal{}
	h := New(j, Options{})
	got, err := h.Ingest(t.Context(), "sim", []byte(event("a")), senselink.JSON)
	if want := (gatecast.Receipt{Accepted: 1, First: 41, Last: 41}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if j.events[0].Source != "sim" {
		t.Errorf("source %q", j.events[0].Source)
	}
	if _, err := h.Ingest(t.Context(), "sim", []byte("{"), senselink.JSON); gatecast.CodeOf(err) != gatecast.Malformed {
		t.Errorf("got %v", err)
	}
}

// TestASenderThatClosesItsSideIsAnswered half-closes the connection as soon as
// everything is sent, which net/http takes for the sender's leaving.
func TestASenderThatClosesItsSideIsAnswered(t *testing.T) {
	noticed := make(chan struct{})
	j := &journal{wait: func(ctx context.Context) error { <-noticed; return ctx.Err() }}
	h := New(j, Options{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		context.AfterFunc(r.Context(), func() { close(noticed) })
		h.ServeHTTP(w, r)
	}))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	body := event("a")
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK || !strings.Contains(string(answer), `"accepted":1`) || j.stored() == "" {
		t.Errorf("answered %d %q, stored %q", res.StatusCode, answer, j.stored())
	}
}

func TestNoRefusalIsSilent(t *testing.T) {
	j := &journal{wait: func(context.Context) error { return context.Canceled }}
	answered := 0
	h := New(j, Options{WriteError: func(http.ResponseWriter, *http.Request, error) { answered++ }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", strings.NewReader(event("a"))).WithContext(ctx))
	if answered != 1 {
		t.Error("silence, which net/http makes a 200 of")
	}
}

func TestMetricsTellWhatCameAndWhatDidNot(t *testing.T) {
	h := New(&journal{}, Options{})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(h.Metrics()...)
	post(h, "["+event("a")+","+event("a")+`,{"eventType":30100,"data":{"status":9}}]`, "application/json")
	post(h, "{", "application/json")
	post(h, "{", "text/plain")
	want := `
# HELP gatecast_ingest_duplicates_total Events dropped because the journal already held their ID.
# TYPE gatecast_ingest_duplicates_total counter
gatecast_ingest_duplicates_total 1
# HELP gatecast_ingest_events_total Events taken in and answered for, duplicates included.
# TYPE gatecast_ingest_events_total counter
gatecast_ingest_events_total{kind="alarm",source="push"} 1
gatecast_ingest_events_total{kind="record",source="push"} 2
# HELP gatecast_ingest_inflight_bytes Bytes reserved for the bodies of requests at work.
# TYPE gatecast_ingest_inflight_bytes gauge
gatecast_ingest_inflight_bytes 0
# HELP gatecast_ingest_rejected_total Requests refused as a whole, by error code; "canceled" if a simulator was stopped first.
# TYPE gatecast_ingest_rejected_total counter
gatecast_ingest_rejected_total{code="invalid"} 1
gatecast_ingest_rejected_total{code="malformed"} 1
# HELP gatecast_ingest_unknown_values_total Values outside the protocol's tables, accepted all the same, by field.
# TYPE gatecast_ingest_unknown_values_total counter
gatecast_ingest_unknown_values_total{field="status"} 1
`
	names := []string{
		"gatecast_ingest_duplicates_total", "gatecast_ingest_events_total", "gatecast_ingest_inflight_bytes",
		"gatecast_ingest_rejected_total", "gatecast_ingest_unknown_values_total",
	}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(registry, "gatecast_ingest_request_duration_seconds"); n != 1 || err != nil {
		t.Errorf("%d histograms, %v", n, err)
	}
}
