package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/config"
)

// space is how full a file system is, in bytes.
type space struct {
	free, total        uint64 // free for an ordinary user
	inodes, inodesLeft uint64 // 0: it has no fixed number of them
}

func measureSpace(dir string) (space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return space{}, fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	unit := uint64(st.Bsize)
	return space{free: st.Bavail * unit, total: st.Blocks * unit, inodes: st.Files, inodesLeft: st.Ffree}, nil
}

// Where a disk begins to be full, besides journal.low_disk.
const (
	fewInodes   = 10_000 // worth a warning
	noInodes    = 500    // gatecast needs so many itself, soon
	fewDaysLeft = 30
	noDaysLeft  = 3
)

func judgeSpace(dir string, s space, low config.Size) (found []gatecast.Finding) {
	free := size(s.free)
	text := fmt.Sprintf("%s of %s are free", free, size(s.total))
	const remedy = "free some space, give the file system more, or keep less: journal.max_age, journal.max_bytes"
	switch reserve := uint64(max(low, 0)); {
	case s.free < reserve:
		found = append(found, bad("disk", dir, fmt.Sprintf("only %s are free, less than journal.low_disk (%s): events are refused", free, size(reserve)), remedy))
	case s.free < 2*reserve:
		found = append(found, warn("disk", dir, fmt.Sprintf("%s are free; below %s (journal.low_disk) events are refused", free, size(reserve)), remedy))
	default:
		found = append(found, ok("disk", dir, text))
	}
	if s.inodes == 0 {
		return found
	}
	const fewer = "remove small files from this file system, or make it anew with more inodes"
	left := fmt.Sprintf("room for %d more files (inodes), of %d", s.inodesLeft, s.inodes)
	switch {
	case s.inodesLeft < noInodes:
		found = append(found, bad("disk", dir, left+": soon nothing can be written, however much space is free", fewer))
	case s.inodesLeft < fewInodes && s.inodesLeft < s.inodes/5:
		found = append(found, warn("disk", dir, left, fewer))
	}
	return found
}

// growth is how the journal grows, in bytes.
type growth struct {
	held   uint64
	perDay float64 // by the latest 24 hours
}

// measureGrowth goes by what came in the latest 24 hours.
func measureGrowth(ctx context.Context, j Journal, now time.Time) (growth, error) {
	x, err := j.Extent(ctx)
	if err != nil {
		return growth{}, err
	}
	after, err := j.Since(ctx, now.Add(-24*time.Hour))
	if err != nil || x.Events == 0 || after >= x.Last {
		return growth{held: x.Bytes}, err
	}
	fresh := min(uint64(x.Last-after), x.Events)
	return growth{held: x.Bytes, perDay: float64(fresh) * float64(x.Bytes) / float64(x.Events)}, nil
}

// judgeGrowth says when the disk will be full. What retention will remove does
// not count.
func judgeGrowth(dir string, s space, g growth, j config.Journal) gatecast.Finding {
	text := fmt.Sprintf("the journal holds %s, and grew by %s in 24 hours", size(g.held), size(uint64(g.perDay)))
	room := float64(s.free) - float64(j.LowDisk)
	if g.perDay <= 0 || room <= 0 { // the latter has a finding of its own
		return ok("growth", dir, text)
	}
	need, limited := levelsOff(g, j)
	if limited && need <= room {
		return ok("growth", dir, text+"; what is older than the settings allow is removed before the disk is full")
	}
	days := room / g.perDay
	told := fmt.Sprintf("%s: at this rate events are refused in %.0f days", text, days)
	if days < 1 {
		told = text + ": at this rate events are refused within a day"
	}
	const remedy = "give the file system more space, or keep less: journal.max_age, journal.max_bytes"
	switch {
	case days < noDaysLeft:
		return bad("growth", dir, told, remedy)
	case days < fewDaysLeft:
		return warn("growth", dir, told, remedy)
	}
	return ok("growth", dir, told)
}

// levelsOff returns how much more the journal will take when it has reached the
// first of its limits, and whether it has any.
func levelsOff(g growth, j config.Journal) (more float64, limited bool) {
	held := float64(g.held)
	if j.MaxBytes > 0 {
		more, limited = max(float64(j.MaxBytes)-held, 0), true
	}
	if j.MaxAge > 0 {
		byAge := max(g.perDay*j.MaxAge.Hours()/24-held, 0)
		if !limited || byAge < more {
			more, limited = byAge, true
		}
	}
	return more, limited
}

// checkDisk looks at the disk of the data directory; j is nil if no server runs.
func checkDisk(ctx context.Context, o Options, j Journal) []gatecast.Finding {
	dir, err := existing(o.DataDir)
	if err != nil {
		return []gatecast.Finding{unreadable("disk", o.DataDir, err)}
	}
	s, err := measureSpace(dir)
	if err != nil {
		return []gatecast.Finding{unreadable("disk", o.DataDir, err)}
	}
	if o.Config.Journal.URL != "" { // low_disk is that of the journal built in
		return judgeSpace(dir, s, 16*config.MiB)
	}
	found := judgeSpace(dir, s, o.Config.Journal.LowDisk)
	if j == nil {
		return found
	}
	g, err := measureGrowth(ctx, j, o.Now())
	if err != nil {
		return append(found, warn("growth", dir, "the journal cannot say how it grows: "+err.Error(), "look at the server's log"))
	}
	return append(found, judgeGrowth(dir, s, g, o.Config.Journal))
}

func unreadable(check, subject string, err error) gatecast.Finding {
	return bad(check, subject, err.Error(), "check server.data, its mode and its owner, and the disk")
}

// existing returns dir, or the nearest directory above it that is there.
func existing(dir string) (string, error) {
	for {
		_, err := os.Stat(dir)
		up := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || up == dir {
			return dir, err
		}
		dir = up
	}
}

// size is a number of bytes for people.
func size(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	value, i := float64(n), 0
	for value >= 1024 && i < len(units)-1 {
		value /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, units[i])
}
