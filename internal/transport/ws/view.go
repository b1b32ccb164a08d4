package ws

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"

	"github.com/gatecast/gatecast"
)

// view is what connections see, and in which form. Connections whose views
// have the same key share one selection of frames. It never changes.
type view struct {
	key           string
	record, alarm bool
	narrow        *gatecast.Filter // by device and group; nil if every one is seen
	numbered      bool             // pushes carry their position
}

// newView returns what a connection sees that narrows what its app may see.
func newView(app, own gatecast.Filter, numbered bool) *view {
	sees := func(k gatecast.Kind) bool { return app.HasKind(k) && own.HasKind(k) }
	v := &view{record: sees(gatecast.Record), alarm: sees(gatecast.Alarm), numbered: numbered}
	if len(own.Devices)+len(own.Groups) > 0 {
		v.narrow = &gatecast.Filter{
			Devices: slices.Compact(slices.Sorted(slices.Values(own.Devices))),
			Groups:  slices.Compact(slices.Sorted(slices.Values(own.Groups))),
		}
	}
	v.key = v.name()
	if sum := sha256.Sum256([]byte(v.key)); len(v.key) > len(sum) { // hundreds of devices would lie there twice
		v.key = string(sum[:])
	}
	return v
}

// name writes out everything that tells one view from another.
func (v *view) name() string {
	var b strings.Builder
	for _, flag := range []bool{v.record, v.alarm, v.numbered} {
		b.WriteString(strconv.FormatBool(flag)[:1])
	}
	if v.narrow != nil {
		for _, d := range v.narrow.Devices {
			b.WriteString(strconv.Quote(d))
		}
		for _, g := range v.narrow.Groups {
			b.WriteByte(' ')
			b.WriteString(strconv.FormatInt(g, 10))
		}
	}
	return b.String()
}

func (v *view) sees(ev *gatecast.Event) bool {
	switch {
	case ev.Kind == gatecast.Record && v.record, ev.Kind == gatecast.Alarm && v.alarm:
		return v.narrow == nil || v.narrow.Match(ev)
	}
	return false // notices are not of this protocol
}

// form returns how an event is written for a connection with this view that
// was made when born was the newest event.
func (v *view) form(ev *gatecast.Event, born gatecast.Seq) form {
	switch {
	case !v.numbered:
		return plain
	case ev.Seq <= born:
		return replayed
	}
	return numbered
}
