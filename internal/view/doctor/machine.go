package doctor

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/config"
)

// clock is how the machine's clock stands.
type clock struct {
	now    time.Time
	synced bool
	known  bool          // whether the kernel says anything about that
	off    time.Duration // by how much it may be wrong, at most
}

func measureClock(now time.Time) clock {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return clock{
		now: now, known: err == nil, synced: err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0,
		off: time.Duration(t.Maxerror) * time.Microsecond,
	}
}

// firstYear is when gatecast was begun: no clock that is right shows less.
const firstYear = 2025

func judgeClock(c clock) gatecast.Finding {
	const remedy = "run chrony, systemd-timesyncd or another NTP client on this machine"
	text := "the clock shows " + moment(c.now)
	switch {
	case c.now.Year() < firstYear || c.now.Year() > 2100:
		return bad("clock", "", text+", which cannot be: signatures are refused, and times are wrong", "set the clock, and "+remedy)
	case !c.known:
		return note("clock", "", text+"; the kernel does not say whether it is kept right", "make sure that it is: "+remedy)
	case !c.synced:
		return warn("clock", "", text+", and nothing keeps it right: after some weeks signatures may be refused", remedy)
	}
	return ok("clock", "", fmt.Sprintf("%s, and is kept right (by NTP), to %s", text, round(c.off)))
}

// judgeZone tells in which zone times are read that name none.
func judgeZone(setting, machine string) gatecast.Finding {
	if setting != "Local" {
		return ok("zone", "", fmt.Sprintf("times that name no zone are read in %s (ingest.time_zone); the machine's own is %s", setting, machine))
	}
	if machine == "UTC" || machine == "Etc/UTC" {
		return note("zone", "", "times that name no zone, such as alarmTime, are read in UTC, the machine's own", "if the devices are elsewhere, set ingest.time_zone, such as Asia/Tokyo")
	}
	return ok("zone", "", "times that name no zone are read in "+machine+", the machine's own")
}

// zoneName is the name of the machine's zone: time.Local does not tell its own.
func zoneName(now time.Time) string {
	if name := os.Getenv("TZ"); name != "" {
		return strings.TrimPrefix(name, ":")
	}
	if target, err := filepath.EvalSymlinks("/etc/localtime"); err == nil {
		if _, name, found := strings.Cut(target, "/zoneinfo/"); found {
			return name
		}
	}
	name, offset := now.Local().Zone()
	if offset == 0 {
		return "UTC"
	}
	return name
}

// files is how many files and sockets a process may have open.
type files struct {
	limit uint64
	open  int // -1: not known
}

func measureFiles() (files, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return files{}, fmt.Errorf("read the limit of open files: %w", err)
	}
	f := files{limit: r.Cur, open: -1}
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		f.open = len(entries)
	}
	return f, nil
}

// ownFiles is what the server needs besides its clients: journal, log, and what
// it asks others.
const ownFiles = 200

// needFiles is what the settings allow.
func needFiles(c config.Config) uint64 {
	return uint64(c.WebSocket.MaxConnections + c.WebSocket.MaxRefused + c.SSE.MaxConnections + c.Hooks.MaxInFlight + ownFiles)
}

func judgeFiles(c config.Config, f files) gatecast.Finding {
	need := needFiles(c)
	const remedy = "raise it (LimitNOFILE= of the systemd unit, ulimit -n of the shell, --ulimit nofile= of the container), or lower websocket.max_connections"
	text := fmt.Sprintf("%d files and sockets may be open at once", f.limit)
	if f.open >= 0 {
		text += fmt.Sprintf(", and %d are", f.open)
	}
	switch {
	case f.open >= 0 && uint64(f.open) >= f.limit-f.limit/10:
		return bad("files", "", text+": soon nobody can connect", remedy)
	case f.limit < ownFiles+100:
		return bad("files", "", text+": that hardly suffices for the journal", remedy)
	case f.limit < need:
		return warn("files", "", fmt.Sprintf("%s; the settings allow for connections that need %d", text, need), remedy)
	}
	return ok("files", "", text)
}

// memory is how much there is, in bytes; 0: not known.
type memory struct {
	limit uint64 // of the container, or of the machine
	group bool   // limit is that of a control group
}

func measureMemory() memory {
	m := memory{}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.limit = info.Totalram * uint64(info.Unit)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return m
	}
	if n := groupLimit("/sys/fs/cgroup", string(own)); n > 0 && (m.limit == 0 || n < m.limit) {
		m.limit, m.group = n, true
	}
	return m
}

// groupLimit finds the memory limit of a process by its /proc/self/cgroup: the
// least of those of its group and of the groups above it. 0: it has none.
func groupLimit(root, own string) uint64 {
	least := uint64(math.MaxUint64)
	for line := range strings.Lines(own) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		base, file := "", "memory.max" // the second version has one hierarchy
		if parts[1] == "memory" {
			base, file = "memory", "memory.limit_in_bytes"
		} else if parts[1] != "" {
			continue
		}
		for dir := filepath.Clean("/" + parts[2]); ; dir = filepath.Dir(dir) {
			text, err := os.ReadFile(filepath.Join(root, base, dir, file))
			if n, bad := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && bad == nil {
				least = min(least, n)
			}
			if dir == "/" {
				break
			}
		}
	}
	if least >= 1<<60 { // how the first version says that there is none
		return 0
	}
	return least
}

// What the settings ask for, in bytes; measured with gatecast bench.
const (
	baseMemory   = 96 << 20
	perConn      = 6 << 10
	perRemember  = 200 // an ID in the journal's index
	decodeFactor = 3   // a body while it is decoded
)

func needMemory(c config.Config) uint64 {
	return baseMemory + uint64(c.Hub.RingBytes) + decodeFactor*uint64(c.Ingest.MaxInflight) +
		perRemember*uint64(c.Journal.DedupMax) + perConn*uint64(c.WebSocket.MaxConnections+c.SSE.MaxConnections)
}

func judgeMemory(c config.Config, m memory) gatecast.Finding {
	what := "the machine has"
	if m.group {
		what = "the limit (control group) is"
	}
	need := needMemory(c)
	text := fmt.Sprintf("%s %s of memory; with everything in use that the settings allow, the server takes about %s", what, size(m.limit), size(need))
	switch {
	case m.limit == 0:
		return note("memory", "", "how much memory there is cannot be found out", "with everything in use the server takes about "+size(need))
	case need > m.limit:
		return warn("memory", "", text+": under load the system may kill it", "give it more, or lower hub.ring_bytes, ingest.max_inflight, journal.dedup_max or websocket.max_connections")
	}
	return ok("memory", "", text)
}
