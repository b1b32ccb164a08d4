package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

// Hole is a stretch of acknowledged events that can no longer be read.
type Hole struct {
	From     gatecast.Seq `json:"from"`     // first one lost
	To       gatecast.Seq `json:"to"`       // last one lost
	What     string       `json:"what"`     // what was found
	Epoch    string       `json:"epoch"`    // of the journal they were in
	Found    time.Time    `json:"found"`    // when it was noticed
	Accepted bool         `json:"accepted"` // an operator has taken note; see AcceptHoles
}

// What a hole can be.
const (
	whatChanged = "the bytes on disk are not those once stored"
	whatMissing = "the events are missing in the middle of the journal"
	whatOther   = "the journal that held these events is gone; another one stands in its place"
	whatFront   = "the oldest events are missing, and no limit explains it"
	whatTail    = "the newest events are missing; a new epoch begins"
)

const holeRemedy = "restore the data directory from a backup, or send these events again, and check the disk; then accept the hole"

// maxHoles bounds the list. Beyond it neighbours are merged into one wide hole.
const maxHoles = 1000

// holes is what is known to be lost; it is kept in a file beside the journal.
type holes struct {
	path string // empty: not kept
	log  *slog.Logger

	// mu guards the fields below; files are written under fileMu only.
	mu    sync.Mutex
	epoch string
	list  []Hole

	// fileMu keeps writes of the file in order. It is never taken under mu.
	fileMu sync.Mutex
}

func openHoles(dir string, log *slog.Logger) (*holes, error) {
	h := &holes{log: log}
	if dir == "" {
		return h, nil
	}
	h.path = filepath.Join(dir, "holes.json")
	b, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the list of holes: %w", err)
	}
	if err := json.Unmarshal(b, &h.list); err != nil {
		return nil, fmt.Errorf("read the list of holes %s: %w", h.path, err)
	}
	return h, nil
}

// begin sets the epoch of the holes found from now on.
func (h *holes) begin(epoch string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.epoch = epoch
}

// add records a hole unless it is known, and says so in the log.
func (h *holes) add(n Hole) {
	if !h.insert(&n) {
		return
	}
	h.log.Error("the journal has a hole", "from", n.From, "to", n.To, "what", n.What, "epoch", n.Epoch, "remedy", holeRemedy)
	if err := h.save(); err != nil {
		h.log.Error("the list of holes cannot be written", "err", err)
	}
}

func (h *holes) insert(n *Hole) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n.Epoch == "" {
		n.Epoch = h.epoch
	}
	n.Found = time.Now().UTC().Truncate(time.Second)
	for i := range h.list {
		o := &h.list[i]
		if o.Epoch != n.Epoch {
			continue
		}
		if o.From <= n.From && n.To <= o.To {
			return false
		}
		if !o.Accepted && o.What == n.What && n.From <= o.To+1 && o.From <= n.To+1 {
			o.From, o.To = min(o.From, n.From), max(o.To, n.To)
			return true
		}
	}
	if len(h.list) >= maxHoles {
		o := &h.list[len(h.list)-1]
		o.From, o.To, o.Accepted = min(o.From, n.From), max(o.To, n.To), false
		return true
	}
	h.list = append(h.list, *n)
	return true
}

func (h *holes) all() []Hole {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.list)
}

// open returns how many holes wait to be accepted, and the first of them.
func (h *holes) open() (n int, first Hole) {
	for _, o := range h.all() {
		if o.Accepted {
			continue
		}
		if n == 0 {
			first = o
		}
		n++
	}
	return n, first
}

func (h *holes) accept() error {
	h.mu.Lock()
	for i := range h.list {
		h.list[i].Accepted = true
	}
	h.mu.Unlock()
	return h.save()
}

func (h *holes) save() error {
	if h.path == "" {
		return nil
	}
	h.fileMu.Lock()
	defer h.fileMu.Unlock()
	b, err := json.MarshalIndent(h.all(), "", "  ")
	if err != nil {
		return fmt.Errorf("encode the list of holes: %w", err)
	}
	return replaceFile(h.path, b)
}

// replaceFile writes a file so that a crash leaves the old or the new one.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
