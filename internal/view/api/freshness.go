package api

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
)

// longAway is after which time an endpoint that fails counts as dead.
const longAway = time.Hour

// appFreshness says how an app stands in the words for devices: by its
// connections to this node, and by how far it has confirmed before the newest
// event that somebody may wait for.
func appFreshness(a *gatecast.App, conns []gatecast.Connection, cursors []gatecast.Cursor, epoch string, newest gatecast.Seq, now time.Time) gatecast.Freshness {
	if !a.Enabled {
		return gatecast.Freshness{State: gatecast.FreshQuiet, Why: "disabled"}
	}
	if len(conns) > 0 {
		return connected(conns)
	}
	var latest gatecast.Cursor
	for _, c := range cursors {
		if c.Epoch == epoch && (c.Confirmed.After(latest.Confirmed) || latest.Epoch == "") {
			latest = c
		}
	}
	f := gatecast.Freshness{State: gatecast.FreshQuiet, Since: latest.Confirmed}
	behind := newest - min(latest.Seq, newest)
	window := a.CatchUp.WithDefaults().Window
	switch {
	case latest.Epoch == "":
		f.Why = "was never connected, or keeps no cursor"
	case behind == 0:
		f.Why = "not connected to this node; has missed nothing"
	case !latest.Confirmed.IsZero() && window > 0 && now.Sub(latest.Confirmed) > time.Duration(window):
		f.State, f.Why = gatecast.FreshDead, fmt.Sprintf("not connected to this node for longer than its catch-up of %v: it loses events", window)
	default:
		f.State, f.Why = gatecast.FreshStale, fmt.Sprintf("not connected to this node; %d positions wait for it", behind)
	}
	return f
}

// connected is how an app stands that has connections: as the best of them.
func connected(conns []gatecast.Connection) gatecast.Freshness {
	modes := map[gatecast.Mode]int{}
	var since time.Time
	behind := conns[0].LagEvents
	for _, c := range conns {
		modes[c.Mode]++
		behind = min(behind, c.LagEvents)
		if c.Mode == gatecast.ModeLive && (since.IsZero() || c.Connected.Before(since)) {
			since = c.Connected
		}
	}
	switch {
	case modes[gatecast.ModeLive] > 0:
		return gatecast.Freshness{State: gatecast.FreshLive, Since: since, Why: fmt.Sprintf("%d of %d connections have everything", modes[gatecast.ModeLive], len(conns))}
	case modes[gatecast.ModeCatchingUp] > 0:
		return gatecast.Freshness{State: gatecast.FreshLive, Why: fmt.Sprintf("catching up, %d positions behind", behind)}
	}
	return gatecast.Freshness{State: gatecast.FreshStale, Why: fmt.Sprintf("connected, and takes nothing; %d positions behind", behind)}
}

// subscriptionFreshness says the same of a subscription, by what its endpoint
// last answered.
func subscriptionFreshness(st gatecast.SubscriptionState, now time.Time) gatecast.Freshness {
	f := gatecast.Freshness{State: gatecast.FreshLive, Since: st.Since, Why: st.Reason}
	switch st.Status {
	case gatecast.SubscriptionActive:
		f.Why = "its endpoint takes what it is sent"
		if st.Delivered == 0 {
			f.State, f.Why = gatecast.FreshQuiet, "nothing was delivered yet"
		}
	case gatecast.SubscriptionRetrying:
		f.State = gatecast.FreshStale
	case gatecast.SubscriptionDegraded:
		f.State = gatecast.FreshStale
		if now.Sub(st.Since) >= longAway {
			f.State = gatecast.FreshDead
		}
	case gatecast.SubscriptionPaused:
		f.State, f.Why = gatecast.FreshQuiet, "paused: "+st.Reason
	}
	return f
}

// freshnesses returns how apps stand, with the journal as it is now; none of
// them if that cannot be told at the moment.
func (s *server) freshnesses(ctx context.Context) func(*gatecast.App) *FreshnessBody {
	conns := map[string][]gatecast.Connection{}
	for _, c := range s.opts.Connections.List() {
		conns[c.App] = append(conns[c.App], c)
	}
	st, err := s.opts.Status.Status(ctx)
	newest := cmp.Or(s.opts.Devices.Newest(), st.Extent.Last)
	return func(a *gatecast.App) *FreshnessBody {
		if err != nil {
			return nil
		}
		return new(showFreshness(appFreshness(a, conns[a.Key], s.opts.Cursors.Of(a.Key), st.Extent.Epoch, newest, time.Now())))
	}
}
