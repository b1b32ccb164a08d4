package gatecast

import "slices"

// Traits are the values of an event's data that subscriptions choose by. What
// the data does not hold is zero.
type Traits struct {
	UserType   int // of a record: 1 employee, 2 visitor, 3 stranger
	Abnormal   int // of a record: 0 none, else the vendor's abnormalType
	AlarmCode  int // of an alarm
	AlarmLevel int // of an alarm: 1 alert, 2 abnormality
}

// TraitFilter chooses events by their traits. An empty list lets everything
// through. The lists about records say nothing about alarms, and the other way
// round.
type TraitFilter struct {
	UserTypes     []int
	AbnormalTypes []int
	AlarmCodes    []int
	AlarmLevels   []int
}

// IsZero reports whether the filter lets everything through.
func (f *TraitFilter) IsZero() bool {
	return len(f.UserTypes)+len(f.AbnormalTypes)+len(f.AlarmCodes)+len(f.AlarmLevels) == 0
}

// Match reports whether the filter lets an event of a kind with these traits
// through.
func (f *TraitFilter) Match(k Kind, t Traits) bool {
	in := func(list []int, v int) bool { return len(list) == 0 || slices.Contains(list, v) }
	switch k {
	case Record:
		return in(f.UserTypes, t.UserType) && in(f.AbnormalTypes, t.Abnormal)
	case Alarm:
		return in(f.AlarmCodes, t.AlarmCode) && in(f.AlarmLevels, t.AlarmLevel)
	}
	return true
}
