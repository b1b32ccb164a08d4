//go:build linux

package floor_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatecast/gatecast/internal/bench/floor"
)

func TestBareRequestsAreAsManyAsAskedAndAllAlike(t *testing.T) {
	var right, conns atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil && string(body) == "the body" && r.Method == http.MethodPost {
			right.Add(1)
		}
	}))
	srv.Config.ConnState = countNew(&conns)
	srv.Start()
	defer srv.Close()
	var out bytes.Buffer
	if err := floor.PostLoop(t.Context(), floor.Posts{URL: srv.URL, Count: 100, AtOnce: 5}, strings.NewReader("the body"), &out); err != nil {
		t.Fatal(err)
	}
	// net/http dials one more now and then, while another becomes free.
	if right.Load() != 100 || conns.Load() > 2*5 {
		t.Errorf("%d requests came over %d connections, want 100 over about 5", right.Load(), conns.Load())
	}
	var wall, cpu int64
	if _, err := fmt.Sscanf(out.String(), "done %d %d\n", &wall, &cpu); err != nil || wall <= 0 || cpu <= 0 {
		t.Errorf("it says %q (%v)", out.String(), err)
	}
}

func TestABareRequestThatFailsIsNoFigure(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	err := floor.PostLoop(t.Context(), floor.Posts{URL: srv.URL, Count: 100, AtOnce: 5}, strings.NewReader("x"), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := floor.PostLoop(ended, floor.Posts{URL: srv.URL, Count: 1, AtOnce: 1}, strings.NewReader("x"), io.Discard); err == nil {
		t.Error("requests of a run that has ended")
	}
}

func TestWhatBareRequestsTookIsReadFromTheirProcess(t *testing.T) {
	s, err := floor.Post(exec.Command("sh", "-c", "cat >/dev/null; echo done 3 4"), []byte("x"))
	if err != nil || s.Wall != 3 || s.CPU != 4 {
		t.Errorf("got %+v, %v", s, err)
	}
	for _, script := range []string{"echo hello", "exit 3"} {
		if _, err := floor.Post(exec.Command("sh", "-c", script), nil); err == nil {
			t.Errorf("%s was taken for figures", script)
		}
	}
}

func countNew(n *atomic.Int64) func(net.Conn, http.ConnState) {
	return func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			n.Add(1)
		}
	}
}
