package push

import (
	"cmp"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// desk is what is known of one source that posts.
type desk struct {
	name     string
	created  time.Time // of the source
	refusals seldom    // for the log
	share    budget    // of the memory for bodies

	// mu guards what follows. It is held only to copy and to compare.
	mu      sync.Mutex
	zone    string // that decoder goes by
	decoder *senselink.Decoder
	view    gatecast.SourceState // without its status
	live    bool                 // the latest post was answered with 200
	paused  string               // as it was when somebody last looked
	why     string               // it is not live
	doubt   string               // why it counts as stalled; empty: it does not
}

// decoder returns what understands a source's posts, in the zone that is set
// for it now.
func (rc *Receiver) decoder(d *desk, src *gatecast.Source) *senselink.Decoder {
	name := src.Settings.REST.Zone
	d.mu.Lock()
	dec := d.decoder
	same := dec != nil && d.zone == name
	d.mu.Unlock()
	if same {
		return dec
	}
	o := rc.door.opts.Decode
	o.Photos = rc.door.opts.SourcePhotos
	if name != "" {
		zone, err := time.LoadLocation(name)
		if err != nil {
			rc.door.opts.Log.Error("a source's time zone is not known here", "source", src.Name, "zone", name, "err", err)
		}
		o.Zone = cmp.Or(zone, o.Zone)
	}
	o.Source = src.Name
	o.Unknown = func(field string) { rc.metrics.unknown.WithLabelValues(field).Inc() }
	dec = senselink.NewDecoder(o)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.zone, d.decoder = name, dec
	return dec
}

// stored counts what is on disk.
func (d *desk) stored(now time.Time, r gatecast.Receipt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.view.LastEvent = now
	d.view.Events += uint64(r.Accepted)
}

func (d *desk) rubbish() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.view.Rubbish++
}

// answered takes note of a post that was answered with 200, and reports whether
// the server was not live before it.
func (d *desk) answered(now time.Time, post *gatecast.SourcePost) (news bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.view.LastSign, d.view.Post = now, post
	if d.live && d.doubt == "" {
		return false
	}
	d.live, d.why, d.doubt, d.view.Since = true, "", "", now
	return true
}

// suspect takes note of what is held against a server that was live, and
// reports whether nothing was before.
func (d *desk) suspect(now time.Time, why string) (news bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.live {
		return false
	}
	if news = d.doubt == ""; news {
		d.view.Since = now
	}
	d.doubt = why + "; the server posts nothing more after a failure, until its subscription is set again"
	return news
}

// refused takes note of one that was not: the server's last, if it is the
// vendor's.
func (d *desk) refused(now time.Time, err error, post *gatecast.SourcePost) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.view.LastSign, d.view.Post = now, post
	if d.live || d.view.Since.IsZero() {
		d.view.Since = now
	}
	d.live, d.doubt = false, ""
	d.why = "its latest post was refused, and the server may post nothing more until its subscription is set again: " + reasonOf(err)
}

// state returns what others are told at a time. When a pause began or ended is
// known to the second look at it.
func (d *desk) state(src *gatecast.Source, now time.Time) gatecast.SourceState {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.paused != src.Paused || d.view.Since.IsZero() {
		d.paused, d.view.Since = src.Paused, now
		if d.paused != "" { // afterwards it is not known whether the server still posts
			d.live, d.doubt, d.why = false, "", "nothing was posted by the server since the pause"
		}
	}
	v := d.view
	v.Name = d.name
	switch {
	case d.paused != "":
		v.Status, v.Reason = gatecast.SourcePaused, d.paused
	case d.doubt != "":
		v.Status, v.Reason = gatecast.SourceStalled, d.doubt
	case d.live:
		v.Status = gatecast.SourceLive
	default:
		v.Status, v.Reason = gatecast.SourceWaiting, cmp.Or(d.why, "nothing was posted by the server yet")
	}
	return v
}
