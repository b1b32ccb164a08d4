// Package quarantine keeps what came in and could not be understood, for an
// operator who wants to see it.
//
// It owns the files that it lies in, one for each message, and how many there
// may be: the oldest makes room. It never decides what is understood, and it
// never fails towards whoever brings something: what the disk does not take is
// counted and lost. Start at [Open] and [Store.Put].
//
// # What may be lost
//
// Files are not fsynced. After a crash of the machine the newest may be missing.
// How often a message came is written when that has doubled: after a restart
// the number may be as low as half of what it was.
package quarantine

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

// Options tunes a Store. The zero value suits, but for Dir.
type Options struct {
	Dir      string           // of the files; made if missing
	MaxItems int              // messages kept; beyond it the oldest goes; default 1000
	MaxBytes int64            // of all files together; beyond it the oldest goes; default 16 MiB
	MaxBody  int              // bytes kept of one message, the rest is cut off; with 4 KiB at most MaxBytes; default 64 KiB
	Now      func() time.Time // default time.Now
	Log      *slog.Logger     // default: discard
}

func (o Options) withDefaults() Options {
	o.MaxItems = cmp.Or(o.MaxItems, 1000)
	o.MaxBytes = cmp.Or(o.MaxBytes, 16<<20)
	o.MaxBody = cmp.Or(o.MaxBody, 64<<10)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

const (
	// sameWithin is how long the same body of the same source counts as the same
	// message.
	sameWithin = time.Minute
	// patience is how long somebody who brings something waits for those before
	// it: a disk that hangs must not hold up every source.
	patience = time.Second

	maxSource = 64
	maxReason = 512
)

// Store holds what is kept. Its methods may be called from any goroutine.
type Store struct {
	opts   Options
	meters *meters
	outage outage

	// pen is held by whoever changes files. It is a channel because its holder
	// waits for the disk.
	pen chan struct{}

	// mu guards what follows. Nothing blocks under it.
	mu    sync.Mutex
	items []*item // the oldest first, up to Options.MaxItems
	bytes int64   // of their files
	last  uint64  // number of the newest item, ever
}

// item is what is known of a message without its file.
type item struct {
	gatecast.Quarantined          // without its body
	print                [32]byte // of source and body; zero: it was kept before the start
	file                 int64    // size of the file in bytes
}

// Open opens the quarantine in a directory. Its error is Invalid if an option
// cannot stand, and Unavailable if the directory cannot be made or read.
func Open(o Options) (*Store, error) {
	o = o.withDefaults()
	if o.Dir == "" || o.MaxItems < 1 || o.MaxBody < 1 || o.MaxBytes < int64(o.MaxBody)+maxHead {
		return nil, gatecast.Errorf(gatecast.Invalid, "a quarantine needs a directory, and room for one message of %d bytes", o.MaxBody)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, unavailable(fmt.Errorf("make the directory of the quarantine: %w", err))
	}
	s := &Store{opts: o, pen: make(chan struct{}, 1)}
	s.meters = newMeters(s)
	if err := s.load(); err != nil {
		return nil, unavailable(fmt.Errorf("read the quarantine: %w", err))
	}
	s.makeRoom(0, 0)
	return s, nil
}

// Put keeps a message of a source, and why it could not be understood. The same
// body of the same source within a minute is counted, and kept once. Nothing is
// kept of it if the disk does not take it, or is that busy; that is counted and
// logged. The slice is not kept. A body beyond Options.MaxBody is cut off.
func (s *Store) Put(source, reason string, body []byte) {
	source, reason = clip(source, maxSource), clip(reason, maxReason)
	if !s.takePen() {
		s.meters.busy.Inc()
		s.failed(errBusy)
		return
	}
	defer s.givePen()
	now := s.opts.Now()
	print := printOf(source, body)
	if it, again := s.again(print, now); again {
		s.meters.repeated.Inc()
		if bits.OnesCount(uint(it.Count)) == 1 {
			s.recount(it)
		}
		return
	}
	kept := body[:min(len(body), s.opts.MaxBody)]
	q := gatecast.Quarantined{
		ID: s.nextID(now), At: now.UTC(), Source: source, Reason: reason, Size: len(body), Truncated: len(kept) < len(body), Count: 1,
	}
	text := appendFile(nil, &q, kept)
	s.makeRoom(1, int64(len(text)))
	if err := s.write(q.ID, text); err != nil {
		s.meters.disk.Inc()
		s.failed(err)
		return
	}
	s.worked()
	s.meters.kept.Inc()
	s.insert(&item{Quarantined: q, print: print, file: int64(len(text))})
}

func (s *Store) takePen() bool {
	select {
	case s.pen <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case s.pen <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

func (s *Store) givePen() { <-s.pen }

// again counts a message that came within the last minute already, and returns
// a copy of what is known of it.
func (s *Store) again(print [32]byte, now time.Time) (item, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.items) - 1; i >= 0; i-- {
		it := s.items[i]
		age := now.Sub(it.At)
		if age >= sameWithin {
			break
		}
		if it.print == print && age >= 0 {
			it.Count++
			return *it, true
		}
	}
	return item{}, false
}

func (s *Store) insert(it *item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = append(s.items, it)
	s.bytes += it.file
}

// nextID returns an ID above all before it, also if the clock was set back.
func (s *Store) nextID(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last+1, uint64(max(now.UnixMicro(), 0)))
	return idOf(s.last)
}

func printOf(source string, body []byte) [32]byte {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n", source) // a hash takes everything, and no source's name has line ends
	_, _ = h.Write(body)
	return [32]byte(h.Sum(nil))
}

// clip returns at most n bytes of s, in UTF-8.
func clip(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }

var errBusy = errors.New("the disk is too slow")

func unavailable(cause error) error {
	e := gatecast.Errorf(gatecast.Unavailable, "the quarantine cannot be used: its files cannot be read or written")
	e.Remedy = "see to the disk of the data directory; the server's log says more"
	e.Cause = cause
	return e
}
