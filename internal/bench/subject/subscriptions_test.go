package subject

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// register is an API that keeps subscriptions by their IDs.
type register struct {
	mu    sync.Mutex // guards the fields below
	calls []string
	held  map[string]string // URL by ID
}

func (r *register) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, req.Method+" "+req.URL.Path)
	id := strings.TrimPrefix(req.URL.Path, "/api/v1/subscriptions/")
	switch {
	case req.Method == http.MethodDelete:
		delete(r.held, id)
	case req.URL.Path == "/api/v1/subscriptions":
		var s Subscription
		if err := json.NewDecoder(req.Body).Decode(&s); err != nil || s.URL == "bad" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		id := fmt.Sprintf("sub_%d", len(r.held))
		r.held[id] = s.URL
		_, _ = fmt.Fprintf(w, `{"id":%q}`, id)
	}
}

func TestSubscriptionsAreMadeTogetherAndTakenAway(t *testing.T) {
	api := &register{held: make(map[string]string)}
	srv := httptest.NewServer(api)
	defer srv.Close()
	s := Attach(srv.URL, "t")
	var wanted []Subscription
	for i := range 100 {
		wanted = append(wanted, Subscription{URL: fmt.Sprint(i)})
	}
	ids, err := s.Subscribe(t.Context(), wanted)
	if err != nil || len(ids) != 100 || len(api.held) != 100 {
		t.Fatalf("%d IDs, %d made, %v", len(ids), len(api.held), err)
	}
	for i, id := range ids {
		if api.held[id] != fmt.Sprint(i) {
			t.Errorf("subscription %d has the ID of that to %s", i, api.held[id])
		}
	}
	if s.Pause(t.Context(), ids[3]) != nil || s.Resume(t.Context(), ids[3]) != nil {
		t.Error("it cannot be paused and resumed")
	}
	if want := []string{"POST /api/v1/subscriptions/" + ids[3] + "/pause", "POST /api/v1/subscriptions/" + ids[3] + "/resume"}; !slices.Equal(api.calls[100:], want) {
		t.Errorf("the server was asked %q, want %q", api.calls[100:], want)
	}
	s.Close()
	if len(api.held) != 0 {
		t.Errorf("%d subscriptions are left", len(api.held))
	}
	s.api.http.CloseIdleConnections()
}

func TestSubscriptionsThatWereMadeBeforeAnErrorAreTakenAwayToo(t *testing.T) {
	api := &register{held: make(map[string]string)}
	srv := httptest.NewServer(api)
	defer srv.Close()
	s := Attach(srv.URL, "t")
	if _, err := s.Subscribe(t.Context(), []Subscription{{URL: "a"}, {URL: "bad"}, {URL: "b"}}); err == nil {
		t.Error("a refusal is no error")
	}
	s.Close()
	if len(api.held) != 0 {
		t.Errorf("%d subscriptions are left", len(api.held))
	}
	s.api.http.CloseIdleConnections()
}
