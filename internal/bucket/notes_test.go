package bucket_test

import (
	"errors"
	"testing"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
)

func take(t *testing.T, n *bucket.Notes, want string) {
	t.Helper()
	if text, err := n.Take(t.Context(), "x"); err != nil || string(text) != want || (text == nil) != (want == "") {
		t.Errorf("took %q, %v; want %q", text, err, want)
	}
}

func write(t *testing.T, n *bucket.Notes, text string) {
	t.Helper()
	if err := n.Write(t.Context(), "x", []byte(text)); err != nil {
		t.Error(err)
	}
}

func look(t *testing.T, n *bucket.Notes, want string) {
	t.Helper()
	if text, err := n.Look(t.Context(), "x"); err != nil || string(text) != want {
		t.Errorf("there is %q, %v; want %q", text, err, want)
	}
}

func TestANoteIsWhatItsLatestHolderWrote(t *testing.T) {
	m := &bucket.Mem{}
	a, b := bucket.NewNotes(m, "note."), bucket.NewNotes(m, "note.")
	look(t, a, "")
	take(t, a, "")
	look(t, b, "")
	write(t, a, "1")
	write(t, a, "2")
	look(t, b, "2")
	take(t, b, "2")
	err := a.Write(t.Context(), "x", []byte("3"))
	if gatecast.CodeOf(err) != gatecast.Conflict {
		t.Errorf("a former holder: %v", err)
	}
	look(t, a, "2")
	write(t, b, "4")
	take(t, a, "4")
	write(t, a, "5")
	look(t, b, "5")
}

func TestANoteThatIsForgottenBeginsAnew(t *testing.T) {
	m := &bucket.Mem{}
	a := bucket.NewNotes(m, "note.")
	take(t, a, "")
	write(t, a, "1")
	for range 2 {
		if err := a.Forget(t.Context(), "x"); err != nil {
			t.Error(err)
		}
	}
	look(t, a, "")
	take(t, a, "")
	write(t, a, "2")
	look(t, a, "2")
	if all := buckettest.Entries(t, m); len(all) != 1 || all[0].Key != "note.x" {
		t.Errorf("there is %v", all)
	}
}

func TestANoteOfWhichNothingWasHeardIsWrittenOverByItsHolderAlone(t *testing.T) {
	silence := errors.New("no answer")
	m := &bucket.Mem{}
	l := &buckettest.Line{Bucket: m}
	a, b := bucket.NewNotes(l, ""), bucket.NewNotes(m, "")
	take(t, a, "")
	for range 3 {
		l.Spoil(func(r buckettest.Request) (f buckettest.Fault) {
			if r.Op == "put" {
				f.Unsaid = silence
			}
			return f
		})
		if err := a.Write(t.Context(), "x", []byte("1")); !errors.Is(err, silence) {
			t.Fatal(err)
		}
		l.Spoil(nil)
		look(t, b, "1")
		write(t, a, "2")
		look(t, b, "2")
	}
	take(t, b, "2")
	write(t, b, "3")
	if err := a.Write(t.Context(), "x", []byte("4")); gatecast.CodeOf(err) != gatecast.Conflict {
		t.Errorf("a former holder: %v", err)
	}
	look(t, b, "3")
}

// TestAFormerHoldersNoteComesToNothing has it arrive after the next one has taken
// the note.
func TestAFormerHoldersNoteComesToNothing(t *testing.T) {
	m := &bucket.Mem{}
	l := &buckettest.Line{Bucket: m}
	a, b := bucket.NewNotes(l, ""), bucket.NewNotes(m, "")
	take(t, a, "")
	write(t, a, "1")
	sent, late, done := make(chan struct{}), make(chan struct{}), make(chan error)
	l.Spoil(func(r buckettest.Request) (f buckettest.Fault) {
		if r.Op == "put" {
			close(sent)
			f.Late = late
		}
		return f
	})
	go func() { done <- a.Write(t.Context(), "x", []byte("2")) }()
	<-sent
	take(t, b, "1")
	l.Spoil(nil)
	close(late)
	if err := <-done; gatecast.CodeOf(err) != gatecast.Conflict {
		t.Errorf("the late write: %v", err)
	}
	look(t, b, "1")
	write(t, b, "3")
}

func TestANoteThatDoesNotKeepStillIsNotTaken(t *testing.T) {
	m := &bucket.Mem{}
	l := &buckettest.Line{Bucket: m}
	l.Spoil(func(r buckettest.Request) buckettest.Fault {
		if r.Op == "put" {
			if _, err := m.Set(t.Context(), r.Key, nil); err != nil {
				t.Error(err)
			}
		}
		return buckettest.Fault{}
	})
	if _, err := bucket.NewNotes(l, "").Take(t.Context(), "x"); gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("taken: %v", err)
	}
	lost := errors.New("lost")
	l.Spoil(func(buckettest.Request) buckettest.Fault { return buckettest.Fault{Lost: lost} })
	n := bucket.NewNotes(l, "")
	_, taken := n.Take(t.Context(), "x")
	_, looked := n.Look(t.Context(), "x")
	for what, err := range map[string]error{"take": taken, "look": looked, "write": n.Write(t.Context(), "x", nil), "forget": n.Forget(t.Context(), "x")} {
		if !errors.Is(err, lost) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
