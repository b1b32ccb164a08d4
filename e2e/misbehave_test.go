package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/standin"
)

// misbehaviour is a way in which a vendor's server fails its clients, and how
// that shows.
type misbehaviour struct {
	mode  standin.Mode
	more  string // details, as JSON members
	posts bool   // the server posts its events
	drop  bool   // its clients must log in anew
	what  string
	shows func(sourceView) bool // after part more events
}

// part is how many events happen at each server at a time.
const part = 20

func misbehaviours() []misbehaviour {
	const events = 2 * part
	live := func(src sourceView) bool { return src.State.Status == gatecast.SourceLive }
	filled := func(src sourceView) bool { return src.has() > part && src.State.Statement.Filled > 0 }
	took := func(n uint64) func(sourceView) bool {
		return func(src sourceView) bool { return src.has() == n }
	}
	refused := func(why string) func(sourceView) bool {
		return func(src sourceView) bool {
			return src.State.Status == gatecast.SourceRefused && strings.Contains(src.State.Reason, why)
		}
	}
	failed := func(why string) func(sourceView) bool {
		return func(src sourceView) bool { return strings.Contains(src.State.Statement.Error, why) }
	}
	return []misbehaviour{
		{mode: standin.Drop, what: "live again", shows: live},
		{mode: standin.Stall, what: "filled in", shows: filled},
		{mode: standin.Stall, posts: true, what: "filled in", shows: filled},
		{mode: standin.Silent, what: "filled in", shows: filled},
		{mode: standin.Restart, more: `,"for":"500ms"`, what: "live again", shows: live},
		{mode: standin.Restart, more: `,"for":"500ms"`, posts: true, what: "filled in", shows: filled},
		{mode: standin.Rename, what: "taken from", shows: took(events)},
		{mode: standin.Rubbish, more: `,"n":3`, what: "taken from, and its rubbish set aside", shows: func(src sourceView) bool {
			return src.has() == events && src.State.Rubbish >= part/3-1 // one of seven has a code that is not known, and is passed over
		}},
		{mode: standin.Rubbish, more: `,"n":3`, posts: true, what: "waiting, for the vendor posts no more", shows: func(src sourceView) bool {
			return src.State.Status == gatecast.SourceWaiting && src.State.Rubbish == 1 && src.State.Reason != ""
		}},
		{mode: standin.Twice, what: "taken from once", shows: took(events)},
		{mode: standin.Twice, posts: true, what: "taken from once", shows: took(events)},
		{mode: standin.Disorder, more: `,"n":3`, what: "taken from as far as it pushes", shows: func(src sourceView) bool {
			return src.has() >= events-part%3
		}},
		{mode: standin.Logins, more: `,"n":1`, drop: true, what: "refused", shows: refused("login too frequent")},
		{mode: standin.Clock, drop: true, what: "refused", shows: refused("timestamp")},
		{mode: standin.REST500, what: "not understood", shows: failed("500")},
		{mode: standin.REST498, what: "not answered", shows: failed("498")},
		{mode: standin.RESTSlow, more: `,"by":"500ms"`, what: "asked all the same", shows: func(src sourceView) bool {
			return src.State.Statement.Error == "" && src.has() == events
		}},
		{mode: standin.RESTCut, what: "not answered to the end", shows: failed("EOF")},
		{mode: standin.RESTShort, what: "not believed", shows: failed("fewer rows than it says")},
	}
}

// has is how many events of the source came to the journal, if gatecast was not
// restarted. A look may be quicker than a post.
func (v sourceView) has() uint64 { return v.State.Events + v.State.Statement.Filled }

// TestNoMisbehaviourStopsTheOtherSources has as many servers misbehave at once
// as there are ways to, each in its own way, beside two that do not. These are
// taken from all the while; and afterwards every server's events are there once.
func TestNoMisbehaviourStopsTheOtherSources(t *testing.T) {
	t.Parallel()
	tested := map[standin.Mode]bool{}
	z := newZoo(t)
	for _, m := range misbehaviours() {
		tested[m.mode] = true
		z.add(t, m)
	}
	for _, mode := range standin.Modes() {
		if !tested[mode] {
			t.Errorf("no server misbehaves by %s", mode)
		}
	}
	well := []*animal{z.add(t, misbehaviour{}), z.add(t, misbehaviour{posts: true})}
	for _, a := range z.all {
		a.join(t, z.server)
		a.happens(t)
	}
	for _, a := range z.all {
		z.server.untilSource(t, a.name, "taken from", func(src sourceView) bool { return src.has() == part })
	}
	for _, a := range z.all {
		a.misbehave(t)
		a.happens(t)
	}
	for _, a := range well {
		z.server.untilSource(t, a.name, "taken from", func(src sourceView) bool {
			return src.has() == 2*part && src.State.Status == gatecast.SourceLive
		})
	}
	for _, a := range z.all {
		if a.shows == nil {
			continue
		}
		z.server.untilSource(t, a.name, a.what, func(src sourceView) bool {
			if a.drop && src.State.Status == gatecast.SourceLive {
				a.pull(t, "misbehave", `{"mode":"drop"}`)
			}
			return a.shows(src)
		})
	}
	z.settle(t)
	z.check(t)
}

// zoo is many servers of the vendor's before one gatecast.
type zoo struct {
	rng    *rand.Rand
	data   string
	server *server
	back   *proxy
	all    []*animal
}

// animal is one of the servers.
type animal struct {
	*vendor
	misbehaviour
	site *site
}

func newZoo(t *testing.T) *zoo {
	t.Helper()
	z := &zoo{rng: seeded(t), data: t.TempDir(), back: newProxy(t)}
	z.server = start(t, z.data)
	z.back.leadTo(z.server)
	return z
}

func (z *zoo) add(t *testing.T, m misbehaviour) *animal {
	t.Helper()
	name := "well"
	if m.mode != "" {
		name = string(m.mode)
	}
	if m.posts {
		name += "-posts"
	}
	a := &animal{misbehaviour: m, site: &site{rng: rand.New(rand.NewPCG(z.rng.Uint64(), 5))}}
	a.vendor = hostVendor(t, name, int64(len(z.all)+1)*1_000_000)
	if m.posts {
		a.back = z.back
	}
	z.all = append(z.all, a)
	return a
}

// join has gatecast take from the server, and returns when it does.
func (a *animal) join(t *testing.T, s *server) {
	t.Helper()
	s.postVendor(t, a.vendor)
	if a.posts {
		a.subscribe(t)
		return
	}
	s.untilSource(t, a.name, "live", func(src sourceView) bool { return src.State.Status == gatecast.SourceLive })
	eventually(t, a.name+" pushes to gatecast", func(ctx context.Context) bool { return a.standing(ctx, t).Connections == 1 })
}

func (a *animal) misbehave(t *testing.T) {
	t.Helper()
	if a.mode != "" {
		a.pull(t, "misbehave", fmt.Sprintf(`{"mode":%q%s}`, a.mode, a.more))
	}
}

func (a *animal) happens(t *testing.T) {
	t.Helper()
	ctx := within(t)
	for range part {
		if err := a.call(ctx, "events", a.site.next(time.Now())); err != nil {
			t.Fatal(err)
		}
	}
}

// settle ends all misbehaviour, as somebody would who has been told of it, and
// waits until every source is complete.
func (z *zoo) settle(t *testing.T) {
	t.Helper()
	for _, a := range z.all {
		a.pull(t, "behave", "{}")
		if a.posts {
			a.subscribe(t)
		}
		if a.drop { // it would be tried again within minutes
			z.server.must(t, http.MethodPost, "/api/v1/sources/"+a.name+"/pause", nil)
			z.server.must(t, http.MethodPost, "/api/v1/sources/"+a.name+"/resume", nil)
		}
	}
	for _, a := range z.all {
		a.happens(t)
	}
	through := time.Now()
	for _, a := range z.all {
		z.server.untilSource(t, a.name, "complete, and live", func(src sourceView) bool {
			st := src.State
			return st.Statement.Error == "" && st.Statement.Through.After(through) && st.Status == gatecast.SourceLive
		})
	}
}

// check stops gatecast and holds its journal against every server's truth.
func (z *zoo) check(t *testing.T) {
	t.Helper()
	z.server.stop(t)
	events := openJournal(t, z.data)
	for _, a := range z.all {
		if a.mode == standin.Rename { // the field was called so, and is passed on so
			for i := range events {
				events[i].Data = bytes.Replace(events[i].Data, []byte(`"deviceSerial":`), []byte(`"sn":`), 1)
			}
		}
		compare(t, a.vendor, a.truth(t), events)
	}
}
