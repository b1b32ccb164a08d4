package reconcile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
)

// idsHead is the first line of an audit's file. Behind it stand the sets, each
// as [spans.encode] writes it, in the order of Sets.
type idsHead struct {
	Version int          `json:"version"`
	Source  string       `json:"source"`
	Created time.Time    `json:"created"`
	Epoch   string       `json:"epoch"`
	Seq     gatecast.Seq `json:"seq"`
	Recent  []sighting   `json:"recent,omitempty"`
	Sets    []idsSet     `json:"sets"`
	Sum     string       `json:"sum"` // SHA-256 of what follows the line
}

type idsSet struct {
	Kind   gatecast.Kind `json:"kind"`
	Status int64         `json:"status,omitempty"`
}

const idsVersion = 1

// openAudit reads an audit's file. Where there is none, or none that can be
// believed, the audit begins with what was stored when the source was made.
func openAudit(ctx context.Context, h Hub, dir string, src *gatecast.Source, log *slog.Logger) (*audit, error) {
	extent, err := h.Extent(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the journal what it holds: %w", err)
	}
	a := &audit{hub: h, source: src.Name, created: src.Created, epoch: extent.Epoch, sets: make(map[set]*spans), log: log.Warn}
	content, err := os.ReadFile(idsFile(dir, src.Name))
	if err == nil {
		err = a.decode(content, extent)
	}
	if err == nil {
		return a, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		log.Warn("what the journal has of a source is read from the journal again", "source", src.Name, "err", err)
	}
	a.sets, a.recent, a.dirty = make(map[set]*spans), nil, true
	if a.seq, err = h.Since(ctx, src.Created.Add(-slack)); err != nil {
		return nil, fmt.Errorf("find what was stored since the source was made: %w", err)
	}
	return a, nil
}

// encode returns the file.
func (a *audit) encode() ([]byte, error) {
	h := idsHead{Version: idsVersion, Source: a.source, Created: a.created, Epoch: a.epoch, Seq: a.seq, Recent: a.recent}
	var body []byte
	names := slices.SortedFunc(maps.Keys(a.sets), func(x, y set) int {
		if x.kind != y.kind {
			return int(x.kind - y.kind)
		}
		return int(max(-1, min(1, x.status-y.status)))
	})
	for _, name := range names {
		h.Sets = append(h.Sets, idsSet{name.kind, name.status})
		body = a.sets[name].encode(body)
	}
	sum := sha256.Sum256(body)
	h.Sum = hex.EncodeToString(sum[:])
	head, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	return append(append(head, '\n'), body...), nil
}

// decode takes over what encode has written, if it is about this source and
// this journal.
func (a *audit) decode(content []byte, x gatecast.Extent) error {
	head, body, _ := bytes.Cut(content, []byte{'\n'})
	var h idsHead
	if err := json.Unmarshal(head, &h); err != nil {
		return errDamaged
	}
	sum := sha256.Sum256(body)
	switch {
	case h.Version != idsVersion, h.Sum != hex.EncodeToString(sum[:]), len(h.Sets) > mostSets:
		return errDamaged
	case h.Source != a.source, !h.Created.Equal(a.created):
		return errors.New("the file is about another source")
	case h.Epoch != x.Epoch, h.Seq > x.Last:
		return errors.New("the file is about another journal")
	}
	for _, name := range h.Sets {
		s, rest, err := decodeSpans(body, mostSpans)
		if err != nil {
			return err
		}
		a.sets[set{name.Kind, name.Status}], body = s, rest
	}
	if len(body) > 0 {
		return errDamaged
	}
	a.seq, a.recent = h.Seq, h.Recent[max(0, len(h.Recent)-mostRecent):]
	return nil
}

// save writes the file if there is something new.
func (a *audit) save(dir string) error {
	if !a.dirty {
		return nil
	}
	content, err := a.encode()
	if err == nil {
		err = replace(idsFile(dir, a.source), content)
	}
	if err != nil {
		return fmt.Errorf("write what the journal has of the source: %w", err)
	}
	a.dirty = false
	return nil
}
