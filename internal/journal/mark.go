package journal

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast"
)

// mark is the high-water mark: a file beside the journal that says how far it
// once reached, so that a journal that lost its tail cannot pretend it never
// had one. It is written at each commit, which survives a killed process, and
// forced to disk each second and on close: after a power cut it may lag by the
// last second. It is owned by the committer.
type mark struct {
	f      *os.File
	first  atomic.Uint64 // oldest event held, as others last saw it
	epoch  string
	slot   int64
	last   gatecast.Seq // as last written
	dirty  bool         // something written is not on disk yet
	failed bool         // the last sync failed: what was written may never reach the disk
	synced time.Time    // when that was last tried
	ages   *ages        // nil until the journal is known
}

const markSlot = 128

// reached is what a mark says about the journal.
type reached struct {
	epoch       string
	first, last gatecast.Seq
	at          int64 // when it was written, Unix seconds
}

func (r reached) String() string { return fmt.Sprintf("%s %d %d %d", r.epoch, r.first, r.last, r.at) }

// openMark opens the file and returns what it says; last is zero if it is new.
func openMark(dir string) (m *mark, old reached, err error) {
	path := filepath.Join(dir, "mark")
	st, err := os.Stat(path)
	fresh := errors.Is(err, fs.ErrNotExist) || (err == nil && st.Size() == 0)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, old, fmt.Errorf("open the high-water mark: %w", err)
	}
	m = &mark{f: f}
	valid := false
	for slot := range int64(2) {
		r, ok := m.readSlot(slot)
		if ok && (!valid || r.last >= old.last) {
			old, m.slot, valid = r, 1-slot, true
		}
	}
	if !valid && !fresh {
		_ = f.Close()
		return nil, old, &gatecast.Error{
			Code: gatecast.Internal, Message: "the high-water mark " + path + " is unreadable",
			Remedy: "check the disk; then remove the file to go on without the check for a lost tail",
		}
	}
	return m, old, nil
}

// readSlot reads one of the two copies; the other one survives a torn write.
func (m *mark) readSlot(slot int64) (r reached, ok bool) {
	var buf [markSlot]byte
	n, _ := m.f.ReadAt(buf[:], slot*markSlot)
	var check uint32
	if _, err := fmt.Sscanf(string(buf[:n]), "%s %d %d %d %08x", &r.epoch, &r.first, &r.last, &r.at, &check); err != nil {
		return reached{}, false
	}
	return r, check == crc32.ChecksumIEEE([]byte(r.String()))
}

// set writes the mark, and brings it to disk if that was last tried a second ago.
func (m *mark) set(last gatecast.Seq) error {
	if m == nil {
		return nil
	}
	m.last = last
	if err := m.write(); err != nil {
		return err
	}
	if time.Since(m.synced) >= time.Second {
		return m.sync()
	}
	return nil
}

func (m *mark) write() error {
	r := reached{m.epoch, gatecast.Seq(m.first.Load()), m.last, time.Now().Unix()}
	line := fmt.Sprintf("%s %08x", r, crc32.ChecksumIEEE([]byte(r.String())))
	m.dirty = true
	if _, err := m.f.WriteAt(fmt.Appendf(nil, "%-*s\n", markSlot-1, line), m.slot*markSlot); err != nil {
		return fmt.Errorf("write the high-water mark: %w", err)
	}
	m.slot = 1 - m.slot
	return nil
}

// sync brings what was written to disk. After a failure the kernel may have
// dropped it, and would call the next sync a success; so it is written again.
func (m *mark) sync() error {
	if m == nil || !m.dirty {
		return nil
	}
	m.synced = time.Now()
	if m.failed {
		if err := errors.Join(m.write(), m.write()); err != nil {
			return err
		}
	}
	if err := m.f.Sync(); err != nil {
		m.failed = true
		return fmt.Errorf("sync the high-water mark: %w", err)
	}
	m.dirty, m.failed = false, false
	return nil
}

// note records the mark's age, now and then. Nothing may lie beyond the mark
// that is in the journal already.
func (m *mark) note() error {
	if m == nil {
		return nil
	}
	return m.ages.note(m.last, time.Now())
}

// reset begins an epoch, or goes on with it; both copies are written, for the
// old one may be higher.
func (m *mark) reset(epoch string, last gatecast.Seq, maxAge time.Duration) error {
	if m == nil {
		return nil
	}
	m.epoch = epoch
	m.ages.begin(epoch, maxAge)
	return errors.Join(m.set(last), m.set(last), m.sync(), m.note())
}

// see tells the mark which event is the oldest held.
func (m *mark) see(first uint64) {
	if m != nil {
		m.first.Store(first)
	}
}

func (m *mark) close() error {
	if m == nil {
		return nil
	}
	return errors.Join(m.sync(), m.f.Close())
}
