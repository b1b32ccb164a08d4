package device

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// Devices returns the devices that a query chooses, by LDID.
func (t *Tracker) Devices(q gatecast.DeviceQuery) gatecast.DevicePage {
	t.mu.Lock()
	defer t.mu.Unlock()
	page := gatecast.DevicePage{Counts: map[gatecast.Fresh]int{}}
	var chosen []*device
	text := strings.ToLower(q.Text)
	for _, d := range t.known.devices {
		if d.Gone {
			continue
		}
		page.Counts[d.State.State]++
		if d.SN > q.After && d.matches(q, text) {
			chosen = append(chosen, d)
		}
	}
	slices.SortFunc(chosen, func(a, b *device) int { return strings.Compare(a.SN, b.SN) })
	if q.Limit > 0 && len(chosen) > q.Limit {
		chosen, page.More = chosen[:q.Limit], true
	}
	page.Devices = make([]gatecast.Device, len(chosen))
	for i, d := range chosen {
		page.Devices[i] = t.public(d, time.Now())
	}
	return page
}

func (d *device) matches(q gatecast.DeviceQuery, text string) bool {
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	return (q.State == "" || d.State.State == q.State) && (q.Source == "" || d.About.Source == q.Source) &&
		(text == "" || has(d.SN) || has(d.About.Name) || has(d.About.Place))
}

// Device returns a device and its rhythm.
func (t *Tracker) Device(sn string) (gatecast.Device, gatecast.Rhythm, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d := t.known.devices[sn]
	if d == nil || d.Gone {
		return gatecast.Device{}, gatecast.Rhythm{}, false
	}
	return t.public(d, time.Now()), d.Rhythm.public(), true
}

// public is a device for others.
func (t *Tracker) public(d *device, now time.Time) gatecast.Device {
	since := t.since(d)
	limit := d.limit(t.opts.Missed)
	p := gatecast.Device{
		SN: d.SN, Name: d.About.Name, Place: d.About.Place, Source: d.About.Source,
		First: d.Life.First, Seen: d.Life.Seen, Stored: d.Life.Stored, Behind: d.Clock.Behind,
		Records: d.Life.Records, Alarms: d.Life.Alarms, Freshness: d.State,
		Silence: gatecast.Silence{
			Missed: d.Rhythm.expected(t.calendar, since, now), Limit: limit, Learnt: d.Life.First.Add(t.opts.Learn),
		},
	}
	if usual := d.Rhythm.usual(t.calendar, since, limit); usual > 0 {
		p.Silence.Usual = max(usual+since.Sub(d.Life.Seen), t.opts.StaleAfter)
	}
	return p
}

// SourceFreshness returns how the devices of a source, all together, stand.
func (t *Tracker) SourceFreshness(name string) gatecast.Freshness {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.sources[name]; s != nil && s.State.State != "" {
		return s.State
	}
	return gatecast.Freshness{State: gatecast.FreshUnknown, Why: "not looked at yet"}
}

// Level reports whether everything has been read that the journal had at the
// start. Before that nobody is judged.
func (t *Tracker) Level() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.level
}

// Newest returns the position of the newest record or alarm: behind it there are
// only events that gatecast sends itself and that nobody waits for. It is 0 while
// that is not known.
func (t *Tracker) Newest() gatecast.Seq {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.level {
		return 0
	}
	return t.newest
}

// Forget forgets a device, on every node. It comes back when it is heard of. Its
// error is NotFound if there is no such device, or the journal's.
func (t *Tracker) Forget(ctx context.Context, sn string) error {
	if _, _, there := t.Device(sn); !there {
		e := gatecast.Errorf(gatecast.NotFound, "there is no device with the LDID %.80q", sn)
		e.Remedy = "list them with: gatecast device list"
		return e
	}
	now := time.Now()
	data, err := json.Marshal(map[string]string{"type": typeForgotten, "sn": sn, "time": now.UTC().Format(time.RFC3339Nano)})
	if err != nil {
		return err
	}
	r, err := t.Journal.Append(ctx, []gatecast.Event{{
		ID:   "forget-" + digest(sn) + "-" + strconv.FormatInt(now.UnixNano(), 10),
		Kind: gatecast.Notice, Device: sn, At: now, Source: "gatecast", Data: data,
	}})
	if err != nil {
		return err
	}
	return t.await(ctx, r.Last)
}

func isForgotten(ev *gatecast.Event) bool {
	var n struct {
		Type string `json:"type"`
	}
	return json.Unmarshal(ev.Data, &n) == nil && n.Type == typeForgotten
}

// Outages returns the devices that are away without an alarm that says so, and
// those that are back, or forgotten, with one. What a device's own server has
// told of is left out.
func (t *Tracker) Outages() []gatecast.Outage {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.level {
		return nil
	}
	var all []gatecast.Outage
	now := time.Now()
	for _, d := range t.known.devices {
		if o, ok := d.outage(); ok {
			o.Device = t.public(d, now)
			all = append(all, o)
		}
	}
	return all
}

// outage returns what there is to tell of a device, if there is anything. That
// nobody can say any more whether it is away does not bring it back.
func (d *device) outage() (o gatecast.Outage, ok bool) {
	o = gatecast.Outage{ID: d.About.ID, Since: d.State.Since, Trace: d.Raised, Raised: d.Raised != ""}
	away, heard := d.State.State.Away(), !d.Life.Seen.IsZero()
	switch {
	case o.Raised && d.Gone:
		o.Ended = d.State.Since
	case o.Raised && !away && d.State.State != gatecast.FreshUnknown && heard && trace(d) != d.Raised:
		o.Ended = d.Life.Seen
	case !o.Raised && away && heard && d.Life.Offline.IsZero():
		o.Trace = trace(d)
	default:
		return o, false
	}
	return o, true
}

// trace names an outage by when it began: every node finds the same name.
func trace(d *device) string {
	return "offline-" + digest(d.SN+"\n"+strconv.FormatInt(d.Life.Seen.Unix(), 10))
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}
