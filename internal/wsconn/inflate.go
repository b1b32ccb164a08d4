package wsconn

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

const (
	// syncTail is what RFC 7692 section 7.2.1 cuts off every message.
	syncTail = "\x00\x00\xff\xff"
	// finalTail restores it and adds an empty last block, so that the reader
	// sees an end.
	finalTail = syncTail + "\x01\x00\x00\xff\xff"
)

// inflater is a flate reader with its source, pooled together: the window
// alone is 32 KiB, and few messages are under way at any time.
type inflater struct {
	src bytes.Reader
	r   io.ReadCloser
}

var inflaters = sync.Pool{New: func() any { return &inflater{r: flate.NewReader(nil)} }}

// inflate replaces the deflated message in *msg, which gets a new buffer, by
// the inflated one. A result beyond limit bytes is given up with 1009 as soon
// as it gets there, whatever the compressed size promised.
func inflate(msg *[]byte, limit int64) (*[]byte, *CloseError) {
	out := borrowMessage()
	if len(*msg) == 0 {
		return out, nil
	}
	*msg = append(*msg, finalTail...)
	z := inflaters.Get().(*inflater)
	defer inflaters.Put(z)
	defer z.src.Reset(nil)
	z.src.Reset(*msg)
	if z.r.(flate.Resetter).Reset(&z.src, nil) != nil {
		return out, violation(StatusInternal, "inflater is broken")
	}
	for {
		if len(*out) == cap(*out) {
			*out = append(*out, 0)[:len(*out)]
		}
		n, err := z.r.Read((*out)[len(*out):cap(*out)])
		*out = (*out)[:len(*out)+n]
		switch {
		case int64(len(*out)) > limit:
			return out, violation(StatusTooBig, "message is too big")
		case err == io.EOF:
			return out, nil
		case err != nil:
			return out, violation(StatusBadPayload, "message cannot be inflated")
		}
	}
}
