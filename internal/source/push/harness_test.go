package push

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gatecast/gatecast"
)

// journal is an Appender that keeps what it gets and counts from 41 on.
type journal struct {
	fail error                       // returned instead of storing
	full error                       // returned by Accepting
	wait func(context.Context) error // called first, if set

	mu     sync.Mutex
	events []gatecast.Event
	ids    map[string]bool
	calls  int
}

func (j *journal) Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error) {
	if j.wait != nil {
		if err := j.wait(ctx); err != nil {
			return gatecast.Receipt{}, err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls++
	if j.fail != nil {
		return gatecast.Receipt{}, j.fail
	}
	if j.ids == nil {
		j.ids = map[string]bool{}
	}
	var r gatecast.Receipt
	for _, e := range events {
		if j.ids[e.ID] {
			r.Duplicates++
			continue
		}
		j.ids[e.ID] = true
		e.Seq = gatecast.Seq(41 + len(j.events))
		j.events = append(j.events, e)
		if r.Accepted++; r.First == 0 {
			r.First = e.Seq
		}
		r.Last = e.Seq
	}
	return r, nil
}

func (j *journal) Accepting() error { return j.full }

// stored returns the IDs in the journal, in order.
func (j *journal) stored() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var ids []string
	for _, e := range j.events {
		ids = append(ids, e.ID)
	}
	return strings.Join(ids, " ")
}

// event is the body of one event.
func event(id string) string {
	return `{"eventType":30000,"messageId":"` + id + `","data":{"id":1,"name":"見本 花子"}}`
}

// post sends a body straight to the handler.
func post(h http.Handler, body, contentType string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/events", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// document is what the tests look at in a refusal.
type document struct {
	Status                     int
	Code, Detail, Remedy, Path string
	Index                      *int
}

// refusal checks that w is a refusal with this status, and returns it.
func refusal(t *testing.T, w *httptest.ResponseRecorder, status int) document {
	t.Helper()
	var d document
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if w.Code != status || d.Status != status {
		t.Errorf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	return d
}

// pipes is a listener in memory, so that simulated time governs deadlines.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// serve runs h on a server in memory until the test is over, and returns the
// client's end of one connection to it. It is for use inside a synctest bubble.
func serve(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: h}
	var stopped sync.WaitGroup
	stopped.Go(func() { _ = srv.Serve(p) })
	client, server := net.Pipe()
	p.conns <- server
	t.Cleanup(func() {
		_ = client.Close()
		_ = srv.Close()
		stopped.Wait()
	})
	return client
}
