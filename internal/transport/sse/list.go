package sse

import (
	"time"

	"github.com/gatecast/gatecast"
)

// patience is how long a write may last before its reader counts as stalled.
const patience = time.Second

// List returns the streams that are open, in no order. A connection's Bytes
// are those of its stream, without HTTP's own.
func (s *Server) List() []gatecast.Connection {
	streams := s.roster.all()
	list := make([]gatecast.Connection, len(streams))
	now, head := s.opts.Now(), s.ring.Head()
	for i, st := range streams {
		pos := st.pos()
		list[i] = gatecast.Connection{
			App:          st.caller.app,
			Remote:       st.caller.remote,
			Transport:    "sse",
			Connected:    st.caller.connected,
			Mode:         st.mode(),
			Confirmation: gatecast.ConfirmNone,
			Start:        st.start.After,
			Position:     pos,
			LagEvents:    uint64(max(head, pos) - pos),
			Lag:          st.lag(now),
			Events:       st.state.events.Load(),
			Bytes:        st.out.bytes.Load(),
		}
	}
	return list
}

func (st *stream) mode() gatecast.Mode {
	since := st.out.since.Load()
	switch {
	case since != 0 && time.Since(time.Unix(0, since)) > patience:
		return gatecast.ModeStalled
	case st.state.far.Load(), st.pos() < st.extent.Last:
		return gatecast.ModeCatchingUp
	}
	return gatecast.ModeLive
}

// lag returns the age of the oldest event that is still to be sent. If that
// has left the ring, it is taken for as old as the last one sent.
func (st *stream) lag(now time.Time) time.Duration {
	events, ok := st.server.ring.Window(st.pos(), make([]*gatecast.Event, 0, 1))
	switch stored := st.state.stored.Load(); {
	case len(events) > 0:
		return max(0, now.Sub(events[0].Stored))
	case !ok && stored != 0:
		return max(0, now.Sub(time.UnixMilli(stored)))
	}
	return 0
}
