package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
)

// item is an image that is still to be fetched.
type item struct {
	Type  gatecast.PhotoType `json:"type"`
	ID    string             `json:"id"`
	Since time.Time          `json:"since"`          // when its event was stored
	Tries int                `json:"tries,omitzero"` // times the source has refused this one
	Next  time.Time          `json:"next,omitzero"`  // not before

	asked  bool // now
	failed int  // times that nothing came of it, in trouble
}

func (it *item) photo() gatecast.Photo { return gatecast.Photo{Type: it.Type, ID: it.ID} }

// mostWaiting is how many images of a source may wait. When it is reached the
// journal is read no further until some are done: late, and nothing is kept in
// memory meanwhile. One page of events more may come on top.
const mostWaiting = 1000

// list is what is known of a source's images. It is in a file, a few seconds
// late: what was fetched since is found in the store, and what was read since is
// read again.
type list struct {
	Created time.Time    `json:"created"` // of the source
	Epoch   string       `json:"epoch"`   // of the journal
	Seq     gatecast.Seq `json:"seq"`     // read up to here
	Waiting []*item      `json:"waiting"`

	dirty bool             // something is not in the file
	gone  []gatecast.Photo // given up lately, at most mostGone: a person's photo is named by many events
}

// mostGone is how many of those that were given up are remembered. Beyond it the
// oldest are asked for once more when they are named.
const mostGone = 1000

// knows reports whether an image waits, or was given up.
func (l *list) knows(p gatecast.Photo) bool {
	return slices.Contains(l.gone, p) || slices.ContainsFunc(l.Waiting, func(it *item) bool { return it.photo() == p })
}

func (l *list) giveUp(p gatecast.Photo) {
	if len(l.gone) >= mostGone {
		l.gone = slices.Delete(l.gone, 0, 1)
	}
	l.gone = append(l.gone, p)
}

func (l *list) drop(gone *item) {
	l.Waiting = slices.DeleteFunc(l.Waiting, func(it *item) bool { return it == gone })
	l.dirty = true
}

// fileOf is where the list of a source lies. A source's name is made of letters,
// digits and '-'.
func (f *Fetcher) fileOf(source string) string {
	return filepath.Join(f.opts.Dir, source+".images")
}

// load reads a list. One that belongs to another source of the same name, to
// another journal, or that is damaged is as good as none.
func (f *Fetcher) load(src *gatecast.Source, epoch string) (l list, known bool) {
	text, err := os.ReadFile(f.fileOf(src.Name))
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		f.opts.Log.Warn("the list of a source's images cannot be read; the newest events are looked through again", "source", src.Name, "err", err)
	case l.Created.Equal(src.Created) && l.Epoch == epoch:
		return l, true
	}
	return list{Created: src.Created, Epoch: epoch}, false
}

// save writes a list so that at every moment the old or the new one is there.
// Without fsync: after a power cut there may be none.
func (f *Fetcher) save(source string, l *list) error {
	if !l.dirty {
		return nil
	}
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	name := f.fileOf(source)
	if err := os.WriteFile(name+".tmp", text, 0o600); err != nil {
		return fmt.Errorf("write the list of images: %w", err)
	}
	if err := os.Rename(name+".tmp", name); err != nil {
		return fmt.Errorf("put the list of images in place: %w", err)
	}
	l.dirty = false
	return nil
}

// forget removes the file of a source that is gone.
func (f *Fetcher) forget(source string) {
	if err := os.Remove(f.fileOf(source)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.opts.Log.Warn("a file of a source that is gone cannot be removed", "source", source, "err", err)
	}
}
