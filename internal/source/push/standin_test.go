package push_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/source/push"
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

func TestTheVendorsServerGoesOnPosting(t *testing.T) {
	o := &office{t: t, ids: make(chan string, 100)}
	receiver := push.NewReceiver(push.New(o, push.Options{}), o, o, push.ReceiverOptions{})
	mux := http.NewServeMux()
	mux.Handle("POST /ingest/senselink/{token}", receiver)
	srv := httptest.NewServer(mux)
	defer srv.Close()
	vendor := standin.New(standin.Options{})
	defer vendor.Close()
	if err := vendor.Subscribe(srv.URL + "/ingest/senselink/secret"); err != nil {
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
	var got []string
	for range want {
		select {
		case id := <-o.ids:
			got = append(got, id)
		case <-time.After(20 * time.Second):
			t.Fatalf("got %q; the subscription: %+v", got, vendor.Subscription())
		}
	}
	if !slices.Equal(got, want) || vendor.Subscription().State != standin.Normal {
		t.Errorf("got %q\nwant %q; %+v", got, want, vendor.Subscription())
	}
}
