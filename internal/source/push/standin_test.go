package push

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/standin"
)

// office is a source, its journal and its quarantine.
type office struct {
	t   *testing.T
	ids chan string
}

func (o *office) Source(name string) (*gatecast.Source, bool) {
	return &gatecast.Source{Name: "office", Settings: gatecast.SourceSettings{Kind: gatecast.SourceSubscription}}, name == "office"
}

func (o *office) SourceByToken(hash [32]byte) (*gatecast.Source, bool) {
	src, _ := o.Source("office")
	return src, hash == auth.HashToken("secret")
}

func (o *office) Put(_, reason string, body []byte) {
	o.t.Errorf("not understood: %s: %s", reason, body)
}
func (o *office) Accepting() error { return nil }

func (o *office) Append(_ context.Context, events []gatecast.Event) (gatecast.Receipt, error) {
	for _, e := range events {
		o.ids <- e.ID
	}
	return gatecast.Receipt{Accepted: len(events)}, nil
}

// TestTheVendorsServerGoesOnPosting: it gives up for good when one post is not
// answered within five seconds, which here are simulated.
func TestTheVendorsServerGoesOnPosting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &office{t: t, ids: make(chan string, 100)}
		mux := http.NewServeMux()
		mux.Handle("POST /ingest/senselink/{token}", NewReceiver(New(o, Options{}), o, o, ReceiverOptions{}))
		network := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		srv := &http.Server{Handler: mux}
		var serving sync.WaitGroup
		serving.Go(func() { _ = srv.Serve(network) })
		defer serving.Wait()
		defer srv.Close()
		carrier := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			network.conns <- there
			return here, nil
		}}
		defer carrier.CloseIdleConnections()
		vendor := standin.New(standin.Options{Posts: carrier})
		defer vendor.Close()
		if err := vendor.Subscribe("http://gate.example/ingest/senselink/secret"); err != nil {
			t.Fatal(err)
		}
		var want []string
		for n := range 20 {
			kind, data := gatecast.Record, standin.SampleRecord(n, time.Now())
			if n%4 == 3 {
				kind, data = gatecast.Alarm, standin.SampleAlarm(n, 1, time.Now())
			}
			e, err := vendor.Add(kind, data)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, gatecast.UpstreamID("office", e.Kind, e.ID, e.Status, nil))
		}
		synctest.Wait()
		close(o.ids)
		var got []string
		for id := range o.ids {
			got = append(got, id)
		}
		if !slices.Equal(got, want) || vendor.Subscription().State != standin.Normal {
			t.Errorf("got %q\nwant %q; %+v", got, want, vendor.Subscription())
		}
	})
}
