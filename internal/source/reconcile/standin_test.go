package reconcile_test

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/hub"
	"github.com/gatecast/gatecast/internal/journal"
	"github.com/gatecast/gatecast/internal/source/reconcile"
	"github.com/gatecast/gatecast/internal/standin"
	"github.com/gatecast/gatecast/senselink"
)

// wire carries requests to a server without a socket.
type wire struct{ to http.Handler }

func (w wire) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	rec := httptest.NewRecorder()
	defer func() {
		if r := recover(); r != nil { // the server has hung up
			resp, err = nil, errors.New("connection reset")
		}
	}()
	w.to.ServeHTTP(rec, r)
	return rec.Result(), r.Context().Err()
}

type one struct{ source *gatecast.Source }

func (o one) Source(name string) (*gatecast.Source, bool) { return o.source, name == o.source.Name }
func (o one) Sources() []*gatecast.Source                 { return []*gatecast.Source{o.source} }
func (o one) SourceChanges(ctx context.Context) iter.Seq[string] {
	return func(func(string) bool) { <-ctx.Done() }
}

type noRubbish struct{ t *testing.T }

func (q noRubbish) Put(_, reason string, body []byte) { q.t.Errorf("set aside: %s\n%s", reason, body) }

func TestEverythingThatAnOrdinaryServerHasIsFetchedOnceWhateverItDoesMeanwhile(t *testing.T) {
	tokyo := time.FixedZone("", 9*60*60)
	for _, style := range []gatecast.RESTStyle{gatecast.RESTv4, gatecast.RESTv5} {
		synctest.Test(t, func(t *testing.T) {
			<-time.After(time.Until(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC))) // timestamps of 2000 have too few digits
			server := standin.New(standin.Options{Zone: tokyo, Numbers: standin.Numbers{First: 500, Others: 3}})
			defer server.Close()
			j := journal.OpenMem(journal.MemOptions{})
			h, err := hub.New(t.Context(), j, hub.Options{})
			if err != nil {
				t.Fatal(err)
			}
			src := &gatecast.Source{Name: "hq", Created: time.Now(), Settings: gatecast.SourceSettings{
				Kind: gatecast.SourceWebSocket, URL: "ws://up", AppKey: server.AppKey(), AppSecret: server.AppSecret(),
				REST: gatecast.SourceREST{URL: "http://up", Style: style, Every: time.Minute, Lookback: time.Hour},
			}}
			rec, err := reconcile.New(reconcile.Parts{Sources: one{src}, Journal: j, Hub: h, Quarantine: noRubbish{t}}, reconcile.Options{
				Dir: t.TempDir(), Transport: wire{server}, Size: 7, Decode: senselink.Options{Zone: tokyo},
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var parts sync.WaitGroup
			parts.Go(func() { _ = h.Run(ctx) })
			parts.Go(func() { _ = rec.Run(ctx) })
			live(t, server, func() { noLie(t, server, h, rec.Statement("hq")) })
			<-time.After(10 * time.Minute)
			compare(t, server, h, rec.Statement("hq"))
			cancel()
			parts.Wait()
		})
	}
}

// noLie holds a statement against the server's own list.
func noLie(t *testing.T, server *standin.Server, h *hub.Hub, st gatecast.Statement) {
	t.Helper()
	got, err := h.Read(t.Context(), 0, make([]*gatecast.Event, 0, 1000))
	if err != nil {
		t.Fatal(err)
	}
	here := make(map[string]bool)
	for _, e := range got {
		here[e.ID] = true
	}
	for _, e := range server.Events() {
		// Of an alarm the list has its latest state alone.
		if id := gatecast.UpstreamID("hq", e.Kind, e.ID, e.Status, nil); e.At.Before(st.Through) && !here[id] && (e.Kind == gatecast.Record || e.Status == 3) {
			t.Fatalf("%s of %v is not here: %+v", id, e.At, st)
		}
	}
}

// live lets an hour pass at a server, and checks in the middle of everything.
func live(t *testing.T, server *standin.Server, check func()) {
	troubles := []standin.Mode{standin.REST500, standin.REST498, standin.RESTSlow, standin.RESTCut, standin.Clock}
	for i := range 120 {
		at := time.Now().In(time.FixedZone("", 9*60*60))
		if _, err := server.Add(gatecast.Record, standin.SampleRecord(i, at)); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			for status := 1; status <= 3; status += 2 {
				if _, err := server.Add(gatecast.Alarm, standin.SampleAlarm(i, status, at)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if i%20 == 7 {
			if err := server.Misbehave(standin.Misbehaviour{Mode: troubles[i/20%len(troubles)], For: 3 * time.Minute}); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(30 * time.Second)
		check()
	}
}

// compare holds the journal against the server's truth.
func compare(t *testing.T, server *standin.Server, h *hub.Hub, st gatecast.Statement) {
	t.Helper()
	if st.Error != "" || time.Since(st.Through) > 2*time.Minute {
		t.Errorf("%+v", st)
	}
	got, err := h.Read(t.Context(), 0, make([]*gatecast.Event, 0, 1000))
	if err != nil {
		t.Fatal(err)
	}
	times := make(map[string]int)
	for _, e := range got {
		times[e.ID]++
		if e.Source != "hq" || e.Device == "" || e.At.IsZero() {
			t.Errorf("%+v", e)
		}
	}
	want := make(map[string]bool)
	for _, e := range server.Events() {
		if e.Kind == gatecast.Record || e.Status == 3 {
			want[gatecast.UpstreamID("hq", e.Kind, e.ID, e.Status, nil)] = true
		}
	}
	for id := range want {
		if times[id] != 1 {
			t.Errorf("%s is %d times in the journal", id, times[id])
		}
	}
	if len(times) != len(want) {
		t.Errorf("%d events, want %d", len(times), len(want))
	}
}
