package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// How long an fsync is measured, and how often at most: a disk that is used by
// others is left to them.
const (
	mostSyncs = 64
	syncTime  = time.Second
)

// syncs is what fsync of a file of its own took, shortest first.
type syncs []time.Duration

func (s syncs) median() time.Duration { return s[len(s)/2] }
func (s syncs) worst() time.Duration  { return s[len(s)-1] }

// measureSync appends to a file of its own and syncs it, as the journal does.
func measureSync(ctx context.Context, dir string) (s syncs, err error) {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return nil, fmt.Errorf("make a file to measure with: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}()
	block := make([]byte, 4096)
	end := time.Now().Add(syncTime)
	for i := range mostSyncs + 1 {
		if len(s) > 0 && (ctx.Err() != nil || time.Now().After(end)) {
			break
		}
		if _, err := f.Write(block); err != nil {
			return nil, fmt.Errorf("write: %w", err)
		}
		began := time.Now()
		if err := f.Sync(); err != nil {
			return nil, fmt.Errorf("fsync: %w", err)
		}
		if i > 0 { // the first brings the file itself to disk
			s = append(s, time.Since(began))
		}
	}
	slices.Sort(s)
	return s, nil
}

// What an fsync can take. A flash drive writes a page in some ten microseconds,
// a disk that turns has to wait for its platter, and a virtual disk for its host.
const (
	fastestFlash    = 15 * time.Microsecond
	fastestVirtual  = 30 * time.Microsecond
	fastestRotating = 500 * time.Microsecond
	slowSync        = 50 * time.Millisecond
	worstSync       = time.Second
)

const liesRemedy = "pull the plug of a test machine, or ask whoever runs the disk: its write cache must be off, or survive a power cut (a battery, a capacitor); a virtual disk must not be of the kind cache=unsafe"

// judgeSync says whether an fsync does what it promises, by how long it takes.
func judgeSync(dir string, d device, s syncs) gatecast.Finding {
	median := round(s.median())
	text := fmt.Sprintf("an fsync takes %s (median of %d, at most %s)", median, len(s), round(s.worst()))
	fastest, what := fastestFlash, "no drive"
	switch {
	case d.virtual:
		fastest, what = fastestVirtual, "no host of a virtual disk"
	case d.rotating:
		fastest, what = fastestRotating, "no disk that turns"
	}
	switch {
	case s.median() < fastest:
		return warn("fsync", dir, fmt.Sprintf("%s; %s can write so fast: fsync may lie, and a power cut may lose accepted events", text, what), liesRemedy)
	case s.median() > slowSync:
		return warn("fsync", dir, fmt.Sprintf("%s; senders wait for at least that, and no more than %.0f groups of events a second are stored", text, 1/s.median().Seconds()), "use a faster disk, or one that others use less")
	case s.worst() > worstSync:
		return warn("fsync", dir, text+"; senders wait for that, and some give up", "look for who else uses the disk, and for errors of it in the kernel's log")
	}
	return ok("fsync", dir, text)
}

func round(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}

// judgeMount says whether a file system can keep what it has promised.
func judgeMount(dir string, m mount) (found []gatecast.Finding) {
	const elsewhere = "put server.data on a local disk with ext4 or xfs"
	switch kind := m.kind; {
	case kind == "tmpfs" || kind == "ramfs":
		found = append(found, bad("mount", dir, "this is memory ("+kind+"): everything is lost when the machine or the container stops", elsewhere))
	case kind == "overlay" || kind == "aufs":
		found = append(found, warn("mount", dir, "this is the container's own layer ("+kind+"): it is lost with the container", "mount a volume at server.data"))
	case isNetwork(kind):
		found = append(found, warn("mount", dir, "this is a network file system ("+kind+"): an fsync is worth what its server makes of it, the lock on server.data may not hold, and an outage stops the journal", elsewhere))
	}
	for _, option := range m.options {
		switch option {
		case "nobarrier", "barrier=0":
			found = append(found, bad("mount", dir, "it is mounted with "+option+": a power cut may lose accepted events, and the file system", "mount it without that option"))
		case "ro":
			found = append(found, bad("mount", dir, "it is mounted read-only", "mount it read-write; if nobody has mounted it so, the kernel has, after an error: see its log"))
		}
	}
	return found
}

func isNetwork(kind string) bool {
	switch kind {
	case "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "glusterfs", "afs", "lustre", "vboxsf":
		return true
	}
	return strings.HasPrefix(kind, "fuse.") && kind != "fuse.lxcfs" || kind == "fuse"
}

// checkSync looks at what an fsync is worth where the journal lies.
func checkSync(ctx context.Context, o Options) []gatecast.Finding {
	if o.Config.Journal.URL != "" {
		return []gatecast.Finding{note("fsync", "", "the journal is in a NATS cluster, whose disks cannot be seen from here", "its servers need sync_interval: always, see docs/operations.md")}
	}
	if _, err := os.Stat(o.DataDir); errors.Is(err, os.ErrNotExist) {
		return nil // which is told by another check
	}
	dir := journalDir(o)
	var found []gatecast.Finding
	m, d := mountOf(dir)
	found = append(found, judgeMount(dir, m)...)
	if o.Config.Journal.Sync == "interval" {
		found = append(found, note("fsync", dir, "journal.sync is interval: a power cut loses up to a second of accepted events", "set it to always, unless that is meant"))
	}
	s, err := measureSync(ctx, dir)
	switch {
	case err != nil:
		return append(found, unreadable("fsync", dir, err))
	case len(s) == 0:
		return found
	case m.kind == "tmpfs" || m.kind == "ramfs": // an fsync of memory is nothing
		return found
	}
	return append(found, judgeSync(dir, d, s))
}
