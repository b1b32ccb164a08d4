package device

import (
	"container/list"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// device is what is known of one. Its exported fields are in the file.
type device struct {
	SN     string
	About  about
	Life   life
	Clock  clock
	Rhythm rhythm
	Noise  float64 // the largest silence that was none, in events; it fades within weeks
	State  gatecast.Freshness
	Raised string // trace of the alarm that it is away; empty: there is none
	Gone   bool   // forgotten, and only here until that alarm is released

	heard bool          // since it was last judged
	place *list.Element // in known.order
}

// about is what a device says of itself.
type about struct {
	Name, Place, Source string
	ID                  int64 // the vendor's number; 0 if it was never told
}

// life is when a device was heard of.
type life struct {
	First, Seen, Stored time.Time
	Records, Alarms     uint64
	Offline             time.Time // when its server said that it is away; zero: it is not, or came back
	Hour                int64     // that is being counted, by the clocks on the site's walls
	Count               float32   // of its events
}

// typeForgotten is the type of the notice that a device is to be forgotten.
const typeForgotten = "device.forgotten"

// take takes in an event of the journal.
func (t *Tracker) take(ev *gatecast.Event) {
	if ev.Kind.Valid() {
		t.newest = ev.Seq
	}
	if ev.Device == "" {
		return
	}
	own := ev.Source == "gatecast"
	switch ev.Kind {
	case gatecast.Notice:
		if own && isForgotten(ev) {
			t.drop(ev.Device, ev.Stored)
		}
		return
	case gatecast.Record, gatecast.Alarm:
	default:
		return
	}
	o := senselink.OriginOf(ev)
	offline := ev.Kind == gatecast.Alarm && o.Code == senselink.AlarmOffline
	if own {
		if offline {
			t.raised(ev, o)
		}
		return
	}
	t.source(ev.Source).hear(ev.Stored)
	d := t.device(ev.Device, ev.Stored)
	d.introduce(ev, o)
	at := d.Clock.time(ev.At, ev.Stored)
	before := d.heard
	switch {
	case offline && o.Status != 3:
		if at.After(d.Life.Seen) {
			d.Life.Offline, d.heard = at, true
		}
	default:
		d.hear(t, at, ev)
	}
	t.known.order.MoveToFront(d.place)
	if t.level && d.heard && !before {
		t.heard = append(t.heard, d)
	}
}

// device returns a device, also one that nobody has heard of before.
func (t *Tracker) device(sn string, now time.Time) *device {
	d := t.known.devices[sn]
	if d == nil {
		if len(t.known.devices) >= t.opts.Max {
			t.evict()
		}
		d = &device{SN: sn, State: gatecast.Freshness{State: gatecast.FreshQuiet, Since: now, Why: "only just heard of"}}
		t.known.add(d)
	}
	d.Gone = false
	return d
}

func (k *known) add(d *device) {
	d.place = k.order.PushFront(d)
	k.devices[d.SN] = d
}

func (k *known) remove(d *device) {
	k.order.Remove(d.place)
	delete(k.devices, d.SN)
}

// evict forgets the device that was silent longest, but for those whose alarm
// has still to be released.
func (t *Tracker) evict() {
	e := t.known.order.Back()
	for e.Value.(*device).Raised != "" && e.Prev() != nil {
		e = e.Prev()
	}
	d := e.Value.(*device)
	t.known.remove(d)
	t.metrics.evicted.Inc()
	t.opts.Log.Warn("a device is forgotten, for there are more than devices.max", "device", d.SN, "silent_since", d.Life.Stored)
}

// drop forgets a device. If an alarm says that it is away, that has to be
// released first.
func (t *Tracker) drop(sn string, now time.Time) {
	d := t.known.devices[sn]
	switch {
	case d == nil:
	case d.Raised != "":
		*d = device{SN: d.SN, About: d.About, Raised: d.Raised, Gone: true, State: gatecast.Freshness{Since: now}, place: d.place}
	default:
		t.known.remove(d)
	}
}

// raised takes note that the journal has the alarm that a device is away, or
// that it is over.
func (t *Tracker) raised(ev *gatecast.Event, o senselink.Origin) {
	d := t.known.devices[ev.Device]
	switch {
	case o.Status != 3:
		if d == nil { // what was known of it is lost; the alarm has to be released all the same
			d = t.device(ev.Device, ev.Stored)
			d.introduce(ev, o)
			d.State = gatecast.Freshness{State: gatecast.FreshStale, Since: ev.Stored, Why: "nothing is known but the alarm that it is offline"}
		}
		d.Raised = o.Trace
	case d == nil || d.Raised != o.Trace:
	case d.Gone:
		t.known.remove(d)
	default:
		d.Raised = ""
	}
}

func (d *device) introduce(ev *gatecast.Event, o senselink.Origin) {
	a := &d.About
	if o.Name != "" && o.Name != a.Name {
		a.Name = o.Name
	}
	if o.Place != "" && o.Place != a.Place {
		a.Place = o.Place
	}
	if o.DeviceID != 0 {
		a.ID = o.DeviceID
	}
	if ev.Source != "gatecast" {
		a.Source = ev.Source
	}
}

// hear takes in that a device did something at a moment.
func (d *device) hear(t *Tracker, at time.Time, ev *gatecast.Event) {
	l := &d.Life
	if ev.Kind == gatecast.Record {
		l.Records++
	} else {
		l.Alarms++
	}
	if l.First.IsZero() || at.Before(l.First) {
		l.First = at
	}
	l.Stored = ev.Stored
	d.wonder(t, at)
	d.count(t.calendar.hour(at))
	if at.After(l.Seen) {
		l.Seen, d.heard = at, true
	}
	if !l.Offline.After(l.Seen) {
		l.Offline = time.Time{}
	}
}

// count takes in an event of an hour. The silence before it is folded too, but
// each hour of the week at most once: a month of absence must not teach that
// the device is always silent.
func (d *device) count(hour int64) {
	l := &d.Life
	switch {
	case l.Hour == 0:
		l.Hour, l.Count = hour, 1
	case hour == l.Hour:
		l.Count++
	case hour < l.Hour:
		if weeks := (l.Hour - hour) / week; weeks < oldest {
			d.Rhythm.late(slot(hour), weeks)
		}
	default:
		d.Rhythm.fold(slot(l.Hour), l.Count)
		silent := min(hour-l.Hour-1, week)
		for h := hour - silent; h < hour; h++ {
			d.Rhythm.fold(slot(h), 0)
		}
		d.fade(silent + 1)
		l.Hour, l.Count = hour, 1
	}
}

// fadeHours is after how many hours half of the noise is forgotten.
const fadeHours = 3 * week

// wonder learns from a silence that is over how large one may be that means
// nothing. Silences far beyond that were real, and teach nothing.
func (d *device) wonder(t *Tracker, at time.Time) {
	l := &d.Life
	if l.Seen.IsZero() || at.Sub(l.First) < t.opts.Learn {
		return
	}
	missed := d.Rhythm.expected(t.calendar, t.since(d), at)
	if missed > d.Noise && missed <= 2*d.limit(t.opts.Missed) {
		d.Noise = missed
	}
}
