package push

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/gatecast/gatecast"
)

// A sender that has sent much and then stops holds memory that others wait for.
// So once a body has brought freeBytes, it must go on with at least paceBytes in
// every paceTime, which only a dead line does not manage.
const (
	freeBytes = 256 << 10
	paceBytes = 64 << 10
	paceTime  = 5 * time.Second
)

// bodyReader reads a body as it comes in, keeps its sender to a pace, and turns
// what can go wrong into errors that tell the sender what to do.
type bodyReader struct {
	src      io.Reader
	opts     *Options
	end      time.Time             // when all of it must be there
	packed   bool                  // a few bytes become many: its sender may not stop at all
	deadline func(time.Time) error // of reading from the connection

	size  int64 // read so far
	paced int64 // size when the deadline was last moved
	slow  bool  // the deadline is that of the pace
}

// Read reads from the request.
func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.src.Read(p)
	if err == nil {
		b.pace(n) // at the end the connection's deadline is net/http's
	}
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return n, tooLarge(over.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, b.late(err)
	}
	return n, err
}

func (b *bodyReader) pace(n int) {
	b.size += int64(n)
	if !b.packed && (b.size < freeBytes || b.size-b.paced < paceBytes) {
		return
	}
	next := time.Now().Add(paceTime)
	if b.slow = next.Before(b.end); !b.slow {
		next = b.end
	}
	b.paced = b.size
	_ = b.deadline(next) // a server without deadlines has no slow senders either
}

// late is not the sender's mistake for certain: a network that stalls looks the
// same. Unavailable makes senders try again.
func (b *bodyReader) late(cause error) error {
	e := gatecast.Errorf(gatecast.Unavailable, "the body did not arrive within %v", b.opts.ReadTimeout)
	e.Remedy = "send it again, in smaller batches; the time is ingest.read_timeout in the configuration"
	if b.slow {
		e.Message = "the body stopped arriving: a large one must bring 64 KiB in every 5 s"
		e.Remedy = "send it again, in smaller batches"
	}
	e.Cause = cause
	return e
}
