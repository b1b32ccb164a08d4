package gatecast

import "testing"

func TestNoticesGoOnlyToWhoAsksForThem(t *testing.T) {
	notice := &Event{Kind: Notice}
	for name, c := range map[string]struct {
		filter Filter
		want   bool
	}{
		"nothing asked for":   {Filter{}, false},
		"the vendor's kinds":  {Filter{Kinds: Kinds()}, false},
		"asked for by name":   {Filter{Kinds: []Kind{Notice}}, true},
		"a device asked for":  {Filter{Devices: []string{""}}, false},
		"and by one's device": {Filter{Kinds: []Kind{Notice}, Devices: []string{"x"}}, false},
	} {
		if got := c.filter.Match(notice); got != c.want {
			t.Errorf("%s: a notice matches: %v, want %v", name, got, c.want)
		}
	}
	canary := &Event{Kind: Canary}
	if all, notices := (Filter{}), (Filter{Kinds: []Kind{Notice}}); all.Match(canary) || notices.Match(canary) {
		t.Error("a canary goes to who has not asked for it")
	}
	if all := (Filter{}); !all.Match(&Event{Kind: Record}) || !all.Match(&Event{Kind: Alarm}) {
		t.Error("a filter that asks for nothing leaves out what the vendor's protocol has")
	}
}

func TestAFilterOfTraitsSaysNothingAboutOtherKinds(t *testing.T) {
	f := TraitFilter{UserTypes: []int{2}, AlarmLevels: []int{1}}
	for _, c := range []struct {
		kind   Kind
		traits Traits
		want   bool
	}{
		{Record, Traits{UserType: 2}, true},
		{Record, Traits{UserType: 1}, false},
		{Alarm, Traits{AlarmLevel: 1}, true},
		{Alarm, Traits{AlarmLevel: 2}, false},
		{Notice, Traits{}, true},
	} {
		if got := f.Match(c.kind, c.traits); got != c.want {
			t.Errorf("%v %+v: %v, want %v", c.kind, c.traits, got, c.want)
		}
	}
}
