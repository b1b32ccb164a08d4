package ledger

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func startServer(t testing.TB, dir string, payload int32) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		JetStream: true, StoreDir: dir, DontListen: true, NoSigs: true, SyncAlways: true, NoLog: true, MaxPayload: payload,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	stop := func() { s.Shutdown(); s.WaitForShutdown() }
	t.Cleanup(stop)
	if !s.ReadyForConnections(2 * time.Minute) {
		t.Fatal("the server does not start")
	}
	return s
}

func connect(t testing.TB, s *server.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestJetStream(t *testing.T) { runSuite(t, jetStreamCluster) }

// jetStreamCluster is one server on disk, to which every node has a connection
// of its own.
func jetStreamCluster(t *testing.T) cluster {
	s := startServer(t, t.TempDir(), 0)
	return cluster{func(t *testing.T, o Options) *Store {
		t.Helper()
		store, err := Open(t.Context(), connect(t, s), o)
		if err != nil {
			t.Fatal(err)
		}
		return store
	}}
}

func TestEverythingSurvivesARestartOfTheServer(t *testing.T) {
	dir := t.TempDir()
	srv := startServer(t, dir, 0)
	s, err := Open(t.Context(), connect(t, srv), alone)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, s)
	begin(t, s, gate, at(5))
	s.Save(north, largeProgress(3))
	for seq := range gatecast.Seq(4) {
		setAside(t, s, letter(gate, seq+1))
	}
	if err := s.Discard(t.Context(), gate, 2); err != nil {
		t.Fatal(err)
	}
	stop()
	srv.Shutdown()
	srv.WaitForShutdown()
	s, err = Open(t.Context(), connect(t, startServer(t, dir, 0)), alone)
	if err != nil {
		t.Fatal(err)
	}
	wantProgress(t, s, gate, at(5))
	wantProgress(t, s, north, largeProgress(3))
	if got := seqsOf(list(t, s, gate, 0, 10)); got != "1 3 4" || s.Dead(gate) != 3 {
		t.Errorf("%d dead letters: %s", s.Dead(gate), got)
	}
}

// TestWhatIsRemovedLeavesNothingForEver looks at what the server keeps of dead
// letters that are gone.
func TestWhatIsRemovedLeavesNothingForEver(t *testing.T) {
	js := connect(t, startServer(t, t.TempDir(), 0))
	s, err := Open(t.Context(), js, alone)
	if err != nil {
		t.Fatal(err)
	}
	run(t, s)
	s.letters.(*kvBucket).markers = time.Second // the shortest there is
	for seq := range gatecast.Seq(5) {
		setAside(t, s, letter(gate, seq))
		setAside(t, s, letter(north, seq))
	}
	if err := s.Discard(t.Context(), north, 3); err != nil {
		t.Fatal(err)
	}
	s.Forget(gate)
	flush(t, s)
	eventually(t, "only the four that are left are in the stream", func() bool {
		stream, err := js.Stream(t.Context(), "KV_gatecast_hooks_dead")
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().State.Msgs == 4
	})
	if s, err = Open(t.Context(), js, alone); err != nil || s.Dead(north) != 4 || s.Dead(gate) != 0 {
		t.Errorf("%d and %d are left, %v", s.Dead(north), s.Dead(gate), err)
	}
}

func TestALostServerIsToldAndTheMemoryGoesOn(t *testing.T) {
	srv := startServer(t, t.TempDir(), 0)
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), js, Options{Epoch: "e1", Interval: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	s.Save(gate, at(5))
	nc.Close()
	s.Save(gate, at(6))
	eventually(t, "the loss is told", func() bool { return s.Healthy() != nil })
	for what, err := range map[string]error{
		"health": s.Healthy(), "begin": s.Begin(t.Context(), north, at(9)), "set aside": s.SetAside(t.Context(), letter(gate, 1)),
	} {
		if code := gatecast.CodeOf(err); code != gatecast.Unavailable {
			t.Errorf("%s has code %v", what, code)
		}
	}
	wantProgress(t, s, gate, at(6))
	wantProgress(t, s, north, at(9))
	cancel()
	if err := <-ended; gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("the last commit says %v", err)
	}
	if _, err := Open(t.Context(), js, Options{Timeout: 100 * time.Millisecond}); gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("a second start says %v", err)
	}
}

func TestALargeEventFitsIntoADeadLetter(t *testing.T) {
	s, err := Open(t.Context(), connect(t, startServer(t, t.TempDir(), 0)), alone)
	if err != nil {
		t.Fatal(err)
	}
	want := letter(gate, 1)
	want.Event.Data = bytes.Repeat([]byte("x"), memLimit-2<<10) // as much as the server takes as an event
	want.Last.Body = append(append([]byte("{"), want.Event.Data...), '}')
	setAside(t, s, want)
	got, err := s.DeadLetter(t.Context(), gate, 1)
	if err != nil || !bytes.Equal(got.Event.Data, want.Event.Data) || !bytes.Equal(got.Last.Body, want.Last.Body) {
		t.Errorf("%v, %d bytes of %d", err, len(got.Last.Body), len(want.Last.Body))
	}
}
