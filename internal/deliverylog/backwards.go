package deliverylog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
)

// block is how much of a file is read at a time, from its end.
const block = 64 << 10

// maxLine bounds what is taken for a line: more without a line's end is
// damage, and is passed over.
const maxLine = 64 << 10

// backwards hands over the lines of b from the last to the first, without what
// follows the last line's end, until yield says no. It reports whether it never
// did.
func backwards(b []byte, yield func(line []byte) bool) bool {
	for end := bytes.LastIndexByte(b, '\n'); end >= 0; {
		begin := bytes.LastIndexByte(b[:end], '\n')
		if !yield(b[begin+1 : end]) {
			return false
		}
		end = begin
	}
	return true
}

// eachLine does the same with a file as it is now. It holds two blocks in
// memory at most.
func eachLine(ctx context.Context, name string, yield func(line []byte) bool) (more bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return true, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return true, err
	}
	var rest []byte // how the line ends whose beginning is in an earlier block
	for at := info.Size(); at > 0; {
		if ctx.Err() != nil {
			return true, ctx.Err()
		}
		n := min(at, block)
		at -= n
		b := make([]byte, n, int(n)+len(rest))
		if _, err := f.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
			return true, err
		}
		b = append(b, rest...)
		first := bytes.IndexByte(b, '\n') + 1 // before it lies the end of an earlier line
		if at == 0 {
			first = 0
		}
		if !backwards(b[first:], yield) {
			return false, nil
		}
		if rest = b[:first]; len(rest) > maxLine {
			rest = nil
		}
	}
	return true, nil
}
