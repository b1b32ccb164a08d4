//go:build unix && !linux

package wsconn

import "golang.org/x/sys/unix"

// vector has nothing to keep where frames are written one by one.
type vector struct{}

// write makes one attempt to write the frames, at most batchSize of them.
func (vector) write(fd int, frames []*Frame, deflateMin int) (int, error) {
	sum := 0
	for _, f := range frames {
		wire := f.wire(deflateMin)
		n, err := retry(fd, wire, write)
		sum += n
		if err == unix.EAGAIN || err == nil && n < len(wire) {
			return sum, nil
		}
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

func write(fd int, b []byte) (int, error) { return unix.Write(fd, b) }
