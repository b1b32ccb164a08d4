package deliverylog

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// logged counts records by level.
type logged struct {
	slog.Handler
	mu    sync.Mutex
	count map[slog.Level]int
}

func (h *logged) Enabled(context.Context, slog.Level) bool { return true }

func (h *logged) Handle(_ context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count[r.Level]++
	return nil
}

func TestADiskThatTakesNothingCostsAttemptsAndOneLogLine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	h := &logged{count: map[slog.Level]int{}}
	l := open(t, Options{Dir: dir, Log: slog.New(h)})
	l.Add(subscription(1), attempt(1))
	flush(t, l)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		l.Add(subscription(1), attempt(n))
		l.Add(subscription(2), attempt(n))
		if l.flush() == nil {
			t.Fatal("a file was taken for a directory")
		}
	}
	if gatecast.CodeOf(l.Healthy()) != gatecast.Unavailable {
		t.Errorf("healthy: %v", l.Healthy())
	}
	if n := testutil.ToFloat64(l.meters.disk); n != 10 {
		t.Errorf("%v counted as dropped, want 10", n)
	}
	if err := os.Remove(dir); err != nil { // and the directory is not there either
		t.Fatal(err)
	}
	l.Add(subscription(1), attempt(9))
	flush(t, l)
	if err := l.Healthy(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]int{9}, seqs(read(t, l, subscription(1), Query{}))); diff != "" {
		t.Error(diff)
	}
	if h.count[slog.LevelError] != 1 || h.count[slog.LevelInfo] != 1 {
		t.Errorf("logged %v, want one error and one all-clear", h.count)
	}
}
