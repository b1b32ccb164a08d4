// Package absence tells of devices that should be heard of and are not, by the
// vendor's alarm 30001 (device offline), and of their return by its release.
//
// It owns what these alarms look like and when they are due. It never decides
// who is away (see view/device), and remembers nothing: whether an alarm was
// raised stands in the journal, where view/device reads it. Start at
// [Raiser.Run].
package absence

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// Devices knows who is away.
type Devices interface {
	// Outages returns the devices that are away without an alarm that says so,
	// and those that are back, or forgotten, with one.
	Outages() []gatecast.Outage
}

// Journal stores events.
type Journal interface {
	// Append stores all events or none. When it returns without an error they
	// are on disk; those whose ID it has are dropped.
	Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error)
}

// Leader knows whether this node is the one that speaks for all.
type Leader interface {
	Leads() bool
}

// Parts is what a Raiser works with.
type Parts struct {
	Devices Devices
	Journal Journal
	Leader  Leader
}

// Options tunes a Raiser. The zero value raises nothing, and releases what was
// raised before.
type Options struct {
	Raise        bool
	After        time.Duration  // how long a device must have been stale; default 10 min
	Every        time.Duration  // between two looks; default 5 s
	StoreTimeout time.Duration  // how long the journal may take before it is asked again; default 10 s
	Zone         *time.Location // of the times in an alarm; default UTC
	Log          *slog.Logger   // default: discard
}

func (o Options) withDefaults() Options {
	o.After = cmp.Or(o.After, 10*time.Minute)
	o.Every = cmp.Or(o.Every, 5*time.Second)
	o.StoreTimeout = cmp.Or(o.StoreTimeout, 10*time.Second)
	o.Zone = cmp.Or(o.Zone, time.UTC)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return o
}

// Raiser raises alarms and releases them.
type Raiser struct {
	Parts
	opts   Options
	alarms *prometheus.CounterVec
}

// New makes a Raiser. It does nothing before [Raiser.Run].
func New(p Parts, o Options) *Raiser {
	r := &Raiser{Parts: p, opts: o.withDefaults(), alarms: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gatecast_offline_alarms_total", Help: "Alarms 30001 stored by gatecast itself: raised, released.",
	}, []string{"state"})}
	r.alarms.WithLabelValues("raised")
	r.alarms.WithLabelValues("released")
	return r
}

// Metrics returns the raiser's collectors.
func (r *Raiser) Metrics() []prometheus.Collector { return []prometheus.Collector{r.alarms} }

// Run raises and releases what is due, until ctx ends.
func (r *Raiser) Run(ctx context.Context) error {
	tick := time.NewTicker(r.opts.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if r.Leader.Leads() {
			r.look(ctx, time.Now())
		}
	}
}

// most is how many alarms are stored together.
const most = 100

// look stores what is due. What the journal does not take is due again at the
// next look, under the same ID.
func (r *Raiser) look(ctx context.Context, now time.Time) {
	var due []gatecast.Event
	for _, o := range r.Devices.Outages() {
		ended := !o.Ended.IsZero()
		if !ended && (!r.opts.Raise || now.Sub(o.Since) < r.opts.After) {
			continue
		}
		e, err := r.alarm(&o)
		if err != nil {
			r.opts.Log.Error("an alarm about a device that is away cannot be written", "device", o.Device.SN, "err", err)
			continue
		}
		if due = append(due, e); len(due) == most {
			if !r.store(ctx, due) {
				return
			}
			due = due[:0]
		}
	}
	if len(due) > 0 {
		r.store(ctx, due)
	}
}

func (r *Raiser) store(ctx context.Context, due []gatecast.Event) bool {
	ctx, cancel := context.WithTimeout(ctx, r.opts.StoreTimeout)
	defer cancel()
	receipt, err := r.Journal.Append(ctx, due)
	if err != nil {
		r.opts.Log.Warn("alarms about devices that are away cannot be stored; they are tried again", "alarms", len(due), "err", err)
		return false
	}
	if receipt.Accepted < len(due) { // the view has yet to read that it is there
		return true
	}
	for _, e := range due {
		state := "raised"
		if e.ID[len(e.ID)-1] == '3' {
			state = "released"
		}
		r.alarms.WithLabelValues(state).Inc()
	}
	return true
}

// data is the vendor's shape of an alarm, in the order of its manual.
type data struct {
	ID          int64  `json:"id"`
	Level       int    `json:"level"`
	Code        int    `json:"code"`
	Description string `json:"description"`
	Status      int    `json:"status"`
	Trace       string `json:"traceId"`
	DeviceID    int64  `json:"deviceId"`
	Name        string `json:"deviceName"`
	SN          string `json:"deviceSn"`
	Place       string `json:"deviceLocation"`
	AlarmTime   string `json:"alarmTime"`
	ReleaseTime string `json:"releaseTime"`
	Photo       string `json:"alarmPhoto"`
	Resolve     int    `json:"resloveOption"` // the vendor's spelling; 0: no release needed
}

// alarm is an outage as an event. Its ID depends on the outage and the alarm's
// status alone: it is stored once, however often it is tried.
func (r *Raiser) alarm(o *gatecast.Outage) (gatecast.Event, error) {
	d := data{
		ID: number(o.Trace), Level: 1, Code: senselink.AlarmOffline, Status: 1, Trace: o.Trace, DeviceID: o.ID,
		Name: o.Device.Name, SN: o.Device.SN, Place: o.Device.Place, Description: "device offline", AlarmTime: r.text(o.Since),
	}
	at := o.Since
	if !o.Ended.IsZero() {
		d.Status, d.ReleaseTime, at = 3, r.text(o.Ended), o.Ended
		d.Description = "device online again"
	}
	text, err := json.Marshal(d, jsontext.AllowInvalidUTF8(true))
	return gatecast.Event{
		ID:   fmt.Sprintf("gatecast:alarm:%s:%d", o.Trace, d.Status),
		Kind: gatecast.Alarm, Device: d.SN, At: at.UTC().Truncate(time.Second), Source: "gatecast", Data: text,
	}, err
}

func (r *Raiser) text(t time.Time) string { return t.In(r.opts.Zone).Format(time.DateTime) }

// number is an alarm's number: below 2^53, so that JavaScript keeps it exact,
// and the same for all states of one alarm.
func number(trace string) int64 {
	sum := sha256.Sum256([]byte(trace))
	return int64(binary.BigEndian.Uint64(sum[:8])>>11) | 1
}
