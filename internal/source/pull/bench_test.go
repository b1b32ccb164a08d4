package pull_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/journal"
	"github.com/gatecast/gatecast/internal/source/pull"
	"github.com/gatecast/gatecast/internal/standin"
	"github.com/gatecast/gatecast/senselink"
)

// alone is the registry of one source, and its quarantine.
type alone struct {
	source *gatecast.Source
	b      *testing.B
}

func (a alone) Source(name string) (*gatecast.Source, bool) {
	return a.source, name == a.source.Name
}
func (a alone) Sources() []*gatecast.Source { return []*gatecast.Source{a.source} }
func (a alone) SourceChanges(ctx context.Context) iter.Seq[string] {
	return func(func(string) bool) { <-ctx.Done() }
}
func (a alone) Put(_, reason string, _ []byte) { a.b.Errorf("set aside: %s", reason) }

// BenchmarkFollow follows a server that pushes as fast as it is read, into a
// journal on disk with fsync. An operation is one event.
func BenchmarkFollow(b *testing.B) {
	j, err := journal.Open(b.Context(), journal.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = j.Close(context.Background()) }()
	pushed := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer conn.Close()
		_ = ws.WriteFrame(conn, ws.NewTextFrame([]byte(senselink.Connected)))
		<-pushed
		for i := range b.N {
			data := standin.SampleRecord(i, time.Now())
			text := fmt.Sprintf(`{"code":30000,"desc":"","message":"push record","data":{"id":%d%s}`, i+1, strings.TrimPrefix(string(data), `{"id":0`))
			if ws.WriteFrame(conn, ws.NewTextFrame([]byte(text))) != nil {
				return
			}
		}
		_, _ = conn.Read(make([]byte, 1)) // until the follower leaves
	}))
	defer server.Close()
	a := alone{&gatecast.Source{Name: "hq", Settings: gatecast.SourceSettings{
		Kind: gatecast.SourceWebSocket, URL: strings.Replace(server.URL, "http", "ws", 1), AppKey: "key", AppSecret: "secret",
	}}, b}
	f := pull.New(pull.Parts{Sources: a, Journal: j, Quarantine: a}, pull.Options{})
	ctx, cancel := context.WithCancel(b.Context())
	var work sync.WaitGroup
	work.Go(func() { _ = f.Run(ctx) })
	b.ReportAllocs()
	b.ResetTimer()
	close(pushed)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for f.State("hq").Events < uint64(b.N) {
		<-tick.C
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	cancel()
	work.Wait()
}
