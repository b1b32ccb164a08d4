package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// cli runs the program against a server and returns what it prints.
func (s *server) cli(ctx context.Context, t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, binary, append(args, "--server", s.base, "--token", s.token)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gatecast %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// passages are records of a device, one a second from a moment on.
func passages(sn string, from time.Time, n int) []byte {
	var b bytes.Buffer
	for i := range n {
		at := from.Add(time.Duration(i) * time.Second).Unix()
		fmt.Fprintf(&b, `{"eventType":30000,"data":{"id":%d,"sn":%q,"deviceName":"Gate %s","location":"1F","signTime":%d}}`+"\n", at, sn, sn, at)
	}
	return b.Bytes()
}

// row is the line of a device in the list.
func row(list, sn string) string {
	for line := range strings.Lines(list) {
		if strings.Contains(line, " "+sn+" ") {
			return line
		}
	}
	return ""
}

// TestADeviceThatShouldBeHeardOfIsFoundOut gives a device a busy week and then
// silence, beside one that goes on. The server is killed between the alarm and
// its end; there are exactly these two.
func TestADeviceThatShouldBeHeardOfIsFoundOut(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	args := []string{
		"--ingest.time_zone=UTC", "--devices.learn=24h", "--devices.stale_after=5s", "--devices.raise_offline=true",
		"--devices.raise_after=1s", "--canary.interval=1s",
	}
	s := start(t, data, args...)
	ctx := within(t)
	send := func(sn string, from time.Time, n int) {
		t.Helper()
		if _, err := s.post(ctx, "application/x-ndjson", passages(sn, from, n)); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	for at := now.Add(-170 * time.Hour); at.Before(now.Add(-166 * time.Hour)); at = at.Add(1000 * time.Second) {
		send("busy", at, 1000) // this hour of the week, and those around it
	}
	send("busy", now, 1)
	send("slow", now, 1)
	eventually(t, "both are live", func(ctx context.Context) bool {
		list := s.cli(ctx, t, "device", "list")
		return strings.HasPrefix(row(list, "busy"), "live") && strings.HasPrefix(row(list, "slow"), "live")
	})
	alarms := s.curl(t, "?since=earliest&kinds=alarm")
	eventually(t, "the busy one is stale", func(ctx context.Context) bool {
		send("slow", time.Now(), 1)
		return strings.HasPrefix(row(s.cli(ctx, t, "device", "list"), "busy"), "stale")
	})
	if list := s.cli(ctx, t, "device", "list"); !strings.HasPrefix(row(list, "slow"), "live") {
		t.Errorf("the other one is not live:\n%s", list)
	}
	if show := s.cli(ctx, t, "device", "show", "busy"); !strings.Contains(show, "events were to be expected") || !strings.Contains(show, "Monday") {
		t.Errorf("show:\n%s", show)
	}
	raised := nextAlarm(ctx, t, alarms)
	if raised.Code != 30001 || raised.Status != 1 || raised.SN != "busy" || raised.Trace == "" || raised.Name != "Gate busy" {
		t.Errorf("raised: %+v", raised)
	}
	s.kill(t)

	s = start(t, data, args...)
	eventually(t, "a canary comes back", func(ctx context.Context) bool {
		_, page, err := s.get(ctx, "/metrics")
		return err == nil && strings.Contains(page, "gatecast_canary_trip_seconds_count") && !strings.Contains(page, "gatecast_canary_trip_seconds_count 0\n")
	})
	if _, body, err := s.get(ctx, "/readyz"); err != nil || strings.Contains(body, "canary") {
		t.Errorf("/readyz: %s %v", body, err)
	}
	send("busy", time.Now(), 1)
	alarms = s.curl(t, "?since=earliest&kinds=alarm")
	if again := nextAlarm(ctx, t, alarms); again != raised {
		t.Errorf("after the crash %+v", again)
	}
	if over := nextAlarm(ctx, t, alarms); over.Status != 3 || over.Trace != raised.Trace || over.ID != raised.ID || over.Released == "" {
		t.Errorf("released: %+v, raised was %+v", over, raised)
	}
}

type offlineAlarm struct {
	ID       int64  `json:"id"`
	Code     int    `json:"code"`
	Status   int    `json:"status"`
	SN       string `json:"deviceSn"`
	Name     string `json:"deviceName"`
	Trace    string `json:"traceId"`
	Alarmed  string `json:"alarmTime"`
	Released string `json:"releaseTime"`
}

func nextAlarm(ctx context.Context, t *testing.T, lines <-chan string) offlineAlarm {
	t.Helper()
	for {
		e := mustFrame(ctx, t, lines)
		if e.name != "alarm" {
			continue
		}
		var push struct{ Data offlineAlarm }
		if err := json.Unmarshal([]byte(e.data), &push); err != nil {
			t.Fatal(err)
		}
		return push.Data
	}
}
