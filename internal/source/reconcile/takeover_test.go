package reconcile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
)

// crew is the nodes that look at a source in turn. Each has files of its own, and
// the notes they share.
type crew struct {
	*site
	dir   string
	nodes [3]bucket.Bucket // the way of each to the notes
}

func newCrew(s *site, dir string) *crew {
	shared := &bucket.Mem{}
	c := &crew{site: s, dir: dir}
	for i := range c.nodes {
		c.nodes[i] = &buckettest.Line{Bucket: shared}
	}
	return c
}

// start has a node look at the source; stop ends it.
func (c *crew) start(t fataler, node int) {
	c.opts.Dir = filepath.Join(c.dir, strconv.Itoa(node))
	c.opts.Notes = bucket.NewNotes(c.nodes[node], "note.")
	c.site.start(t)
}

func TestWhoTakesOverGoesOnFromWhereTheFormerOneHadCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		c := newCrew(newSite(dir, Options{}), dir)
		c.start(t, 0)
		c.up.add(gatecast.Record, 20*time.Hour)
		sleep(time.Hour)
		before := c.filled(t, 1)
		c.stop()
		// Nobody looks for longer than a first look goes back.
		for range 3 {
			c.up.add(gatecast.Record, 0)
			sleep(24 * time.Hour)
		}
		c.start(t, 1)
		defer func() { c.stop() }()
		synctest.Wait()
		if st := c.rec.Statement(sourceName); st.Through.Before(before.Through) {
			t.Errorf("the statement goes back from %v to %v", before.Through, st.Through)
		}
		sleep(time.Minute)
		if st := c.filled(t, 4); time.Since(st.Through) > 2*time.Minute || st.Error != "" {
			t.Errorf("%+v", st)
		}
	})
}

func TestAFormerHoldersStatementDoesNotReplaceTheNextOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		c := newCrew(newSite(dir, Options{}), dir)
		c.start(t, 0)
		sleep(time.Minute)
		c.up.set(func(u *fakeUpstream) { u.delay = 2 * time.Second })
		former, stop := c.rec, c.stop
		told := make(chan error)
		go func() { _, err := former.Reconcile(t.Context(), sourceName); told <- err }()
		sleep(time.Second)
		c.start(t, 1)
		defer func() { c.stop() }()
		r := c.up.add(gatecast.Record, time.Minute)
		if err := <-told; gatecast.CodeOf(err) != gatecast.Unavailable {
			t.Errorf("the former holder's look says %v", err)
		}
		stop()
		sleep(time.Hour)
		note, err := bucket.NewNotes(c.nodes[2], "note.").Look(t.Context(), sourceName)
		st := c.rec.Statement(sourceName)
		if err != nil || note == nil || st.Error != "" || time.Since(st.Through) > 6*time.Minute {
			t.Errorf("%+v; %s, %v", st, note, err)
		}
		if n := c.journal.ids()[r.eventID()]; n != 1 { // whichever of the two has filled it in
			t.Errorf("it is %d times in the journal", n)
		}
	})
}

func TestASourceIsNotLookedAtWhileItsNoteIsOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		c := newCrew(newSite(dir, Options{}), dir)
		line := &buckettest.Line{Bucket: c.nodes[0]}
		c.nodes[0] = line
		line.Spoil(func(buckettest.Request) buckettest.Fault { return buckettest.Fault{Lost: errors.New("no route")} })
		c.start(t, 0)
		defer func() { c.stop() }()
		sleep(time.Hour)
		if n := c.up.questions(); n != 0 {
			t.Errorf("%d questions", n)
		}
		line.Spoil(nil)
		c.up.add(gatecast.Record, 0)
		sleep(10 * time.Minute)
		if st := c.filled(t, 1); st.Through.IsZero() {
			t.Errorf("%+v", st)
		}
	})
}

func TestTheNoteOfASourceThatIsGoneGoesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		c := newCrew(newSite(dir, Options{}), dir)
		c.start(t, 0)
		defer func() { c.stop() }()
		sleep(time.Minute)
		c.sources.set(sourceName, nil)
		sleep(time.Minute)
		note, err := bucket.NewNotes(c.nodes[2], "note.").Look(t.Context(), sourceName)
		files, _ := os.ReadDir(c.opts.Dir)
		if note != nil || err != nil || len(files) > 0 {
			t.Errorf("left behind: %s, %v; %v", note, err, files)
		}
	})
}

// TestAStatementStaysTrueWhoeverLooks is the course of events of
// TestEachEventIsInTheJournalOnceAndNoStatementIsALie with three nodes. Instead of
// being killed the one that looks is followed by another, or by itself, and
// sometimes goes on for a while without knowing.
func TestAStatementStaysTrueWhoeverLooks(t *testing.T) {
	dir, runs := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		c := &chaos{dir: filepath.Join(dir, strconv.Itoa(runs))}
		c.draw(rt)
		synctest.Test(t, func(t *testing.T) { c.playCrew(t) }) // rapid must not stop a bubble
		if c.wrong != "" {
			rt.Fatal(c.wrong)
		}
	})
}

func (c *chaos) playCrew(t *testing.T) {
	c.prepare(t)
	crew := newCrew(c.site, c.dir)
	crew.start(t, 0)
	defer func() { c.stop() }()
	for _, s := range c.steps {
		switch s.what {
		case "kill":
			c.stop()
			crew.start(t, s.n%3)
		case "kill, file torn": // the former one does not know yet
			stop := c.stop
			crew.start(t, s.n%3)
			sleep(time.Duration(s.n%5) * time.Second)
			stop()
		default:
			c.step(s)
		}
		synctest.Wait()
		if c.check(); c.wrong != "" {
			c.wrong = fmt.Sprintf("after %+v: %s", s, c.wrong)
			return
		}
	}
	c.settle()
}

var _ Notes = (*bucket.Notes)(nil)

func TestNotesInFilesAreReadAgain(t *testing.T) {
	f := files{t.TempDir()}
	if b, err := f.Take(context.Background(), "hq"); b != nil || err != nil {
		t.Errorf("%s, %v", b, err)
	}
	if err := f.Write(context.Background(), "hq", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if b, err := f.Take(context.Background(), "hq"); string(b) != "1" || err != nil {
		t.Errorf("%s, %v", b, err)
	}
	for range 2 {
		if err := f.Forget(context.Background(), "hq"); err != nil {
			t.Error(err)
		}
	}
}
