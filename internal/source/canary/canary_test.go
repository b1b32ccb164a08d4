package canary

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/problem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// way is a journal and the door behind it.
type way struct {
	mu     sync.Mutex
	events []gatecast.Event
	full   error // of the journal
	shut   error // of the door
	lossy  bool  // nothing comes out
	open   int   // watchers
}

func (w *way) Append(_ context.Context, events []gatecast.Event) (gatecast.Receipt, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.full != nil {
		return gatecast.Receipt{}, w.full
	}
	w.events = append(w.events, events...)
	return gatecast.Receipt{Accepted: 1, Last: gatecast.Seq(len(w.events))}, nil
}

func (w *way) Open(context.Context, string) (Watcher, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shut != nil {
		return nil, w.shut
	}
	w.open++
	return watcher{w}, nil
}

type watcher struct{ *way }

func (w watcher) Wait(ctx context.Context, seq gatecast.Seq) error {
	w.mu.Lock()
	lossy := w.lossy || int(seq) != len(w.events)
	w.mu.Unlock()
	if lossy {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (w watcher) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
}

func (w *way) set(change func()) {
	w.mu.Lock()
	change()
	w.mu.Unlock()
}

func (w *way) all() []gatecast.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}

func fly(t *testing.T, w *way, o Options) *Canary {
	t.Helper()
	c := New(w, w, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if w.open != 0 {
			t.Errorf("%d watchers are left open", w.open)
		}
	})
	return c
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestACanaryThatComesBackIsAsOldAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &way{}
		c := fly(t, w, Options{})
		pass(59 * time.Second)
		if len(w.all()) != 0 || c.Age() != 59*time.Second || c.Ready() != nil {
			t.Errorf("%d events, %v old, %v", len(w.all()), c.Age(), c.Ready())
		}
		pass(31 * time.Second)
		if len(w.all()) != 1 || c.Age() != 30*time.Second || c.Ready() != nil || c.Busy() != nil {
			t.Errorf("%d events, %v old, %v", len(w.all()), c.Age(), c.Ready())
		}
		pass(time.Hour)
		all := w.all()
		if e := all[60]; c.Age() != 30*time.Second || e.Kind != gatecast.Canary || e.ID == all[59].ID || e.Source != "gatecast" || !strings.Contains(string(e.Data), `"canary"`) {
			t.Errorf("%v old, %+v", c.Age(), e)
		}
	})
}

func TestThreeLostCanariesSayWhereTheyWereLost(t *testing.T) {
	for want, lose := range map[string]func(w *way){
		"the journal did not take it: no disk":                          func(w *way) { w.full = gatecast.Errorf(gatecast.Unavailable, "no disk") },
		"it is in the journal at 4 and did not come out":                func(w *way) { w.lossy = true },
		"the event stream cannot be reached: connection refused":        func(w *way) { w.shut = errors.New("connection refused") },
		"busy: the event stream lets nobody in: all streams are taken":  func(w *way) { w.shut = gatecast.Errorf(gatecast.Unavailable, "all streams are taken") },
		"busy: the event stream lets nobody in: the token is not known": func(w *way) { w.shut = gatecast.Errorf(gatecast.Unauthenticated, "the token is not known") },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &way{}
			c := fly(t, w, Options{})
			pass(61 * time.Second)
			w.set(func() { lose(w) })
			pass(75 * time.Second)
			if c.Ready() != nil || c.Busy() != nil {
				t.Errorf("told too soon: %v, %v", c.Ready(), c.Busy())
			}
			pass(2 * time.Minute)
			say, silent := c.Ready(), c.Busy()
			if strings.HasPrefix(want, "busy: ") {
				say, silent = silent, say
			}
			if say == nil || silent != nil || !strings.Contains(say.Error(), strings.TrimPrefix(want, "busy: ")) {
				t.Errorf("%v, and %v; want %s", say, silent, want)
			}
			w.set(func() { w.full, w.shut, w.lossy = nil, nil, false })
			pass(time.Minute)
			if c.Ready() != nil || c.Busy() != nil {
				t.Errorf("not told that it is over: %v, %v", c.Ready(), c.Busy())
			}
		})
	}
}

func TestAStreamShowsTheEventAndNotOnlyItsPosition(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		came bool
	}{
		"the event":       {"retry: 2\nid: 4\nevent: resumed\ndata: {}\n\n: beat\n\nid: 5\nevent: canary\ndata: {}\n\n", true},
		"only a position": {"id: 5\n\n", false},
		"another event":   {"id: 4\nevent: canary\ndata: {}\n\nid: 5\nevent: notice\ndata: {}\n\n", false},
		"a later event":   {"id: 55\nevent: canary\ndata: {}\n\n", false},
		"an end":          {"", false},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/v1/events/stream" || r.URL.Query().Get("kinds") != "canary" || r.URL.Query().Get("sn") != "c" || r.Header.Get("Authorization") != "Bearer t" {
				t.Errorf("asked for %s", r.URL)
			}
			fmt.Fprint(w, c.body)
		}))
		watcher, err := Stream{URL: srv.URL, Token: "t", HTTP: srv.Client()}.Open(t.Context(), "c")
		if err != nil {
			t.Fatal(err)
		}
		if err := watcher.Wait(t.Context(), 5); (err == nil) != c.came {
			t.Errorf("%s: %v", name, err)
		}
		watcher.Close()
		srv.Close()
	}
}

func TestADoorThatLetsNobodyInIsToldFromOneThatIsNotThere(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		problem.Write(w, r, gatecast.Errorf(gatecast.Unavailable, "all streams are taken"))
	}))
	stream := Stream{URL: srv.URL, HTTP: srv.Client()}
	if _, err := stream.Open(t.Context(), "c"); gatecast.CodeOf(err) != gatecast.Unavailable || !strings.Contains(err.Error(), "all streams are taken") {
		t.Errorf("full: %v", err)
	}
	srv.Close()
	if _, err := stream.Open(t.Context(), "c"); err == nil || gatecast.CodeOf(err) != gatecast.Internal {
		t.Errorf("gone: %v", err)
	}
}
