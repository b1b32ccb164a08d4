package deliverylog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync/atomic"
)

// flush writes every sheet there is. What the disk does not take is dropped:
// attempts that wait for a disk would fill the memory.
func (l *Log) flush() error {
	var failed error
	for _, id := range l.waiting() {
		if err := l.flushOne(id); err != nil {
			failed = err
		}
	}
	switch {
	case failed == nil:
		if l.outage.end() {
			l.opts.Log.Info("the delivery log can be written again")
		}
	case l.outage.begin(failed):
		l.opts.Log.Error("the delivery log cannot be written; deliveries go on, what becomes of them is not kept", "err", failed)
	}
	return failed
}

func (l *Log) waiting() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.sheets))
}

// flushOne writes a subscription's sheet. While it does, the lines stay where
// readers find them.
func (l *Log) flushOne(id string) error {
	l.pen <- struct{}{}
	defer func() { <-l.pen }()
	lines, count := l.take(id)
	if count == 0 {
		return nil
	}
	rest, err := l.write(id, lines)
	lost := bytes.Count(rest, []byte{'\n'})
	l.meters.disk.Add(float64(lost))
	l.meters.written.Add(float64(count - lost))
	l.done(id, count)
	return err
}

func (l *Log) take(id string) (lines []byte, count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.sheets[id]
	if s == nil { // forgotten meanwhile
		return nil, 0
	}
	lines, count = s.waiting, s.count
	s.writing, s.waiting, s.count = lines, nil, 0
	return lines, count
}

func (l *Log) done(id string, count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buffered -= count
	s := l.sheets[id]
	s.writing = nil
	if s.count == 0 {
		delete(l.sheets, id)
	}
}

// write appends lines to a subscription's file, and begins a new one whenever
// the next line would make it larger than half of what there may be. With an
// error it returns the lines that are not written.
func (l *Log) write(id string, lines []byte) (rest []byte, err error) {
	half := l.opts.MaxBytes / 2
	files := l.files(id)
	if excess := int64(len(lines)) - l.opts.MaxBytes; excess > 0 { // it would make room for the rest at once, as would all that is older
		lines = lines[int(excess)+bytes.IndexByte(lines[excess:], '\n')+1:]
		l.remove(files)
	}
	for len(lines) > 0 {
		n, err := appendTo(files[0], lines, half)
		if errors.Is(err, os.ErrNotExist) { // somebody has removed the directory
			if err = os.MkdirAll(l.opts.Dir, 0o700); err == nil {
				n, err = appendTo(files[0], lines, half)
			}
		}
		if err != nil {
			return lines, fmt.Errorf("write the delivery log of %s: %w", id, err)
		}
		lines = lines[n:]
		if len(lines) == 0 {
			break
		}
		if err := os.Rename(files[0], files[1]); err != nil {
			return lines, fmt.Errorf("begin a new delivery log of %s: %w", id, err)
		}
	}
	return nil, nil
}

func (l *Log) remove(files [2]string) {
	for _, name := range files {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			l.opts.Log.Warn("a file of the delivery log cannot be removed", "file", name, "err", err)
		}
	}
}

// appendTo appends as many lines as fit a file of a size, but at least one to
// an empty file, and returns how many bytes of them it has written.
func appendTo(name string, lines []byte, most int64) (n int, err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, torn, err := end(f)
	if err != nil {
		return 0, err
	}
	n = fitting(lines, most-size, size == 0)
	if n == 0 {
		return 0, nil
	}
	out := lines[:n]
	if torn { // the line that a crash has cut off must not swallow the next
		out = append([]byte{'\n'}, out...)
	}
	if _, err := f.WriteAt(out, size); err != nil {
		_ = f.Truncate(size) // best effort: half a line is passed over
		return 0, err
	}
	return n, nil
}

// end returns the size of a file, and whether its last line is incomplete.
func end(f *os.File) (size int64, torn bool, err error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return 0, false, err
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], info.Size()-1); err != nil && !errors.Is(err, io.EOF) {
		return 0, false, err
	}
	return info.Size(), last[0] != '\n', nil
}

// fitting returns how many bytes of lines, whole ones, fit room, or how long
// the first one is if some must go in.
func fitting(lines []byte, room int64, some bool) int {
	if room >= int64(len(lines)) {
		return len(lines)
	}
	n := bytes.LastIndexByte(lines[:max(room, 0)], '\n') + 1
	if n == 0 && some {
		n = bytes.IndexByte(lines, '\n') + 1
	}
	return n
}

// outage is why the last round failed; nothing while rounds succeed.
type outage struct{ cause atomic.Pointer[error] }

// begin reports whether this failure is the first of its outage.
func (o *outage) begin(err error) bool { return o.cause.Swap(&err) == nil }

// end reports whether there was an outage.
func (o *outage) end() bool { return o.cause.Swap(nil) != nil }

func (o *outage) err() error {
	if err := o.cause.Load(); err != nil {
		return unavailable(*err)
	}
	return nil
}
