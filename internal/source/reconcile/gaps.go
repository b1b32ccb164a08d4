package reconcile

import (
	"slices"

	"github.com/gatecast/gatecast"
)

// gaps explains the numbers that are missing between those of the source's
// events, now that its lists have been gone through. One that was filled in is
// none any more. What is left was counted as lost, or is not ours: the source
// lists nothing under it, for it belongs to another company of the same server,
// or was never given.
func (l *look) gaps(n *note) {
	if lost := l.dropped(n); lost > 0 {
		n.Lost, n.Gone = n.Lost+lost, n.Gone+lost
	}
	numbers := l.w.audit.recordNumbers().holes(0, max(l.seen.top, n.Proof.Record.ID))
	n.Records, n.Alarms = numbers-min(numbers, n.Gone), l.w.audit.alarmNumbers().holes(0, 1<<62)
}

// dropped counts records that the source has deleted for their age before they
// could be fetched: it lists none any more that the journal has of a time that
// it was asked for, but newer ones, and numbers between them are missing here. A
// single record that is gone was deleted by somebody.
func (l *look) dropped(n *note) uint64 {
	missed, oldest := l.missed(), l.seen.oldest
	if len(missed) < 2 || oldest.ID == 0 {
		return 0
	}
	from := n.Counted
	for _, s := range missed {
		if !s.At.Before(oldest.At) {
			return 0 // newer ones are gone, too
		}
		from = max(from, s.ID)
	}
	if from >= oldest.ID {
		return 0
	}
	n.Counted = oldest.ID
	return l.w.audit.recordNumbers().holes(from, oldest.ID)
}

// gapped reports whether numbers are missing that were not missing before, and
// that this is rare: then it may be a record that the source has learned of long
// after it happened, and the look goes back for it. Where others' numbers lie
// between ours all the time, it would never end; what comes late there is found
// by the next deep look.
func (l *look) gapped() bool {
	records, n := l.w.audit.recordNumbers(), &l.w.note
	before := n.Records + n.Gone
	return records.holes(0, l.seen.top) > before && before <= records.count()/rare
}

// rare is how many numbers of ours there must be for each that is missing.
const rare = 100

// recordNumbers is the numbers of records.
func (a *audit) recordNumbers() *spans {
	if s := a.sets[set{kind: gatecast.Record}]; s != nil {
		return s
	}
	return &spans{}
}

// alarmNumbers is the numbers of alarms, whatever their state.
func (a *audit) alarmNumbers() *spans {
	var all []span
	for name, s := range a.sets {
		if name.kind == gatecast.Alarm {
			all = append(all, s.list...)
		}
	}
	slices.SortFunc(all, func(x, y span) int {
		if x.lo < y.lo {
			return -1
		}
		return 1
	})
	merged := &spans{}
	for _, e := range all {
		if last := len(merged.list) - 1; last >= 0 && e.lo <= merged.list[last].hi+1 {
			merged.list[last].hi = max(merged.list[last].hi, e.hi)
			continue
		}
		merged.list = append(merged.list, e)
	}
	return merged
}
