package client

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
)

func TestACursorFileHoldsWhatWasSavedLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cursor")
	store := FileCursor(path)
	if p, ok, err := store.Load(t.Context()); ok || err != nil {
		t.Errorf("without a file: %v, %v, %v", p, ok, err)
	}
	for _, want := range []Position{{"E1", 1}, {"E\"2", 1 << 63}, {"E3", 0}} {
		if err := store.Save(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		got, ok, err := FileCursor(path).Load(t.Context())
		if err != nil || !ok || got != want {
			t.Errorf("got %v, %v, %v; want %v", got, ok, err, want)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("files left over: %v", left)
	}
}

// Whatever a crash or a disk makes of the file, it never becomes another
// position and never a fresh start.
func TestADamagedCursorFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cursor")
	store := FileCursor(path)
	want := Position{"E1", 41}
	if err := store.Save(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		p, ok, err := store.Load(t.Context())
		if err == nil && ok && p == want {
			return // such as the last line break
		}
		e, told := errors.AsType[*gatecast.Error](err)
		if ok || !told || e.Code != gatecast.Malformed || e.Remedy == "" {
			t.Errorf("%q: %v, %v, %v", text, p, ok, err)
		}
	}
	for n := range whole {
		try(whole[:n])
		for bit := range 8 {
			text := bytes.Clone(whole)
			text[n] ^= 1 << bit
			try(text)
		}
	}
	try(append(bytes.Clone(whole), whole...))
	try(bytes.Repeat([]byte(" "), 1<<20))
	try([]byte(`{}`))
	try([]byte(`null`))
}

// A save that was cut off has written to another file only.
func TestASaveThatFailsLeavesTheOldCursor(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cursor")
	want := Position{"E1", 41}
	if err := FileCursor(path).Save(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".cursor.123"), []byte(`{"epoch":"E1","s`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := FileCursor(path).Load(t.Context()); !ok || err != nil || got != want {
		t.Errorf("got %v, %v, %v", got, ok, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{filepath.Join(dir, "none", "cursor"), filepath.Join(dir, "taken")} {
		if err := FileCursor(bad).Save(t.Context(), want); err == nil {
			t.Errorf("saved to %s", bad)
		}
	}
	if _, _, err := FileCursor(filepath.Join(dir, "taken")).Load(t.Context()); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("loading a directory: %v", err)
	}
	var names []string
	left, _ := os.ReadDir(dir)
	for _, f := range left {
		names = append(names, f.Name())
	}
	if diff := cmp.Diff([]string{".cursor.123", "cursor", "taken"}, names); diff != "" {
		t.Error(diff)
	}
}

// diary is a store that remembers every save, and fails when told to.
type diary struct {
	mu    sync.Mutex
	saves []Position
	fail  error
}

func (d *diary) Load(context.Context) (Position, bool, error) { return Position{}, false, nil }

func (d *diary) Save(_ context.Context, p Position) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.saves = append(d.saves, p)
	return d.fail
}

func TestTheCursorIsSavedOnceInAWhileAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault(t, 1000)
		c := newClient(t, serve(t, sessions(t, v.serve)), quick)
		store := &diary{}
		for d, err := range c.Subscribe(t.Context(), Subscription{Cursor: store, Since: Earliest()}) {
			if err != nil {
				t.Fatal(err)
			}
			d.Ack()
			if d.Seq == 500 {
				pass(time.Second)
			}
			if d.Seq == 1000 {
				break
			}
		}
		if want := []Position{{"E1", 500}, {"E1", 1000}}; !slices.Equal(store.saves, want) {
			t.Errorf("saved %v, want %v", store.saves, want)
		}
	})
}

func TestACursorThatCannotBeSavedEndsTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVault(t, 1)
		c := newClient(t, serve(t, sessions(t, v.serve)), quick)
		full := errors.New("disk full")
		var last error
		for _, err := range c.Subscribe(t.Context(), Subscription{Cursor: &diary{fail: full}, Since: Earliest()}) {
			last = err
		}
		if !errors.Is(last, full) || errors.Is(last, context.Canceled) {
			t.Errorf("ended with %v", last)
		}
	})
}
