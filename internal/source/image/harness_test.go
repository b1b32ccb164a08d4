package image_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/hub"
	"github.com/gatecast/gatecast/internal/journal"
	"github.com/gatecast/gatecast/internal/source/image"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire carries requests to a server without a socket, and counts them by path.
type wire struct {
	to http.Handler

	mu    sync.Mutex
	asked map[string]int
	busy  int
	peak  int
}

func (w *wire) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	w.mu.Lock()
	if w.asked == nil {
		w.asked = make(map[string]int)
	}
	w.asked[r.URL.Path]++
	w.busy++
	w.peak = max(w.peak, w.busy)
	w.mu.Unlock()
	rec := httptest.NewRecorder()
	defer func() {
		w.mu.Lock()
		w.busy--
		w.mu.Unlock()
		if r := recover(); r != nil { // the server has hung up
			resp, err = nil, errors.New("connection reset")
		}
	}()
	w.to.ServeHTTP(rec, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return rec.Result(), nil
}

// count returns how many questions there were for an image of any type.
func (w *wire) count(id string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range gatecast.PhotoTypes() {
		n += w.asked[fmt.Sprintf("/v1/image/%d/%s", t, id)]
	}
	return n
}

func (w *wire) total() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.asked {
		n += k
	}
	return n
}

// registry is the sources there are.
type registry struct {
	mu   sync.Mutex
	all  map[string]*gatecast.Source
	news chan string
}

func (r *registry) Source(name string) (*gatecast.Source, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.all[name]
	return s, ok
}

func (r *registry) Sources() (all []*gatecast.Source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.all {
		all = append(all, s)
	}
	return all
}

func (r *registry) SourceChanges(ctx context.Context) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case name := <-r.news:
				if !yield(name) {
					return
				}
			}
		}
	}
}

// change makes a source anew with a change; nil deletes it.
func (r *registry) change(name string, change func(*gatecast.Source)) {
	r.mu.Lock()
	if change == nil {
		delete(r.all, name)
	} else {
		next := *r.all[name]
		change(&next)
		r.all[name] = &next
	}
	r.mu.Unlock()
	r.news <- name
}

// album is a store in memory that takes only what is a JPEG.
type album struct {
	mu   sync.Mutex
	kept map[gatecast.Photo][]byte
	full error
	fail error
}

func (a *album) Has(p gatecast.Photo) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kept[p] != nil
}

func (a *album) Put(p gatecast.Photo, content []byte) error {
	if _, err := jpeg.DecodeConfig(bytes.NewReader(content)); err != nil {
		return gatecast.Errorf(gatecast.Invalid, "this is no photo")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail != nil {
		return a.fail
	}
	if a.kept == nil {
		a.kept = make(map[gatecast.Photo][]byte)
	}
	a.kept[p] = content
	return nil
}

func (a *album) Accepting() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.full
}

func (a *album) set(full, fail error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.full, a.fail = full, fail
}

func (a *album) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.kept)
}

// site is a source and everything around it, in a bubble of simulated time.
type site struct {
	t       *testing.T
	wire    *wire
	sources *registry
	album   *album
	journal *journal.Mem
	hub     *hub.Hub
	opts    image.Options
	log     bytes.Buffer

	fetcher *image.Fetcher
	end     func()
	next    int64
}

// inSite runs a test with a source "hq" that is answered by upstream, and
// fetching under way.
func inSite(t *testing.T, upstream http.Handler, o image.Options, do func(*site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC))) // timestamps of 2000 have too few digits
		s := &site{t: t, wire: &wire{to: upstream}, album: &album{}, journal: journal.OpenMem(journal.MemOptions{})}
		var err error
		if s.hub, err = hub.New(t.Context(), s.journal, hub.Options{}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var following sync.WaitGroup
		following.Go(func() { _ = s.hub.Run(ctx) })
		s.sources = &registry{news: make(chan string, 16), all: map[string]*gatecast.Source{"hq": {
			Name: "hq", Created: time.Now(), Settings: gatecast.SourceSettings{
				Kind: gatecast.SourceWebSocket, AppKey: "0123456789abcdef", AppSecret: "geheim",
				REST: gatecast.SourceREST{URL: "http://up", Style: gatecast.RESTv5},
			},
		}}}
		o.Dir, o.Transport = t.TempDir(), s.wire
		o.Log = slog.New(slog.NewTextHandler(&s.log, nil))
		s.opts = o
		s.start()
		do(s)
		s.end()
		cancel()
		following.Wait()
	})
}

// start begins to fetch; s.end ends it.
func (s *site) start() {
	s.t.Helper()
	f, err := image.New(image.Parts{Sources: s.sources, Hub: s.hub, Store: s.album}, s.opts)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = f.Run(ctx) }()
	s.fetcher, s.end = f, func() { cancel(); <-done }
}

// take stores an event of a source that names these images, as captured ones.
func (s *site) take(source string, ids ...string) {
	s.t.Helper()
	fields := []string{"signAvatar", "signBgAvatar", "docPhoto"}
	var data bytes.Buffer
	s.next++
	fmt.Fprintf(&data, `{"id":%d`, s.next)
	for i, id := range ids {
		fmt.Fprintf(&data, `,%q:%q`, fields[i], id)
	}
	data.WriteString("}")
	s.append(gatecast.Event{
		ID: fmt.Sprintf("%s:record:%d", source, s.next), Kind: gatecast.Record, Source: source, At: time.Now(), Data: data.Bytes(),
	})
}

func (s *site) append(e gatecast.Event) {
	s.t.Helper()
	if _, err := s.journal.Append(s.t.Context(), []gatecast.Event{e}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) has(id string) bool {
	return s.album.Has(gatecast.Photo{Type: gatecast.Captured, ID: id})
}

// name is the ID of image number n.
func name(n int) string { return fmt.Sprintf("5d901af663cdaf00%08x", n) }

func wait(d time.Duration) { <-time.After(d) }
