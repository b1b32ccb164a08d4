package hooks

import (
	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// sight is which events a subscription is sent. It never changes.
type sight struct {
	id     string
	app    gatecast.Filter // what its app may see
	own    gatecast.Filter
	traits gatecast.TraitFilter
}

// newSight returns what a subscription sees; app is nil if it belongs to none.
func newSight(sub *gatecast.Subscription, app *gatecast.App) *sight {
	s := &sight{id: sub.ID, own: sub.Settings.Filter, traits: sub.Settings.Traits}
	if app != nil {
		s.app = app.Filter()
	} else {
		s.app.Kinds = append(gatecast.Kinds(), gatecast.Notice)
	}
	return s
}

// glimpse is an event with its traits, which are read when first asked for.
type glimpse struct {
	ev     *gatecast.Event
	traits gatecast.Traits
	read   bool
}

func (s *sight) sees(g *glimpse) bool {
	// What a subscription does is no news to itself: each failure to tell it
	// would make the next notice.
	if g.ev.Kind == gatecast.Notice && g.ev.Device == s.id {
		return false
	}
	if !s.app.Match(g.ev) || !s.own.Match(g.ev) {
		return false
	}
	if s.traits.IsZero() {
		return true
	}
	if !g.read {
		g.traits, g.read = senselink.TraitsOf(g.ev), true
	}
	return s.traits.Match(g.ev.Kind, g.traits)
}
