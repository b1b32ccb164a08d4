package gatecast

import "slices"

// Filter chooses events. An empty list lets everything of its sort through;
// lists combine with "and", their members with "or". What is not of the vendor's
// protocol, notices for one, is let through only where Kinds names it.
type Filter struct {
	Kinds   []Kind   // empty: record and alarm
	Devices []string // LDIDs
	Groups  []int64  // group IDs; alarms carry none, so a group filter leaves them out
}

// Match reports whether the filter lets e through.
func (f *Filter) Match(e *Event) bool {
	if !f.HasKind(e.Kind) {
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

// HasKind reports whether the filter lets events of a kind through.
func (f *Filter) HasKind(k Kind) bool {
	if len(f.Kinds) == 0 {
		return k != Notice && k != Canary
	}
	return slices.Contains(f.Kinds, k)
}

// Clone returns a copy that shares nothing with f.
func (f Filter) Clone() Filter {
	return Filter{Kinds: slices.Clone(f.Kinds), Devices: slices.Clone(f.Devices), Groups: slices.Clone(f.Groups)}
}
