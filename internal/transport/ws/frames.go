package ws

import (
	"sync"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
)

// form is a way to write an event.
type form int

const (
	plain    form = iota // as the vendor does
	numbered             // with its position
	replayed             // with its position, and marked as sent again
	forms
)

// cached is how many of the newest frames are kept. Shards run close to each
// other, so that a short memory serves them; a miss costs one more encoding.
const cached = 1024

// frames makes the frame of an event once for each form that somebody wants,
// whichever shard asks first.
type frames struct {
	epoch   string
	metrics *metrics
	slots   [cached]slot
}

type slot struct {
	// mu guards the fields below, and is held while the frame is made, so that
	// the other shards wait for it instead of making it too.
	mu    sync.Mutex
	seq   gatecast.Seq
	frame [forms]*wsconn.Frame
}

func newFrames(epoch string, m *metrics) *frames { return &frames{epoch: epoch, metrics: m} }

func (f *frames) of(ev *gatecast.Event, as form) *wsconn.Frame {
	s := &f.slots[ev.Seq%cached]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seq != ev.Seq {
		s.seq = ev.Seq
		clear(s.frame[:])
	}
	if s.frame[as] == nil {
		s.frame[as] = encode(ev, as, f.epoch)
		f.metrics.encoded.Inc()
	}
	return s.frame[as]
}

func encode(ev *gatecast.Event, as form, epoch string) *wsconn.Frame {
	return wsconn.NewText(appendPayload(make([]byte, 0, len(ev.Data)+160), ev, as, epoch))
}
