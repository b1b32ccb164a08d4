package senselink

import (
	"cmp"
	"time"

	"github.com/gatecast/gatecast"
)

// Format is how the events of a body are put together.
type Format int

const (
	// JSON is one event object, or an array of them.
	JSON Format = iota
	// NDJSON is any number of event objects, one after the other, by custom
	// one a line.
	NDJSON
)

// DefaultMaxBody is the default of [Options.MaxBody], in bytes.
const DefaultMaxBody = 8 << 20

// Options tunes a [Decoder]. The zero value works.
type Options struct {
	MaxBody  int64 // bytes of a body; beyond it the whole body is TooLarge; default 8 MiB
	MaxEvent int   // bytes of one event with its envelope; beyond it the whole body is TooLarge; default 256 KiB
	MaxBatch int   // events of one body; beyond it the whole body is TooLarge; default 1000
	MaxDepth int   // nesting of one event, its envelope counted as 1; beyond it the whole body is Invalid; default 32

	IDs    IDs            // numbers for data objects without an "id"; default a new [Counter]
	Zone   *time.Location // of times that name no zone themselves; default UTC
	Source string         // Event.Source of everything decoded

	// Photos takes the photos out of events that hold them as a data URL or as
	// base64, before an event is held against MaxEvent. Default: they stay where
	// they are.
	Photos Photos

	// Unknown is called with the name of a field whose value is in none of the
	// protocol's tables ("entryMode"). The event is accepted all the same, and
	// names come from a closed set. It must be safe for concurrent use.
	Unknown func(field string)
}

func (o Options) withDefaults() Options {
	o.MaxBody = cmp.Or(o.MaxBody, DefaultMaxBody)
	o.MaxEvent = cmp.Or(o.MaxEvent, 256<<10)
	o.MaxBatch = cmp.Or(o.MaxBatch, 1000)
	o.MaxDepth = cmp.Or(o.MaxDepth, 32)
	o.Zone = cmp.Or(o.Zone, time.UTC)
	if o.IDs == nil {
		o.IDs = new(Counter)
	}
	if o.Unknown == nil {
		o.Unknown = func(string) {}
	}
	return o
}

// limit reports that a limit was passed, and which setting raises it.
func limit(code gatecast.Code, at *gatecast.Place, key, format string, args ...any) error {
	e := gatecast.Errorf(code, format, args...)
	e.Remedy = "send less at once, or raise " + key + " in the configuration"
	e.At = at
	return e
}
