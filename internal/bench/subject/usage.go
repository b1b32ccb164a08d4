package subject

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// Usage is what the server's process alone has used.
type Usage struct {
	CPU      time.Duration // since its start, in user and kernel
	Resident int64         // bytes of memory now
	Peak     int64         // bytes of memory at most so far; 0: not known
}

// Usage asks the kernel about a process that was started here, and /metrics
// about one that was not.
func (s *Server) Usage(ctx context.Context) (Usage, error) {
	if s.own != nil {
		return usageOf(s.own.cmd.Process.Pid)
	}
	answer, err := s.api.send(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return Usage{}, fmt.Errorf("read the server's metrics: %w", err)
	}
	return usageIn(answer)
}

// OpenFiles returns how many files and sockets the server has open.
func (s *Server) OpenFiles(ctx context.Context) (int, error) {
	if s.own != nil {
		return openFilesOf(s.own.cmd.Process.Pid)
	}
	answer, err := s.api.send(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return 0, fmt.Errorf("read the server's metrics: %w", err)
	}
	n, err := metric(answer, "process_open_fds")
	return int(n), err
}

// usageIn finds the process's figures in the text of /metrics.
func usageIn(metrics []byte) (Usage, error) {
	cpu, errCPU := metric(metrics, "process_cpu_seconds_total")
	rss, errRSS := metric(metrics, "process_resident_memory_bytes")
	if errCPU != nil || errRSS != nil {
		e := gatecast.Errorf(gatecast.Unavailable, "the server's /metrics does not tell what its process uses")
		e.Remedy = "measure on Linux, and without a proxy in between"
		return Usage{}, e
	}
	return Usage{CPU: time.Duration(cpu * float64(time.Second)), Resident: int64(rss)}, nil
}

func metric(text []byte, name string) (float64, error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(rest, 64)
		}
	}
	return 0, gatecast.Errorf(gatecast.NotFound, "no metric %s", name)
}
