package photo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// # Which photos go
//
// First, those that last came in longer ago than their type is kept. Then, if
// all files together have more than Options.MaxBytes, the captured ones that came
// in longest ago, until a tenth of the room is free; if there are none left, the
// registered ones likewise. The events stay, with IDs of photos that are gone.
//
// Nobody who stores a photo waits for any of this.

const (
	block     = 4096             // bytes; what a small file takes at least
	staleTemp = time.Hour        // after which nobody works on a file any more
	breather  = 10 * time.Second // between two sweeps for want of room
)

// roomOf is what a file of size bytes takes.
func roomOf(size int64) int64 { return (size + block - 1) / block * block }

// Run sweeps until ctx ends: at the start, from time to time, and when the room
// is used up.
func (s *Store) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.opts.Log.Error("photos that are too old cannot be removed", "err", err)
		}
		pause(ctx, nil, breather)
		pause(ctx, s.full, s.opts.SweepEvery)
	}
	return ctx.Err()
}

// ring asks for a sweep.
func (s *Store) ring() {
	select {
	case s.full <- struct{}{}:
	default: // one is due anyway
	}
}

// pause waits for d, or for a token.
func pause(ctx context.Context, token <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-token:
	case <-timer.C:
	}
}

// item is what is remembered of a file during a sweep: 16 bytes, so that a
// million photos are nothing to worry about.
type item struct{ at, room int64 }

// edges says of each type before which time its photos go, in Unix nanoseconds.
type edges map[gatecast.PhotoType]int64

// sweep looks at all files, decides, and looks again to remove. What comes in
// meanwhile stays.
func (s *Store) sweep(ctx context.Context) error {
	before := s.bytes.Load()
	files := make(map[gatecast.PhotoType][]item)
	total := int64(0)
	err := s.walk(ctx, func(t gatecast.PhotoType, _ string, info fs.FileInfo) {
		it := item{info.ModTime().UnixNano(), roomOf(info.Size())}
		files[t] = append(files[t], it)
		total += it.room
	})
	if err != nil {
		return err
	}
	s.bytes.Add(total - before) // and what has come in since
	old := s.expired()
	edge := s.squeezed(files, old)
	freed, errs := int64(0), []error(nil)
	err = s.walk(ctx, func(t gatecast.PhotoType, name string, info fs.FileInfo) {
		if info.ModTime().UnixNano() >= edge[t] {
			return
		}
		if gone, err := s.remove(name, edge[t]); err != nil {
			errs = append(errs[:min(len(errs), 3)], err) // the same one, most likely
		} else if gone {
			freed += roomOf(info.Size())
			why := "room"
			if info.ModTime().UnixNano() < old[t] {
				why = "age"
			}
			s.metrics.removed.WithLabelValues(t.String(), why).Inc()
		}
	})
	s.bytes.Add(-freed)
	return errors.Join(append(errs, err)...)
}

// expired returns the edges that the lifetimes make.
func (s *Store) expired() edges {
	old := make(edges)
	lifetimes := map[gatecast.PhotoType]time.Duration{gatecast.Registered: s.opts.Registered, gatecast.Captured: s.opts.Captured}
	for t, d := range lifetimes {
		if d > 0 {
			old[t] = s.opts.Now().Add(-d).UnixNano()
		}
	}
	return old
}

// squeezed moves the edges until the room suffices.
func (s *Store) squeezed(files map[gatecast.PhotoType][]item, old edges) edges {
	edge, left := make(edges), int64(0)
	for t, items := range files {
		edge[t] = old[t]
		for _, it := range items {
			if it.at >= old[t] {
				left += it.room
			}
		}
	}
	if left <= s.opts.MaxBytes {
		return edge
	}
	for _, t := range []gatecast.PhotoType{gatecast.Captured, gatecast.Registered} {
		slices.SortFunc(files[t], func(a, b item) int { return cmp.Compare(a.at, b.at) })
		for _, it := range files[t] {
			if left <= s.opts.MaxBytes/10*9 {
				return edge
			}
			if it.at >= old[t] {
				left -= it.room
				edge[t] = it.at + 1
			}
		}
	}
	return edge
}

// walk calls do for each file that belongs to a photo. Half files that nobody
// works on any more are removed.
func (s *Store) walk(ctx context.Context, do func(t gatecast.PhotoType, name string, info fs.FileInfo)) error {
	for _, t := range gatecast.PhotoTypes() {
		top := filepath.Join(s.opts.Dir, strconv.Itoa(int(t)))
		err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return ctx.Err() // there is none of this type yet, or it went while we looked
			}
			if err != nil || entry.IsDir() || !entry.Type().IsRegular() {
				return errors.Join(err, ctx.Err())
			}
			info, err := entry.Info()
			if err != nil {
				return ctx.Err() // it went while we looked
			}
			switch id, _ := strings.CutSuffix(entry.Name(), smallSuffix); {
			case gatecast.ValidPhotoID(id):
				do(t, name, info)
			case s.isStale(entry.Name(), info):
				_ = os.Remove(name) // the next sweep tries again
			}
			return ctx.Err()
		})
		if err != nil {
			return fmt.Errorf("look through the photos: %w", err)
		}
	}
	return nil
}

// isStale reports whether a file was left behind, by a crash most likely. Another
// process may work in the same directory, as on a file system that nodes share.
func (s *Store) isStale(name string, info fs.FileInfo) bool {
	temp := strings.HasPrefix(name, ".") && strings.HasSuffix(name, tempSuffix)
	return temp && !strings.HasPrefix(name, "."+s.mark) && s.opts.Now().Sub(info.ModTime()) > staleTemp
}

// remove removes a file unless it has come in again. Nobody is kept waiting by a
// lock: the file loses its name first, so that from then on whoever wants it
// stores it anew, and gets it back if it was touched before that.
func (s *Store) remove(name string, edge int64) (gone bool, err error) {
	away := filepath.Join(filepath.Dir(name), "."+s.mark+"-"+filepath.Base(name)+tempSuffix)
	if err := os.Rename(name, away); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return false, err
	}
	info, err := os.Stat(away)
	if err == nil && info.ModTime().UnixNano() >= edge {
		return false, os.Rename(away, name)
	}
	if err := os.Remove(away); err != nil {
		return false, err
	}
	if !strings.HasSuffix(name, smallSuffix) {
		_ = os.Remove(name + smallSuffix) // its turn comes otherwise
	}
	return true, nil
}
