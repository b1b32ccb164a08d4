package doctor

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// widest asks for the latest record of the past days, whatever zone the server
// understands times in.
func widest(now time.Time, zone *time.Location) url.Values {
	return window(now.Add(-72*time.Hour), now.Add(28*time.Hour), zone, 1)
}

// narrow is how far around a record it is looked for.
const narrow = time.Minute

// checkTimes finds out whether a source understands times in the zone that is
// set for it: a record is looked for once more, by its time.
func (d *Doctor) checkTimes(ctx context.Context, src *gatecast.Source, zone *time.Location, rows []row) gatecast.Finding {
	if len(rows) == 0 || rows[0].time.IsZero() {
		return note("times", src.Name, "whether its times are of the zone "+zoneText(zone, d.opts.Now())+" cannot be told: it has no record of the past days", "compare them by hand: gatecast source show "+src.Name)
	}
	r := rows[0]
	zones := []*time.Location{zone}
	for _, other := range append([]*time.Location{zoneOfText(r.zone)}, commonZones()...) {
		same := func(z *time.Location) bool { return offset(z, r.time) == offset(other, r.time) }
		if other != nil && !slices.ContainsFunc(zones, same) {
			zones = append(zones, other)
		}
	}
	for i, z := range zones {
		near, p, err := d.ask(ctx, src.Settings, window(r.time.Add(-narrow), r.time.Add(narrow), z, 50))
		if err != nil {
			return warn("times", src.Name, "whether its times are of the zone "+zoneText(zone, r.time)+" cannot be told: "+clean(cmpErr(p.err, err).Error()), "try again")
		}
		if !holds(near, r.time) {
			continue
		}
		if i == 0 {
			return ok("times", src.Name, "its times are of the zone "+zoneText(zone, r.time))
		}
		return judgeTimes(src.Name, zone, r.time, z)
	}
	return judgeTimes(src.Name, zone, r.time, nil)
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// judgeTimes is what is found where the zone is wrong. right is nil if none of
// those that were tried is the right one.
func judgeTimes(name string, set *time.Location, at time.Time, right *time.Location) gatecast.Finding {
	text := "its lists are not in the zone " + zoneText(set, at)
	update := "gatecast source update " + name + " --rest-zone "
	if right == nil {
		return bad("times", name, text+": what it has is looked for at wrong times, and may be missed", update+"ZONE, with the zone that is set at the server")
	}
	right = named(right, at)
	by := time.Duration(offset(right, at)-offset(set, at)) * time.Second
	return bad("times", name, fmt.Sprintf("%s, but %v off, as in %s: what it has is looked for at wrong times, and may be missed", text, by, right), update+zoneFor(right))
}

// named returns a common zone that has the same offset at a time, if there is one:
// records name offsets, and settings name zones.
func named(z *time.Location, at time.Time) *time.Location {
	for _, common := range commonZones() {
		if common != time.Local && offset(common, at) == offset(z, at) {
			return common
		}
	}
	return z
}

// zoneText is a zone for people: "Local" says nothing to them.
func zoneText(z *time.Location, at time.Time) string {
	if z != time.Local {
		return z.String()
	}
	return "Local (" + zoneName(at) + ")"
}

// zoneFor is how a zone is named on the command line: one that is only an offset
// has no name there.
func zoneFor(z *time.Location) string {
	if strings.HasPrefix(z.String(), "GMT") || strings.HasPrefix(z.String(), "+") || strings.HasPrefix(z.String(), "-") {
		return "ZONE, with the name of one that has " + z.String()
	}
	return z.String()
}

func offset(z *time.Location, at time.Time) int {
	if z == nil {
		return 1 << 30 // no zone has it
	}
	_, seconds := at.In(z).Zone()
	return seconds
}

// holds reports whether what was found around a time is of that time.
func holds(rows []row, at time.Time) bool {
	return slices.ContainsFunc(rows, func(r row) bool { return r.time.Sub(at).Abs() <= narrow })
}

// commonZones are those that such servers are set to where nobody has looked.
func commonZones() []*time.Location {
	zones := []*time.Location{time.UTC}
	for _, name := range []string{"Asia/Tokyo", "Asia/Shanghai"} {
		if z, err := time.LoadLocation(name); err == nil {
			zones = append(zones, z)
		}
	}
	return append(zones, time.Local)
}

// zoneOfText reads what records say of their zone: "GMT+09:00", "+0900", a name.
// nil: it says nothing.
func zoneOfText(text string) *time.Location {
	short := strings.TrimPrefix(strings.TrimPrefix(text, "GMT"), "UTC")
	for _, layout := range []string{"-07:00", "-0700", "-07"} {
		if t, err := time.Parse(layout, short); err == nil {
			_, seconds := t.Zone()
			return time.FixedZone("GMT"+t.Format("-07:00"), seconds)
		}
	}
	if text == "" || text == "Local" {
		return nil
	}
	if z, err := time.LoadLocation(text); err == nil {
		return z
	}
	return nil
}
