package registry

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestJetStream(t *testing.T) { runSuite(t, jetStreamCluster) }

// jetStreamCluster is one server on disk, to which every node has a connection
// of its own.
func jetStreamCluster(t *testing.T) cluster {
	s := buckettest.Server(t, t.TempDir(), 0)
	keyFile := filepath.Join(t.TempDir(), "secret.key")
	return cluster{func(t *testing.T, o Options) *Registry {
		o.KeyFile = keyFile
		o.Timeout = time.Minute // a busy disk may take its time
		r, err := Open(t.Context(), buckettest.Connect(t, s), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}}
}

func TestEverythingSurvivesARestart(t *testing.T) {
	dir, keyFile := t.TempDir(), filepath.Join(t.TempDir(), "secret.key")
	s := buckettest.Server(t, dir, 0)
	r, err := Open(t.Context(), buckettest.Connect(t, s), Options{KeyFile: keyFile})
	if err != nil {
		t.Fatal(err)
	}
	a := create(t, r, "gate")
	gone := create(t, r, "gone")
	if a, err = r.RotateApp(t.Context(), a.Key, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteApp(t.Context(), gone.Key); err != nil {
		t.Fatal(err)
	}
	_, plain, err := r.CreateToken(t.Context(), "doors", []auth.Scope{auth.Ingest})
	if err != nil {
		t.Fatal(err)
	}
	tokens := r.Tokens()
	r.Close()
	buckettest.Stop(s)

	r, err = Open(t.Context(), buckettest.Connect(t, buckettest.Server(t, dir, 0)), Options{KeyFile: keyFile})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if diff := cmp.Diff([]*gatecast.App{a}, r.Apps()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(tokens, r.Tokens()); diff != "" {
		t.Error(diff)
	}
	if p, err := r.PrincipalByTokenHash(t.Context(), auth.HashToken(plain)); err != nil || p.Name != "doors" {
		t.Errorf("principal %+v, %v", p, err)
	}
	create(t, r, "gone") // the deleted app's name is free
	_, err = r.CreateApp(t.Context(), gatecast.AppSpec{Name: "gate"})
	wantCode(t, err, gatecast.Conflict, "/name")
}

func TestTheKeyFileIsPrivateAndMadeOnce(t *testing.T) {
	js := buckettest.Connect(t, buckettest.Server(t, t.TempDir(), 0))
	path := filepath.Join(t.TempDir(), "secret.key")
	open := func() error {
		r, err := Open(t.Context(), js, Options{KeyFile: path})
		if err == nil {
			r.Close()
		}
		return err
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	before := read(t, path)
	if err := open(); err != nil || read(t, path) != before {
		t.Errorf("a second start: %v, key changed: %v", err, read(t, path) != before)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o666} {
		chmod(t, path, mode)
		refused(t, open(), "chmod 600 "+path)
	}
	chmod(t, path, 0o400)
	if err := open(); err != nil {
		t.Errorf("a key file of mode 0400: %v", err)
	}
}

func TestAMissingWrongOrDamagedKeyFileIsToldWithItsRemedy(t *testing.T) {
	js := buckettest.Connect(t, buckettest.Server(t, t.TempDir(), 0))
	path := filepath.Join(t.TempDir(), "secret.key")
	r, err := Open(t.Context(), js, Options{KeyFile: path})
	if err != nil {
		t.Fatal(err)
	}
	a, id := create(t, r, "gate"), r.seal.id
	r.Close()
	good := read(t, path)
	open := func() error {
		r, err := Open(t.Context(), js, Options{KeyFile: path})
		if err == nil {
			r.Close()
		}
		return err
	}
	remove(t, path)
	refused(t, open(), "restore the file with the id "+id)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a new key was made beside the lost one: %v", err)
	}
	write(t, path, strings.Repeat("0", 64))
	refused(t, open(), "restore the file with the id "+id)
	for _, text := range []string{"", good[:63], good + "00", strings.Repeat("z", 64)} {
		write(t, path, text)
		refused(t, open(), "restore it from a backup")
	}
	refused(t, func() error { _, err := Open(t.Context(), js, Options{}); return err }(), "")
	write(t, path, good)
	r, err = Open(t.Context(), js, Options{KeyFile: path})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, _ := r.App(a.Key); !cmp.Equal(a, got) {
		t.Error(cmp.Diff(a, got))
	}
}

func TestASecondNodeWithoutTheKeyIsRefusedFromTheStart(t *testing.T) {
	s := buckettest.Server(t, t.TempDir(), 0)
	first, err := Open(t.Context(), buckettest.Connect(t, s), Options{KeyFile: filepath.Join(t.TempDir(), "secret.key")})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, err = Open(t.Context(), buckettest.Connect(t, s), Options{KeyFile: filepath.Join(t.TempDir(), "secret.key")})
	refused(t, err, "copy it from another node")
}

func TestADamagedAppLeavesTheOthersAlone(t *testing.T) {
	js := buckettest.Connect(t, buckettest.Server(t, t.TempDir(), 0))
	r, err := Open(t.Context(), js, Options{KeyFile: filepath.Join(t.TempDir(), "secret.key")})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a, b := create(t, r, "a"), create(t, r, "b")
	e, err := r.store.Get(t.Context(), appEntry+a.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{`{`, `{"v":2}`, strings.Replace(string(e.Value), a.Key, b.Key, 1)} {
		if e.Rev, err = r.store.Put(t.Context(), e.Key, []byte(value), e.Rev); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the damage is noticed", func() bool { _, ok := r.App(a.Key); return !ok })
		if got, _ := r.App(b.Key); !cmp.Equal(b, got) {
			t.Error(cmp.Diff(b, got))
		}
		if e.Rev, err = r.store.Put(t.Context(), e.Key, e.Value, e.Rev); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the app is back", func() bool { _, ok := r.App(a.Key); return ok })
	}
	if _, err = r.store.Put(t.Context(), e.Key, []byte(`{`), e.Rev); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteApp(t.Context(), a.Key); err != nil {
		t.Errorf("a damaged app cannot be deleted: %v", err)
	}
	create(t, r, "a")
}

func TestALostServerLeavesTheLastSnapshotInForce(t *testing.T) {
	s := buckettest.Server(t, t.TempDir(), 0)
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(t.Context(), js, Options{KeyFile: filepath.Join(t.TempDir(), "secret.key")})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a := create(t, r, "gate")
	nc.Close()
	eventually(t, "the loss is noticed", func() bool { return r.Healthy() != nil })
	wantCode(t, r.Healthy(), gatecast.Unavailable, "")
	if got, ok := r.App(a.Key); !ok || !cmp.Equal(a, got) {
		t.Error(cmp.Diff(a, got))
	}
	_, err = r.CreateApp(t.Context(), gatecast.AppSpec{Name: "other"})
	wantCode(t, err, gatecast.Unavailable, "")
	wantCode(t, r.DeleteApp(t.Context(), a.Key), gatecast.Unavailable, "")
}

func refused(t *testing.T, err error, remedy string) {
	t.Helper()
	if gatecast.CodeOf(err) != gatecast.Invalid || !strings.Contains(err.Error(), remedy) {
		t.Errorf("error = %v, want one that says %q", err, remedy)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
