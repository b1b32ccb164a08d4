package ws

import (
	"sync"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
	"github.com/gatecast/gatecast/senselink"
)

// cached is how many of the newest frames are kept. Shards run close to each
// other, so that a short memory serves them; a miss costs one more encoding.
const cached = 1024

// frames makes the frame of an event once, whichever shard asks first.
type frames struct {
	metrics *metrics
	slots   [cached]slot
}

type slot struct {
	// mu guards the fields below, and is held while the frame is made, so that
	// the other shards wait for it instead of making it too.
	mu    sync.Mutex
	seq   gatecast.Seq
	frame *wsconn.Frame
}

func newFrames(m *metrics) *frames { return &frames{metrics: m} }

func (f *frames) of(ev *gatecast.Event) *wsconn.Frame {
	s := &f.slots[ev.Seq%cached]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seq != ev.Seq || s.frame == nil {
		s.seq, s.frame = ev.Seq, encode(ev)
		f.metrics.encoded.Inc()
	}
	return s.frame
}

// encode makes the vendor's push of an event.
func encode(ev *gatecast.Event) *wsconn.Frame {
	return wsconn.NewText(senselink.AppendPush(make([]byte, 0, len(ev.Data)+64), ev))
}
