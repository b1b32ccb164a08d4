package photo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gatecast/gatecast"
)

func counted(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	return testutil.ToFloat64(c)
}

// stock fills a store: a photo of each type an hour, the oldest first.
func stock(t *testing.T, s *Store, c *clock, n int) (all []string) {
	t.Helper()
	for i := range n {
		content := jpegOf(t, 8, 8, i)
		keep(t, s, "avatar", content)
		all = append(all, keep(t, s, "signAvatar", content))
		c.forward(time.Hour)
	}
	return all
}

// left returns how many photos of a type there are, and whether they are the
// newest.
func left(t *testing.T, s *Store, typ gatecast.PhotoType, all []string) int {
	t.Helper()
	n := 0
	for _, id := range all {
		_, err := os.Stat(s.file(gatecast.Photo{Type: typ, ID: id}))
		switch {
		case err == nil:
			n++
		case n > 0:
			t.Errorf("a %v photo is gone that is newer than one that stayed", typ)
		}
	}
	return n
}

func TestEachTypeIsKeptForItsTime(t *testing.T) {
	c := newClock()
	s := openStore(t, Options{Registered: 10 * time.Hour, Captured: 5 * time.Hour, Now: c.now})
	all := stock(t, s, c, 20)
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, p := left(t, s, gatecast.Registered, all), left(t, s, gatecast.Captured, all); r != 10 || p != 5 {
		t.Errorf("%d registered and %d captured photos are left, want 10 and 5", r, p)
	}
	if n := counted(t, s.metrics.removed.WithLabelValues("captured", "age")); n != 15 {
		t.Errorf("%v captured ones were counted", n)
	}
	if got := s.bytes.Load(); got != 15*block {
		t.Errorf("%d bytes are counted, want those of 15 files", got)
	}
}

func TestWithoutALifetimePhotosStay(t *testing.T) {
	c := newClock()
	s := openStore(t, Options{Now: c.now})
	all := stock(t, s, c, 3)
	c.forward(20 * 365 * 24 * time.Hour)
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, p := left(t, s, gatecast.Registered, all), left(t, s, gatecast.Captured, all); r != 3 || p != 3 {
		t.Errorf("%d and %d are left", r, p)
	}
}

func TestForWantOfRoomTheOldestCapturedPhotosGoFirst(t *testing.T) {
	for _, v := range []struct{ room, registered, captured int }{
		{40, 20, 20}, // exactly full
		{39, 20, 15}, // a tenth is freed
		{25, 20, 2},
		{20, 18, 0},
		{10, 9, 0},
	} {
		c := newClock()
		s := openStore(t, Options{MaxSize: block, MaxBytes: int64(v.room) * block, Now: c.now})
		s.opts.MaxBytes *= 100 // while it is filled
		all := stock(t, s, c, 20)
		s.opts.MaxBytes /= 100
		if err := s.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r, p := left(t, s, gatecast.Registered, all), left(t, s, gatecast.Captured, all); r != v.registered || p != v.captured {
			t.Errorf("room for %d: %d registered and %d captured photos are left, want %d and %d", v.room, r, p, v.registered, v.captured)
		}
	}
}

func TestASmallCopyGoesWithItsPhoto(t *testing.T) {
	c := newClock()
	s := openStore(t, Options{Captured: time.Hour, Thumb: 20, Now: c.now})
	id := keep(t, s, "signAvatar", jpegOf(t, 100, 100, 1))
	c.forward(2 * time.Hour)
	f, _, err := s.Thumbnail(t.Context(), captured(id))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := files(t, s.opts.Dir); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func TestHalfFilesOfACrashAreRemovedAndOthersAreLeftAlone(t *testing.T) {
	c := newClock()
	s := openStore(t, Options{Captured: time.Hour, Now: c.now})
	id := keep(t, s, "signAvatar", jpegOf(t, 8, 8, 1))
	shard := filepath.Dir(s.file(captured(id)))
	for name, age := range map[string]time.Duration{".123.tmp": 2 * time.Hour, ".456.tmp": time.Minute, "notes.txt": 1000 * time.Hour} {
		file := filepath.Join(shard, name)
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, c.now().Add(-age), c.now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{".123.tmp": false, ".456.tmp": true, "notes.txt": true, id: true} {
		if _, err := os.Stat(filepath.Join(shard, name)); (err == nil) != want {
			t.Errorf("%s is there: %v", name, err == nil)
		}
	}
}

func TestAPhotoThatComesInAgainWhileItIsSweptIsThereAfterwards(t *testing.T) {
	dir := t.TempDir()
	old, fresh := newClock(), newClock()
	fresh.forward(48 * time.Hour)
	for round := range 20 {
		var contents [][]byte
		before := openStore(t, Options{Dir: dir, Now: old.now})
		for i := range 20 {
			contents = append(contents, jpegOf(t, 8, 8, 100*round+i))
			p := gatecast.Photo{Type: gatecast.Captured, ID: gatecast.PhotoID(contents[i])}
			if err := before.Put(p, contents[i]); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(before.file(p), old.now(), old.now()); err != nil {
				t.Fatal(err)
			}
		}
		s := openStore(t, Options{Dir: dir, Captured: 24 * time.Hour, Now: fresh.now})
		var both sync.WaitGroup
		both.Go(func() {
			if err := s.sweep(t.Context()); err != nil {
				t.Error(err)
			}
		})
		for _, content := range contents {
			id := keep(t, s, "signAvatar", content)
			defer func() {
				if !s.Has(captured(id)) {
					t.Error("a photo was swept away that had come in again")
				}
			}()
		}
		both.Wait()
	}
}

func TestTheRoomIsMadeBeforeMuchMoreIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const room = 40
		s := openStore(t, Options{MaxSize: block, MaxBytes: room * block})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		refused := 0
		for i := range 10 * room {
			if _, err := s.Keep("signAvatar", jpegOf(t, 8, 8, i)); err != nil {
				if gatecast.CodeOf(err) != gatecast.Unavailable {
					t.Fatal(err)
				}
				refused++
			}
			if got := s.bytes.Load(); got > room*block*5/4 {
				t.Fatalf("%d bytes are taken", got)
			}
			<-time.After(2 * time.Second)
		}
		if refused > 0 {
			t.Errorf("%d photos were refused, with ten seconds between two sweeps at most", refused)
		}
		cancel()
		<-done
		if n := len(files(t, s.opts.Dir)); n > room*5/4 {
			t.Errorf("%d files are there", n)
		}
	})
}

func TestWhenNothingCanBeRemovedNothingIsTakenAnyMore(t *testing.T) {
	s := openStore(t, Options{MaxSize: block, MaxBytes: 8 * block})
	taken := 0
	for i := range 20 {
		if _, err := s.Keep("signAvatar", jpegOf(t, 8, 8, i)); err == nil {
			taken++
		} else if gatecast.CodeOf(err) != gatecast.Unavailable {
			t.Fatal(err)
		}
	}
	if taken != 10 {
		t.Errorf("%d were taken, want those of the room and a quarter more", taken)
	}
	if id := fmt.Sprintf("%024d", 0); s.Has(captured(id)) {
		t.Error("it has what it never got")
	}
}

func TestAPhotoThatCameInBetweenTheDecisionAndTheDeedStays(t *testing.T) {
	c := newClock()
	s := openStore(t, Options{Captured: time.Hour, Now: c.now})
	content := jpegOf(t, 8, 8, 1)
	id := keep(t, s, "signAvatar", content)
	c.forward(2 * time.Hour)
	edge := s.expired()[gatecast.Captured]
	keep(t, s, "signAvatar", content)
	gone, err := s.remove(s.file(captured(id)), edge)
	if got, _ := read(t, s, captured(id)); gone || err != nil || got == nil {
		t.Errorf("gone: %v, %v, %d bytes are left", gone, err, len(got))
	}
	c.forward(2 * time.Hour)
	if gone, err = s.remove(s.file(captured(id)), s.expired()[gatecast.Captured]); !gone || err != nil {
		t.Errorf("later it stays, %v", err)
	}
}
