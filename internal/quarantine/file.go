package quarantine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/gatecast/gatecast"
)

const (
	suffix    = ".msg"
	temporary = ".tmp"
	// maxHead bounds a file's first line. Source and reason are cut, and grow by
	// six at most when they are quoted.
	maxHead = 4 << 10
)

// head is a file's first line. What follows it is the body, as it came.
type head struct {
	At        time.Time `json:"at"`
	Source    string    `json:"source"`
	Reason    string    `json:"reason"`
	Size      int       `json:"size"`
	Kept      int       `json:"kept"` // length of the body in the file: one that a crash has cut off is found out
	Count     int       `json:"count"`
	Truncated bool      `json:"truncated,omitempty"`
}

var errDamaged = errors.New("the file is damaged")

// appendFile appends what stands in a message's file.
func appendFile(b []byte, q *gatecast.Quarantined, body []byte) []byte {
	line, err := json.Marshal(head{
		At: q.At, Source: q.Source, Reason: q.Reason, Size: q.Size, Kept: len(body), Count: q.Count, Truncated: q.Truncated,
	})
	if err != nil { // a year beyond 9999: the file is not read again
		line = []byte("{}")
	}
	b = append(append(b, line...), '\n')
	return append(b, body...)
}

// parseHead reads the first line of a file that has size bytes, and returns
// where the body begins.
func parseHead(text []byte, size int64) (q gatecast.Quarantined, begin int, err error) {
	line, _, whole := bytes.Cut(text, []byte{'\n'})
	var h head
	if !whole || json.Unmarshal(line, &h) != nil || h.Count < 1 || h.Kept < 0 || h.Size < h.Kept || int64(h.Kept)+int64(len(line))+1 != size {
		return q, 0, errDamaged
	}
	return gatecast.Quarantined{
		At: h.At, Source: h.Source, Reason: h.Reason, Size: h.Size, Truncated: h.Truncated, Count: h.Count,
	}, len(line) + 1, nil
}

// idOf returns the ID with a number. IDs order as their numbers do.
func idOf(n uint64) string { return fmt.Sprintf("q%016x", n) }

func numberOf(id string) (n uint64, ok bool) {
	text, marked := strings.CutPrefix(id, "q")
	n, err := strconv.ParseUint(text, 16, 64)
	return n, marked && err == nil && idOf(n) == id
}

func (s *Store) file(id string) string { return filepath.Join(s.opts.Dir, id+suffix) }

// write puts a file in place in one go: what was there before stays whole if
// this fails.
func (s *Store) write(id string, text []byte) error {
	name := s.file(id)
	err := os.WriteFile(name+temporary, text, 0o600)
	if errors.Is(err, os.ErrNotExist) { // somebody has removed the directory
		if err = os.MkdirAll(s.opts.Dir, 0o700); err == nil {
			err = os.WriteFile(name+temporary, text, 0o600)
		}
	}
	if err == nil {
		err = os.Rename(name+temporary, name)
	}
	if err != nil {
		_ = os.Remove(name + temporary) // half a file; the next start removes it otherwise
		return fmt.Errorf("write a message into the quarantine: %w", err)
	}
	return nil
}

// read returns a message as its file has it.
func (s *Store) read(id string) (gatecast.Quarantined, error) {
	text, err := os.ReadFile(s.file(id))
	if err != nil {
		return gatecast.Quarantined{}, err
	}
	q, begin, err := parseHead(text, int64(len(text)))
	q.ID, q.Body = id, text[begin:]
	return q, err
}

// recount writes anew how often a message came. It needs the pen.
func (s *Store) recount(it item) {
	q, err := s.read(it.ID)
	if errors.Is(err, os.ErrNotExist) {
		return // somebody has removed it
	}
	if err == nil {
		text := appendFile(nil, &it.Quarantined, q.Body)
		if err = s.write(it.ID, text); err == nil {
			s.resize(it.ID, int64(len(text)))
			s.worked()
			return
		}
	}
	s.failed(err)
}

// resize takes note that a file has another size now: its counter has grown.
func (s *Store) resize(id string, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, there := s.find(id); there {
		s.bytes += size - s.items[i].file
		s.items[i].file = size
	}
}

// find returns where an item is, or would be. It is called under mu.
func (s *Store) find(id string) (int, bool) {
	return slices.BinarySearchFunc(s.items, id, func(it *item, id string) int { return strings.Compare(it.ID, id) })
}

// makeRoom lets the oldest of those who have most go until so much more fits. It needs the pen.
func (s *Store) makeRoom(items int, size int64) {
	for {
		it := s.oldestBeyond(items, size)
		if it == nil {
			return
		}
		if err := os.Remove(s.file(it.ID)); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.opts.Log.Warn("a file of the quarantine cannot be removed", "id", it.ID, "err", err)
		}
		s.meters.evicted.Inc()
	}
}

// oldestBeyond takes the oldest out if there is no room.
func (s *Store) oldestBeyond(items int, size int64) *item {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.items) == 0 || len(s.items)+items <= s.opts.MaxItems && s.bytes+size <= s.opts.MaxBytes {
		return nil
	}
	i := s.oldestOfMost()
	it := s.items[i]
	s.items, s.bytes = slices.Delete(s.items, i, i+1), s.bytes-it.file
	return it
}

// oldestOfMost is where the oldest item of the sender is that has most: who
// sends much rubbish must not push out what others have here. All devices over
// MQTT are one sender. It is called under mu.
func (s *Store) oldestOfMost() int {
	count, first, most := make(map[string]int), make(map[string]int), 0
	for i, it := range s.items {
		sender, _, _ := strings.Cut(it.Source, ":")
		if count[sender]++; count[sender] == 1 {
			first[sender] = i
		}
		most = max(most, count[sender])
	}
	oldest := len(s.items)
	for sender, n := range count {
		if n == most {
			oldest = min(oldest, first[sender])
		}
	}
	return oldest
}

// load finds what was kept before the start. Damaged files go: nobody could
// show them, and they would take room for ever.
func (s *Store) load() error {
	entries, err := os.ReadDir(s.opts.Dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		if id, half := strings.CutSuffix(name, suffix+temporary); half {
			if _, ours := numberOf(id); ours {
				_ = os.Remove(filepath.Join(s.opts.Dir, name)) // it takes some room if that fails
			}
			continue
		}
		id, _ := strings.CutSuffix(name, suffix)
		n, ours := numberOf(id)
		if !ours || name != id+suffix {
			continue
		}
		s.last = max(s.last, n)
		it, err := s.look(id)
		switch {
		case errors.Is(err, errDamaged):
			s.opts.Log.Warn("a file of the quarantine is damaged and was removed", "id", id, "err", cmp.Or(os.Remove(s.file(id)), err))
		case err != nil:
			return err
		default:
			s.insert(it)
		}
	}
	slices.SortFunc(s.items, func(a, b *item) int { return strings.Compare(a.ID, b.ID) })
	return nil
}

// look reads what is known of a message, and not its body.
func (s *Store) look(id string) (_ *item, err error) {
	f, err := os.Open(s.file(id))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxHead))
	if err != nil {
		return nil, err
	}
	q, _, err := parseHead(text, info.Size())
	q.ID = id
	return &item{Quarantined: q, file: info.Size()}, err
}
