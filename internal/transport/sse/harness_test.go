package sse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/hub"
	"github.com/gatecast/gatecast/internal/journal"
	"github.com/gatecast/gatecast/internal/problem"
	"github.com/gatecast/gatecast/senselink"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	key    = "27e1ff7e60f58b4b"
	secret = "e30af86f8f4e75d128ba4288597dea3c"
	token  = "gct_reader"
)

// front is how a site meets the network.
type front struct {
	http2   bool
	narrow  bool          // small socket buffers: a reader that takes nothing is noticed soon
	pipes   *pipes        // in place of sockets
	timeout time.Duration // of the server, for a whole request
}

// site is a whole reading side: a journal in memory, a hub and a server.
type site struct {
	t       testing.TB
	journal *journal.Mem
	hub     *hub.Hub
	apps    *fakeApps
	tokens  *fakeTokens
	server  *Server
	front   *httptest.Server
	pipes   *pipes
	narrow  bool
	events  []gatecast.Event // published, as they are in the journal
	stop    func()
}

// plan is what a site is made of.
type plan struct {
	front   front
	ring    int // default 8192
	opts    Options
	apps    []gatecast.App        // default: anApp
	history func(History) History // stands in for the hub as the journal's reader
}

func newSite(t testing.TB, p plan) *site {
	t.Helper()
	if len(p.apps) == 0 {
		p.apps = []gatecast.App{anApp()}
	}
	s := &site{t: t, journal: journal.OpenMem(journal.MemOptions{}), apps: newFakeApps(p.apps...), tokens: newFakeTokens()}
	var err error
	if s.hub, err = hub.New(t.Context(), s.journal, hub.Options{Ring: p.ring}); err != nil {
		t.Fatal(err)
	}
	var history History = s.hub
	if p.history != nil {
		history = p.history(history)
	}
	s.server = New(s.apps, auth.Guard{Tokens: s.tokens}, s.hub, history, p.opts)
	s.open(p.front)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = s.hub.Run(ctx) })
	work.Go(func() { _ = s.server.Run(ctx) })
	s.stop = sync.OnceFunc(func() {
		cancel()
		work.Wait()
		s.front.CloseClientConnections()
		s.front.Close()
		_ = s.journal.Close(context.Background())
	})
	t.Cleanup(s.stop)
	return s
}

func (s *site) open(f front) {
	s.narrow, s.pipes = f.narrow, f.pipes
	if f.pipes != nil {
		s.front = &httptest.Server{Listener: f.pipes, Config: &http.Server{Handler: s.server}}
	} else {
		s.front = httptest.NewUnstartedServer(s.server)
	}
	s.front.Config.ReadTimeout, s.front.Config.WriteTimeout = f.timeout, f.timeout
	if f.narrow {
		s.front.Config.ConnState = func(c net.Conn, state http.ConnState) {
			if tcp, ok := c.(*net.TCPConn); ok && state == http.StateNew {
				_ = tcp.SetWriteBuffer(64 << 10)
			}
		}
	}
	s.front.EnableHTTP2 = f.http2
	if f.http2 {
		s.front.StartTLS()
	} else {
		s.front.Start()
	}
}

// publish appends events and returns the last position.
func (s *site) publish(events ...gatecast.Event) gatecast.Seq {
	s.t.Helper()
	for i := range events {
		events[i].ID = "e" + strconv.Itoa(len(s.events)+i+1)
	}
	for rest := events; len(rest) > 0; {
		n := min(len(rest), 500)
		if _, err := s.journal.Append(context.Background(), rest[:n]); err != nil {
			s.t.Fatal(err)
		}
		rest = rest[n:]
	}
	for _, e := range events {
		e.Seq = gatecast.Seq(len(s.events) + 1)
		s.events = append(s.events, e)
	}
	return gatecast.Seq(len(s.events))
}

// records makes n records whose data is padded.
func records(n, padding int) []gatecast.Event {
	events := make([]gatecast.Event, n)
	for i := range events {
		events[i] = gatecast.Event{Kind: gatecast.Record, Data: fmt.Appendf(nil, `{"i":%d,"remark":"%s"}`, i, strings.Repeat("x", padding))}
	}
	return events
}

// awaitHead returns when the hub has all events up to seq.
func (s *site) awaitHead(seq gatecast.Seq) {
	moved, stop := s.hub.Listen()
	defer stop()
	for s.hub.Head() < seq {
		<-moved
	}
}

func (s *site) epoch() string {
	extent, err := s.journal.Extent(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return extent.Epoch
}

// sign makes the parameters that an app signs with.
func sign(key, secret string, at time.Time) string {
	ts := strconv.FormatInt(at.UnixMilli(), 10)
	return url.Values{"app_key": {key}, "timestamp": {ts}, "sign": {senselink.Sign(ts, secret)}}.Encode()
}

func signedNow() string { return sign(key, secret, time.Now()) }

// client is one that opens no connection twice, so that a test can cut one.
func (s *site) client() *http.Client {
	transport := s.front.Client().Transport.(*http.Transport).Clone()
	transport.DisableKeepAlives = !s.front.EnableHTTP2
	switch {
	case s.pipes != nil:
		transport.DialContext = s.pipes.dial
	case s.narrow:
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
			}
			return conn, err
		}
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// get asks for a stream. A header is "Name: value".
func (s *site) get(query string, headers ...string) (*http.Response, context.CancelFunc) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.front.URL+"/api/v1/events/stream?"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := s.client().Do(r)
	for s.front.EnableHTTP2 && errors.Is(err, io.ErrUnexpectedEOF) { // net/http's server waits for two seconds for a client's first frame
		res, err = s.client().Do(r)
	}
	if err != nil {
		cancel()
		s.t.Fatal(err)
	}
	return res, cancel
}

// reader is a client at its stream.
type reader struct {
	*parser
	t      testing.TB
	header http.Header
	cut    func()
}

// read asks for a stream and gets it. Without credentials in the query, it
// shows the token.
func (s *site) read(query string, headers ...string) *reader {
	s.t.Helper()
	if !strings.Contains(query, "app_key") {
		headers = append(headers, "Authorization: Bearer "+token)
	}
	res, cancel := s.get(query, headers...)
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(res.Body)
		cancel()
		s.t.Fatalf("status %s: %s", res.Status, body)
	}
	cut := func() { cancel(); res.Body.Close() }
	s.t.Cleanup(cut)
	return &reader{parser: newParser(res.Body), t: s.t, header: res.Header, cut: cut}
}

// refused asks for a stream and gets a problem document.
func (s *site) refused(query string, headers ...string) (problem.Document, http.Header) {
	s.t.Helper()
	res, cancel := s.get(query, headers...)
	defer cancel()
	defer res.Body.Close()
	var doc problem.Document
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil || res.StatusCode != doc.Status {
		s.t.Fatalf("status %s, body: %v", res.Status, err)
	}
	if got := res.Header.Get("Content-Type"); got != problem.ContentType {
		s.t.Errorf("Content-Type %q", got)
	}
	return doc, res.Header
}

func (r *reader) want(want message) {
	r.t.Helper()
	got, err := r.next()
	if err != nil || got != want {
		r.t.Fatalf("got  %.300v (%v)\nwant %.300v", fmt.Sprint(got), err, fmt.Sprint(want))
	}
}

// wantResumed takes the first message in.
func (r *reader) wantResumed(after, head gatecast.Seq, epoch string) {
	r.t.Helper()
	r.want(message{"resumed", fmt.Sprintf(`{"after":%d,"head":%d,"epoch":%q}`, after, head, epoch), fmt.Sprint(after)})
}

// numbered is the message of an event.
func numbered(e gatecast.Event, epoch string, replay bool) message {
	return message{e.Kind.String(), string(senselink.AppendNumbered(nil, &e, epoch, replay)), fmt.Sprint(e.Seq)}
}

// until interprets lines until something is so. Messages on the way are
// unexpected.
func (r *reader) until(so func() bool) {
	r.t.Helper()
	for !so() {
		if m, err := r.step(); m != nil || err != nil {
			r.t.Fatalf("got %v, %v", m, err)
		}
	}
}

// end reads to the end of the stream and returns what came, and how it ended.
func (r *reader) end() ([]message, error) {
	var all []message
	for {
		m, err := r.next()
		if err != nil {
			return all, err
		}
		all = append(all, m)
	}
}

// metric returns the value of the metric with these labels and no others, 0 if
// there is none. Labels are names and values by turns.
func (s *site) metric(name string, labels ...string) float64 {
	s.t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(s.server.Metrics()...)
	families, err := reg.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	want := map[string]string{}
	for i := 0; i < len(labels); i += 2 {
		want[labels[i]] = labels[i+1]
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			got := map[string]string{}
			for _, l := range m.GetLabel() {
				got[l.GetName()] = l.GetValue()
			}
			if maps.Equal(got, want) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// settle returns when a stream's end has been counted and its place is free.
func (s *site) settle() {
	for s.server.Connections() > 0 {
		select {
		case <-s.t.Context().Done():
			return
		case <-time.After(time.Millisecond):
		}
	}
}
