package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/gatecast/gatecast"
)

// ask reads a JSON page of the API into out.
func (s *server) ask(ctx context.Context, path string, out any) error {
	status, body, err := s.get(ctx, path)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("GET %s: status %d: %s", path, status, body)
	}
	return json.Unmarshal([]byte(body), out)
}

// cursor is how far an app has got by the server's word.
type cursor struct {
	Client, Address string
	Seq             gatecast.Seq
	Lag             *uint64 `json:"lag_events"`
	Lost            uint64
}

// cursor returns the cursor of an app as a whole.
func (s *server) cursor(ctx context.Context, a app) (cursor, error) {
	var list struct{ Cursors []cursor }
	if err := s.ask(ctx, "/api/v1/apps/"+a.Key+"/cursors", &list); err != nil {
		return cursor{}, err
	}
	if len(list.Cursors) != 1 || list.Cursors[0].Client+list.Cursors[0].Address != "" || list.Cursors[0].Lag == nil {
		return cursor{}, fmt.Errorf("the app has the cursors %+v, want one of its own in this journal", list.Cursors)
	}
	return list.Cursors[0], nil
}

// connections returns how many connections of an app the server has.
func (s *server) connections(ctx context.Context, a app) (int, error) {
	var list struct{ Total *int }
	if err := s.ask(ctx, "/api/v1/connections?app_key="+a.Key, &list); err != nil {
		return 0, err
	}
	if list.Total == nil {
		return 0, fmt.Errorf("the list of connections has no total")
	}
	return *list.Total, nil
}

var commitsLine = regexp.MustCompile(`(?m)^gatecast_cursor_commits_total ([0-9]+)$`)

// untilCommitted waits until every cursor as it stands now is on disk: until
// two commits have ended, of which the second began after the first ended, and
// so after now. Without news from clients there is nothing to commit, so they
// have to be following a load.
func (s *server) untilCommitted(t *testing.T) {
	t.Helper()
	goal := -1
	eventually(t, "cursors are written", func(ctx context.Context) bool {
		_, page, err := s.get(ctx, "/metrics")
		m := commitsLine.FindStringSubmatch(page)
		if err != nil || m == nil {
			t.Fatalf("no count of commits in /metrics (%v)", err)
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if goal < 0 {
			goal = n + 2
		}
		return n >= goal
	})
}

var residentLine = regexp.MustCompile(`(?m)^VmRSS:\s+([0-9]+) kB$`)

// resident returns the memory of the server's process, in bytes.
func (s *server) resident(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		missing(t, "there is no /proc: %v", err)
	}
	m := residentLine.FindSubmatch(status)
	if m == nil {
		t.Fatalf("no VmRSS in %s", status)
	}
	kib, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
