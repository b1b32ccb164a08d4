package reconcile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/gatecast/gatecast"
)

// Whatever the push loses, doubles or brings late, and whatever befalls the
// server, the journal and this process: each event ends up in the journal once,
// and at no moment does a statement say more than is true.
func TestEachEventIsInTheJournalOnceAndNoStatementIsALie(t *testing.T) {
	dir, runs := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		c := &chaos{dir: filepath.Join(dir, strconv.Itoa(runs))}
		c.draw(rt)
		synctest.Test(t, func(t *testing.T) { c.play(t) }) // rapid must not stop a bubble
		if c.wrong != "" {
			rt.Fatal(c.wrong)
		}
	})
}

// chaos is a course of events.
type chaos struct {
	dir    string
	habits habits
	lag    time.Duration
	zone   string // that is set first
	right  string // that the server has
	style  gatecast.RESTStyle
	size   int
	steps  []step

	*site
	t       *testing.T
	late    []*upstreamRow // pushes on their way
	open    []*upstreamRow // alarms that are not over
	through time.Time
	wrong   string // what went wrong first
}

type step struct {
	what string
	n    int
	push string
}

func (c *chaos) draw(t *rapid.T) {
	flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
	c.lag = time.Duration(rapid.IntRange(0, 3000).Draw(t, "lag")) * time.Millisecond
	c.habits = habits{silent: flag("silent"), descending: flag("descending"), exclusive: flag("exclusive")}
	c.habits.most = rapid.SampledFrom([]int{0, 3}).Draw(t, "most")
	zones := []string{"UTC", "Etc/GMT-9", "Etc/GMT+11", "Asia/Kolkata"}
	c.right = rapid.SampledFrom(zones).Draw(t, "zone")
	if c.zone = c.right; rapid.IntRange(0, 2).Draw(t, "wrong at first") == 0 {
		c.zone = rapid.SampledFrom(zones).Draw(t, "wrong zone")
	}
	c.habits.dateless = flag("dateless")
	c.habits.ahead = time.Duration(rapid.SampledFrom([]int{0, 0, -600, -180, -7, 7, 180, 600}).Draw(t, "ahead")) * time.Second
	if c.habits.dateless { // then nobody knows that what it lists is older than it seems
		c.habits.ahead = max(c.habits.ahead, 0)
	}
	c.style = rapid.SampledFrom([]gatecast.RESTStyle{gatecast.RESTv4, gatecast.RESTv5}).Draw(t, "style")
	c.size = rapid.SampledFrom([]int{2, 5, 200}).Draw(t, "size")
	c.steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			rapid.SampledFrom([]string{
				"record", "record", "record", "alarm", "state", "late", "server", "journal", "others", "burst", "forget", "delete", "zone", "connect", "kill", "kill, file torn",
				"minutes", "seconds", "seconds",
			}).Draw(t, "what"),
			rapid.IntRange(0, 400).Draw(t, "n"),
			rapid.SampledFrom([]string{"lost", "late", "twice", "once", "once"}).Draw(t, "push"),
		}
	}), 1, 60).Draw(t, "steps")
}

func (c *chaos) play(t *testing.T) {
	c.prepare(t)
	c.start(t)
	defer func() { c.stop() }()
	for _, s := range c.steps {
		c.step(s)
		synctest.Wait()
		if c.check(); c.wrong != "" {
			return
		}
	}
	c.settle()
}

// prepare makes the site, and starts nothing.
func (c *chaos) prepare(t *testing.T) {
	c.t = t
	c.site = newSite(c.dir, Options{PerSecond: 50, Size: c.size})
	c.source.Settings.REST.Lookback = 20 * 24 * time.Hour
	c.source.Settings.REST.Zone = c.zone
	zone, err := time.LoadLocation(c.right)
	if err != nil {
		t.Skip(err)
	}
	c.habits.zone = zone
	c.up.habits, c.journal.lag, c.source.Settings.REST.Style = c.habits, c.lag, c.style
}

func (c *chaos) fail(format string, args ...any) {
	if c.wrong == "" {
		c.wrong = fmt.Sprintf(format, args...)
	}
}

func (c *chaos) step(s step) {
	switch s.what {
	case "record":
		c.push1(c.up.add(gatecast.Record, time.Duration(s.n/4)*time.Second), s.push)
	case "alarm":
		r := c.up.add(gatecast.Alarm, 0)
		c.open = append(c.open, r)
		c.push1(r, s.push)
	case "state":
		if len(c.open) > 0 {
			r := c.open[s.n%len(c.open)]
			c.up.become(r, r.now().status+1)
			if r.now().status == 3 {
				c.open = slices.DeleteFunc(c.open, func(o *upstreamRow) bool { return o == r })
			}
			c.push1(r, s.push)
		}
	case "others":
		c.up.skip(int64(s.n%20) + 1)
	case "burst":
		for range s.n%20 + 1 { // of one second, or two
			c.push1(c.up.add(gatecast.Record, 0), s.push)
		}
	case "forget":
		c.up.set(func(u *fakeUpstream) { u.rows = u.rows[min(len(u.rows), s.n%4):] })
	case "delete":
		c.up.set(func(u *fakeUpstream) {
			if i := s.n; i < len(u.rows) {
				u.rows = slices.Delete(u.rows, i, i+1)
			}
		})
	case "zone":
		c.change(func(src *gatecast.Source) {
			src.Settings.REST.Zone = c.right
			if s.n%3 == 0 {
				src.Settings.REST.Zone = "Pacific/Apia"
			}
		})
	case "late":
		for _, r := range slices.Backward(c.late) {
			if time.Since(r.now().added) < dedup { // later than that the journal does not know it again
				c.deliver(r)
			}
		}
		c.late = nil
	case "server":
		c.up.set(func(u *fakeUpstream) {
			if u.fail = errors.New("away"); s.n%2 == 0 {
				u.fail = nil
			}
		})
	case "journal":
		c.journal.mu.Lock()
		if c.journal.fail = gatecast.Errorf(gatecast.Unavailable, "full"); s.n%2 == 0 {
			c.journal.fail = nil
		}
		c.journal.mu.Unlock()
	case "connect":
		c.rec.Connected(sourceName)
	case "kill", "kill, file torn":
		c.restart(s.what != "kill")
	case "minutes":
		sleep(time.Duration(s.n/3) * time.Minute)
	case "seconds":
		sleep(time.Duration(s.n) * time.Second)
	}
}

// push1 lets the push of an event arrive once, twice, late or never.
func (c *chaos) push1(r *upstreamRow, how string) {
	switch how {
	case "lost":
	case "late":
		as := *r // as it is now
		as.states = slices.Clone(r.states)
		c.late = append(c.late, &as)
	case "twice":
		c.deliver(r)
		c.deliver(r)
	case "once":
		c.deliver(r)
	}
}

// deliver brings a push into the journal, if that takes it.
func (c *chaos) deliver(r *upstreamRow) {
	_, _ = c.journal.Append(context.Background(), []gatecast.Event{{
		ID: r.eventID(), Kind: r.kind, At: r.at.Truncate(time.Second), Source: sourceName, Data: []byte(`{}`),
	}})
}

// restart kills the process, and starts it with the files as they are. What the
// journal has of the source may be torn.
func (c *chaos) restart(torn bool) {
	kept := make(map[string][]byte)
	for _, name := range []string{noteFile(c.opts.Dir, sourceName), idsFile(c.opts.Dir, sourceName)} {
		if b, err := os.ReadFile(name); err == nil {
			kept[name] = b
		}
	}
	c.stop()
	for name, b := range kept {
		if torn && filepath.Ext(name) == ".ids" {
			b = b[:len(b)/2]
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	c.start(c.t)
	sleep(time.Millisecond)
}

// check holds the statement against the truth.
func (c *chaos) check() {
	st := c.rec.Statement(sourceName)
	if st.Through.IsZero() {
		return
	}
	if st.Through.Before(c.through) {
		c.fail("through went back from %v to %v", c.through, st.Through)
	}
	c.through = st.Through
	// By the look that has said so; a later one may have failed.
	looked := st.Through.Add(margin - min(0, c.slow()))
	there := c.journal.ids()
	c.up.mu.Lock()
	defer c.up.mu.Unlock()
	for _, r := range c.up.rows {
		if !r.at.Before(st.Through) {
			continue
		}
		by := looked
		if r.kind == gatecast.Record && !r.old && (c.slow() < 0 || c.habits.ahead >= 0) {
			by = time.Now() // whenever the server has learned of it: this is later than what is complete
		}
		if id, here := c.latest(r, by, there); !here {
			c.fail("%s of %v is not in the journal: %+v", id, r.at, st)
		}
	}
}

// slow is how far the server's clock is behind ours, as far as it tells.
func (c *chaos) slow() time.Duration {
	if c.habits.dateless {
		return 0
	}
	return min(0, c.habits.ahead)
}

// latest reports whether the state that an event had at a look is in the
// journal, or one that it has reached since.
func (c *chaos) latest(r *upstreamRow, looked time.Time, there map[string]int) (id string, here bool) {
	for i, s := range r.states {
		if !s.added.Before(looked) && i == 0 {
			return "", true // the server did not have it
		}
		if i+1 < len(r.states) && !r.states[i+1].added.After(looked) {
			continue
		}
		id = gatecast.UpstreamID(sourceName, r.kind, r.id, s.status, nil)
		here = here || there[id] > 0
	}
	return id, here
}

// settle lets everything be well, and looks at what has become of it.
func (c *chaos) settle() {
	c.up.set(func(u *fakeUpstream) { u.fail = nil })
	c.journal.mu.Lock()
	c.journal.fail = nil
	c.journal.mu.Unlock()
	c.change(func(src *gatecast.Source) { src.Settings.REST.Zone = c.right })
	c.push1(c.up.add(gatecast.Record, 0), "once") // else nobody can say anything of a server that has none
	sleep(20 * time.Minute)
	if st := c.rec.Statement(sourceName); time.Since(st.Through)+c.slow() > 6*time.Minute || st.Error != "" || st.Withheld != "" {
		c.fail("all is well, and %+v", st)
	}
	c.check()
	there := c.journal.ids()
	for id, n := range there {
		if n != 1 {
			c.fail("%s is %d times in the journal", id, n)
		}
	}
	for _, r := range c.up.rows {
		if there[r.eventID()] != 1 {
			c.fail("%s of %v is %d times in the journal", r.eventID(), r.at, there[r.eventID()])
		}
	}
}
