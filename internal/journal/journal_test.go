package journal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/journal"
	"github.com/gatecast/gatecast/internal/journal/journaltest"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestASecondProcessIsToldWhoHoldsTheDirectory(t *testing.T) {
	dir := t.TempDir()
	j := mustOpen(t, journal.Options{Dir: dir})
	_, err := journal.Open(t.Context(), journal.Options{Dir: dir})
	if gatecast.CodeOf(err) != gatecast.Conflict || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("the second Open: %v, want a conflict that names process %d", err, os.Getpid())
	}
	must(t, j.Close(t.Context()))
	must(t, mustOpen(t, journal.Options{Dir: dir}).Close(t.Context()))
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	j := mustOpen(t, journal.Options{Dir: t.TempDir()})
	if _, err := j.Append(t.Context(), journaltest.Events("a", 1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	for _, err := range j.Follow(ctx, 0) {
		if err != nil {
			break
		}
		cancel()
	}
	cancel()
	must(t, j.Close(context.Background()))
	goleak.VerifyNone(t, before)
}

// TestTheNewestEventsAreReadWithoutTheOldest reads near the head of a journal
// whose memory holds none of it: what comes back must begin right behind the cursor.
func TestTheNewestEventsAreReadWithoutTheOldest(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 20_000)
	j := mustOpen(t, journal.Options{Dir: dir, Check: journal.Check{Ring: 1, Scrub: -1}})
	defer func() { must(t, j.Close(context.Background())) }()
	for _, after := range []gatecast.Seq{19_990, 12_345, 19_999, 0} {
		events, err := j.Read(t.Context(), after, 5)
		if err != nil || len(events) == 0 || events[0].Seq != after+1 {
			t.Errorf("Read(%d): %d events, %v", after, len(events), err)
		}
	}
	if h := j.Holes(); len(h) > 0 {
		t.Errorf("holes in a sound journal: %+v", h)
	}
}

// TestAMissingServerIsWaitedFor stops the only server under an Append and a
// Follow, and starts it again: nothing is lost, nothing doubled.
func TestAMissingServerIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	port := freePorts(t, 1)[0] // nobody else gets it while there is no server
	srv := startServer(t, dir, port)
	ctx, cancel := context.WithTimeout(t.Context(), journaltest.Patience)
	defer cancel()
	j := mustOpen(t, journal.Options{
		URL: srv.ClientURL(), Commit: journal.Commit{Timeout: 500 * time.Millisecond}, Check: journal.Check{Ring: 1},
	})
	defer func() { must(t, j.Close(context.Background())) }()
	if _, err := j.Append(ctx, journaltest.Events("a", 3)); err != nil {
		t.Fatal(err)
	}
	srv.Shutdown()
	srv.WaitForShutdown()
	sent := make(chan error, 2)
	go func() {
		_, err := j.Append(ctx, journaltest.Events("b", 3))
		sent <- err
	}()
	short, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	defer stop()
	if _, err := j.Append(short, journaltest.Events("c", 1)); gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("Append without a server: %v, want unavailable", err)
	}
	startServer(t, dir, port)
	must(t, <-sent)
	if _, err := j.Append(ctx, append(journaltest.Events("c", 1), journaltest.Events("a", 3)...)); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for e, err := range j.Follow(ctx, 0) {
		must(t, err)
		if seen[e.ID] {
			t.Errorf("%s came twice", e.ID)
		}
		seen[e.ID] = true
		if len(seen) == 7 {
			break
		}
	}
	if x, err := j.Extent(ctx); err != nil || x.Events != 7 {
		t.Errorf("extent %+v, %v, want 7 events", x, err)
	}
}

func startServer(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		ServerName: "one", Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true, MaxPayload: 8 << 20,
		JetStream: true, StoreDir: filepath.Join(dir, "js"), SyncAlways: true, JetStreamMaxStore: 64 << 30, JetStreamMaxMemory: 64 << 20,
	})
	must(t, err)
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(journaltest.Patience) {
		t.Fatal("the server did not start")
	}
	return srv
}

func TestMetricsCountWhatWasStored(t *testing.T) {
	j := mustOpen(t, journal.Options{Dir: t.TempDir()})
	defer func() { must(t, j.Close(context.Background())) }()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(j.Metrics()...)
	for range 2 {
		if _, err := j.Append(t.Context(), journaltest.Events("m", 3)); err != nil {
			t.Fatal(err)
		}
	}
	want := `
# HELP gatecast_journal_appended_total Events stored.
# TYPE gatecast_journal_appended_total counter
gatecast_journal_appended_total 3
# HELP gatecast_journal_commits_total Commits to disk, each of one or more events.
# TYPE gatecast_journal_commits_total counter
gatecast_journal_commits_total 1
# HELP gatecast_journal_duplicates_total Events dropped because their ID was stored already.
# TYPE gatecast_journal_duplicates_total counter
gatecast_journal_duplicates_total 3
# HELP gatecast_journal_holes Stretches of lost events that nobody has accepted yet.
# TYPE gatecast_journal_holes gauge
gatecast_journal_holes 0
`
	must(t, testutil.GatherAndCompare(reg, strings.NewReader(want), "gatecast_journal_appended_total",
		"gatecast_journal_commits_total", "gatecast_journal_duplicates_total", "gatecast_journal_holes"))
}

func TestTheSizeLimitCanBeLoweredAndRaisedBetweenStarts(t *testing.T) {
	dir := t.TempDir()
	for i, limit := range []int64{1 << 50, 1 << 30, 1 << 20, 10 << 30} {
		j := mustOpen(t, journal.Options{Dir: dir, MaxBytes: limit})
		if _, err := j.Append(t.Context(), journaltest.Events(fmt.Sprint("limit", i), 1)); err != nil {
			t.Errorf("with a limit of %d bytes: %v", limit, err)
		}
		must(t, j.Close(t.Context()))
	}
}
