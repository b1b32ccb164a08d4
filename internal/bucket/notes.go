package bucket

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/gatecast/gatecast"
)

// Notes keeps a text for each name, for work that one node at a time does under
// a [Lease]. Whoever begins with the work takes a note before it goes by it:
// what a former holder writes late comes to nothing then.
type Notes struct {
	bucket Bucket
	prefix string
	writer string // names these Notes in what they write: the first line of each value

	// mu guards known. It is held only for map work.
	mu    sync.Mutex
	known map[string]uint64 // revisions of the notes that were taken here, by name
}

// NewNotes makes Notes whose keys begin with a prefix. Names may hold what keys
// of a bucket may hold: letters, digits, '-', '_' and '.'.
func NewNotes(b Bucket, prefix string) *Notes {
	return &Notes{bucket: b, prefix: prefix, writer: rand.Text(), known: map[string]uint64{}}
}

// attempts bounds how often a note is taken anew because it has changed
// meanwhile: by a former holder, who does not go on for long.
const attempts = 8

// Take returns a note, nil if there is none. From then on it is this node's to
// write, until another takes it.
func (n *Notes) Take(ctx context.Context, name string) ([]byte, error) {
	for range attempts {
		_, text, rev, err := n.read(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read the note about %s: %w", name, err)
		}
		now, err := n.put(ctx, name, text, rev)
		if errors.Is(err, ErrChanged) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("take the note about %s: %w", name, err)
		}
		n.know(name, now)
		if len(text) == 0 {
			return nil, nil
		}
		return text, nil
	}
	return nil, gatecast.Errorf(gatecast.Unavailable, "the note about %s does not keep still", name)
}

// Look returns a note as it stands, nil if there is none, and leaves it to whose
// it is.
func (n *Notes) Look(ctx context.Context, name string) ([]byte, error) {
	_, text, _, err := n.read(ctx, name)
	if err != nil || len(text) == 0 {
		return nil, err
	}
	return text, nil
}

// read returns an empty text and revision 0 for a note that is not there.
func (n *Notes) read(ctx context.Context, name string) (writer, text []byte, rev uint64, err error) {
	e, err := n.bucket.Get(ctx, n.prefix+name)
	if errors.Is(err, ErrMissing) {
		return nil, nil, 0, nil
	}
	writer, text, _ = bytes.Cut(e.Value, []byte{'\n'})
	return writer, text, e.Rev, err
}

func (n *Notes) put(ctx context.Context, name string, text []byte, rev uint64) (uint64, error) {
	return n.bucket.Put(ctx, n.prefix+name, append([]byte(n.writer+"\n"), text...), rev)
}

// Write replaces a note that was taken, and returns when it is on disk. Its error
// is Conflict if another node has taken the note since, else Unavailable: then it
// may have been written.
func (n *Notes) Write(ctx context.Context, name string, text []byte) error {
	rev, err := n.put(ctx, name, text, n.knows(name))
	if errors.Is(err, ErrChanged) {
		rev, err = n.overUnheard(ctx, name, text)
	}
	if err != nil {
		return fmt.Errorf("write the note about %s: %w", name, err)
	}
	n.know(name, rev)
	return nil
}

// overUnheard writes over what this node has written without hearing of it.
func (n *Notes) overUnheard(ctx context.Context, name string, text []byte) (uint64, error) {
	writer, _, rev, err := n.read(ctx, name)
	if err == nil && string(writer) == n.writer {
		rev, err = n.put(ctx, name, text, rev)
	} else if err == nil {
		err = ErrChanged
	}
	if errors.Is(err, ErrChanged) {
		err = gatecast.Errorf(gatecast.Conflict, "another node has taken the note about %s", name)
	}
	return rev, err
}

// Forget removes a note, whosever it is.
func (n *Notes) Forget(ctx context.Context, name string) error {
	if _, err := n.bucket.Get(ctx, n.prefix+name); errors.Is(err, ErrMissing) {
		return nil
	}
	if err := n.bucket.Delete(ctx, n.prefix+name, 0); err != nil {
		return fmt.Errorf("remove the note about %s: %w", name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.known, name)
	return nil
}

func (n *Notes) know(name string, rev uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known[name] = rev
}

func (n *Notes) knows(name string) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known[name]
}
