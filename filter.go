package gatecast

import "slices"

// Filter chooses events. An empty list lets everything of its sort through;
// lists combine with "and", their members with "or".
type Filter struct {
	Kinds   []Kind   // record, alarm
	Devices []string // LDIDs
	Groups  []int64  // group IDs; alarms carry none, so a group filter leaves them out
}

// Match reports whether the filter lets e through.
func (f *Filter) Match(e *Event) bool {
	if len(f.Kinds) > 0 && !slices.Contains(f.Kinds, e.Kind) {
		return false
	}
	if len(f.Devices) > 0 && !slices.Contains(f.Devices, e.Device) {
		return false
	}
	if len(f.Groups) == 0 {
		return true
	}
	return slices.ContainsFunc(e.Groups, func(g int64) bool { return slices.Contains(f.Groups, g) })
}
