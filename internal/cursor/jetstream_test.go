package cursor

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestJetStream(t *testing.T) { runSuite(t, jetStreamCluster) }

// jetStreamCluster is one server on disk, to which every node has a connection
// of its own.
func jetStreamCluster(t *testing.T) cluster {
	s := buckettest.Server(t, t.TempDir(), 0)
	return cluster{func(t *testing.T, o Options) *Store {
		t.Helper()
		o.Timeout = time.Minute // a busy disk may take its time
		store, err := Open(t.Context(), buckettest.Connect(t, s), o)
		if err != nil {
			t.Fatal(err)
		}
		return store
	}}
}

func TestCursorsSurviveARestartOfTheServer(t *testing.T) {
	dir, o := t.TempDir(), Options{Epoch: "e1", Last: ends(100)}
	srv := buckettest.Server(t, dir, 0)
	s, err := Open(t.Context(), buckettest.Connect(t, srv), o)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, s)
	begin(t, s, gate, 5)
	s.Confirm(gate, 70)
	stop()
	buckettest.Stop(srv)
	s, err = Open(t.Context(), buckettest.Connect(t, buckettest.Server(t, dir, 0)), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := seqOf(s, gate); got != 70 {
		t.Errorf("the cursor stands at %d, want 70", got)
	}
}

// TestADrawerStaysWithinWhatTheServerTakes fills one drawer, under a server
// that takes little.
func TestADrawerStaysWithinWhatTheServerTakes(t *testing.T) {
	js := buckettest.Connect(t, buckettest.Server(t, t.TempDir(), 16<<10))
	clk := newClock()
	o := Options{Epoch: "e1", Now: clk.Now}
	s, err := Open(t.Context(), js, o)
	if err != nil {
		t.Fatal(err)
	}
	var last gatecast.Consumer
	n := 0
	for i := 0; n < 200; i++ {
		c := gatecast.Consumer{App: fmt.Sprint(i)}
		if drawerOf(c) == drawerOf(gate) {
			s.table.begin(c, 0, s.now())
			clk.pass(time.Second)
			last = c
			n++
		}
	}
	flush(t, s)
	left := s.table.size()
	if left < 50 || left > 150 || len(s.Of(last.App)) != 1 {
		t.Errorf("%d of 200 cursors are left; the newest: %v", left, s.Of(last.App))
	}
	again, err := Open(t.Context(), js, o)
	if err != nil || again.table.size() != left {
		t.Errorf("on disk are %d, want %d; %v", again.table.size(), left, err)
	}
	flush(t, s)
	if s.table.size() != left {
		t.Errorf("a second commit left %d of %d", s.table.size(), left)
	}
}

func TestADeletedKeyIsWrittenAgain(t *testing.T) {
	js := buckettest.Connect(t, buckettest.Server(t, t.TempDir(), 0))
	o := Options{Epoch: "e1", Last: ends(100)}
	s, err := Open(t.Context(), js, o)
	if err != nil {
		t.Fatal(err)
	}
	run(t, s)
	begin(t, s, gate, 5)
	kv, err := js.KeyValue(t.Context(), "gatecast_cursors")
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(t.Context(), drawerKey(drawerOf(gate))); err != nil {
		t.Fatal(err)
	}
	s.Confirm(gate, 6)
	s.Commit()
	eventually(t, "the cursor is on disk again", func() bool {
		again, err := Open(t.Context(), js, o)
		return err == nil && seqOf(again, gate) == 6
	})
}

func TestALostServerIsToldAndTheMemoryGoesOn(t *testing.T) {
	srv := buckettest.Server(t, t.TempDir(), 0)
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bucket.Open(t.Context(), js, bucket.Options{Name: "gatecast_cursors", Unavailable: unavailable})
	if err != nil {
		t.Fatal(err)
	}
	// A request takes as long as it takes; Begin waits for that long only.
	s := newStore(b, Options{Epoch: "e1", Interval: time.Millisecond, Timeout: 200 * time.Millisecond}.withDefaults())
	if err := s.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	s.table.begin(gate, 5, s.now())
	nc.Close()
	s.Confirm(gate, 6)
	eventually(t, "the loss is told", func() bool { return s.Healthy() != nil })
	if code := gatecast.CodeOf(s.Healthy()); code != gatecast.Unavailable {
		t.Errorf("health has code %v", code)
	}
	cur, existed, err := s.Begin(t.Context(), named, 9)
	if cur.Seq != 9 || existed || gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("cursor at %d, existed %v, %v", cur.Seq, existed, err)
	}
	if seqOf(s, gate) != 6 || seqOf(s, named) != 9 {
		t.Error("the cursors in memory are not what they were")
	}
	cancel()
	if err := <-ended; gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("the last commit says %v", err)
	}
	if _, err := Open(t.Context(), js, Options{Timeout: 100 * time.Millisecond}); gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("a second start says %v", err)
	}
}
