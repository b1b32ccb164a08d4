package mqtt

import (
	"bytes"
	"strings"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// CameFrom reports whether a source in the quarantine is this door, so that
// [Server.Inject] is for it.
func CameFrom(source string) bool { return source == Source || strings.HasPrefix(source, Source+":") }

// addressOf returns the topic that a message would have come under, which must
// then say all of it.
func (s *Server) addressOf(body []byte) (address, error) {
	events, err := s.decoder.Decode(bytes.NewReader(body), senselink.JSON, s.opts.Now())
	switch {
	case err != nil:
		return address{}, err
	case len(events) != 1:
		return address{}, noObject()
	case events[0].Device == "":
		e := gatecast.Errorf(gatecast.Invalid, "the message does not say which device it is of, and its topic is not known any more")
		e.Remedy = "add sn to a record, deviceSn to an alarm"
		return address{}, e
	}
	return address{events[0].Device, events[0].Kind}, nil
}
