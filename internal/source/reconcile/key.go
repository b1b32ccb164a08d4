package reconcile

import (
	"strconv"
	"strings"

	"github.com/gatecast/gatecast"
)

// key is what tells the numbered events of a source apart.
type key struct {
	Kind   gatecast.Kind `json:"kind"`
	Status int64         `json:"status"` // of an alarm; 0 for a record
	ID     int64         `json:"id"`     // above zero
}

// keyOf reads an ID that [gatecast.UpstreamID] has made of a number. Other IDs
// have no key.
func keyOf(source, id string) (key, bool) {
	rest, ok := strings.CutPrefix(id, source+":")
	if !ok {
		return key{}, false
	}
	kind, number, _ := strings.Cut(rest, ":")
	var k key
	switch kind {
	case gatecast.Record.String():
		k.Kind = gatecast.Record
	case gatecast.Alarm.String():
		k.Kind = gatecast.Alarm
		var status string
		number, status, ok = strings.Cut(number, ":")
		n, err := strconv.ParseInt(status, 10, 64)
		if !ok || err != nil {
			return key{}, false
		}
		k.Status = n
	default:
		return key{}, false
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 {
		return key{}, false
	}
	k.ID = n
	return k, true
}
