package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// sourceChecks lists what is looked at of one source. It needs the turn.
func (d *Doctor) sourceChecks(src *gatecast.Source, now time.Time) []check {
	st := d.States.State(src.Name)
	list := []check{{"source", src.Name, func(context.Context) []gatecast.Finding {
		return append(judgeState(src, st), judgeStatement(src, st.Statement)...)
	}}}
	if src.Paused != "" {
		return list // nobody wants anything of it now
	}
	if src.Settings.Kind == gatecast.SourceWebSocket {
		login := d.mayLogIn(src, st, now)
		list = append(list, check{"reach", src.Name, func(ctx context.Context) []gatecast.Finding { return d.checkPush(ctx, src, st, login) }})
	}
	if src.Settings.REST.URL != "" {
		list = append(list, check{"reach", src.Name, func(ctx context.Context) []gatecast.Finding { return d.checkREST(ctx, src) }})
	}
	return list
}

// mayLogIn reports whether to log in at a source once more than who follows it
// does. One that is connected has been let in already.
func (d *Doctor) mayLogIn(src *gatecast.Source, st gatecast.SourceState, now time.Time) bool {
	if connected(st) || now.Sub(d.logins[src.Name]) < d.opts.LoginEvery {
		return false
	}
	d.logins[src.Name] = now
	return true
}

func connected(st gatecast.SourceState) bool {
	return st.Status == gatecast.SourceLive || st.Status == gatecast.SourceStalled
}

// judgeState says how a source stands.
func judgeState(src *gatecast.Source, st gatecast.SourceState) []gatecast.Finding {
	see := "see: gatecast source show " + src.Name
	why := st.Reason
	if why == "" {
		why = "no reason is known"
	}
	var f gatecast.Finding
	switch {
	case src.Paused != "":
		f = note("source", src.Name, "it is paused: "+src.Paused, "go on with it: gatecast source resume "+src.Name)
	case st.Status == gatecast.SourceLive:
		text := "it is live"
		if !st.LastEvent.IsZero() {
			text += ", and its latest event came at " + moment(st.LastEvent)
		}
		f = ok("source", src.Name, text)
	case st.Status == gatecast.SourceStalled:
		f = warn("source", src.Name, "it is connected, and has events that it does not push: "+why, "gatecast connects anew by itself, and asks for what is missing; if it stays so, restart the SenseLink server")
	case st.Status == gatecast.SourceRefused:
		f = bad("source", src.Name, "it does not let gatecast in: "+why, "check key and secret: gatecast source update "+src.Name+" --app-key KEY --app-secret @FILE; and the clocks")
	case st.Status == gatecast.SourceWaiting && strings.Contains(why, "refused"):
		f = bad("source", src.Name, why, "set its subscription again at the server: gatecast source subscribe "+src.Name)
	case st.Status == gatecast.SourceWaiting:
		f = warn("source", src.Name, why, "set its subscription at the server: gatecast source subscribe "+src.Name)
	default:
		f = bad("source", src.Name, "it is not connected: "+why, "see what else is found of it here; "+see)
	}
	return []gatecast.Finding{f}
}

// judgeStatement says whether all that a source has is here.
func judgeStatement(src *gatecast.Source, s gatecast.Statement) (found []gatecast.Finding) {
	if src.Settings.REST.URL == "" {
		return []gatecast.Finding{note("complete", src.Name, "nobody can say whether anything is missing: it is never asked", "if it has a REST interface: gatecast source update "+src.Name+" --rest URL")}
	}
	if s.Error != "" {
		found = append(found, warn("complete", src.Name, "the latest look at what it has failed: "+s.Error, "see what else is found of it here, then: gatecast source reconcile "+src.Name))
	}
	if s.Lost > 0 {
		found = append(found, warn("complete", src.Name, fmt.Sprintf("%d of its events were lost before they could be fetched", s.Lost), "keep records longer at the server, and ask it more often: --rest-every"))
	}
	switch {
	case found != nil:
	case s.Through.IsZero():
		found = append(found, note("complete", src.Name, "nothing can be said yet of whether anything is missing", "wait for the first look, or take it: gatecast source reconcile "+src.Name))
	default:
		found = append(found, ok("complete", src.Name, "all it has of before "+moment(s.Through)+" is here"))
	}
	return found
}

// Between the clock of a source and ours.
const (
	skewSeen  = 3 * time.Second  // less than the Date of an answer can tell for certain
	skewMuch  = time.Minute      // times of events are wrong
	skewFatal = 25 * time.Minute // signatures are refused from 30 min on
)

// judgeSkew says how a source's clock stands to ours. It is ahead by so much.
func judgeSkew(name string, ahead time.Duration) gatecast.Finding {
	side := "ahead of"
	if ahead < 0 {
		side = "behind"
	}
	text := fmt.Sprintf("its clock is %s %s ours", ahead.Abs().Round(time.Second), side)
	const remedy = "set the clock of the SenseLink server, and keep it right (NTP); if this machine's is the wrong one, another finding says so"
	switch {
	case ahead.Abs() < skewSeen:
		return ok("skew", name, "its clock is ours")
	case ahead.Abs() < skewMuch:
		return note("skew", name, text, remedy)
	case ahead.Abs() < skewFatal:
		return warn("skew", name, text+": the times of its events are wrong, and near 30 minutes it lets nobody in", remedy)
	}
	return bad("skew", name, text+": it refuses signatures that are 30 minutes off", remedy)
}
