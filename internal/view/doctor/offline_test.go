package doctor

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gatecast/gatecast/internal/config"
)

func TestWithoutAServerItIsToldWhyNoneStarts(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	write := func(name, text string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("secret.key", "00", 0o644)
	write("journal/lock", "4711\n", 0o600)
	lock, err := os.Open(filepath.Join(dir, "journal", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	o := Options{Config: config.Default(), DataDir: dir, Version: "v9"}
	o.Config.Server.Listen = taken.Addr().String()
	o.Config.TLS.Cert, o.Config.TLS.Key = filepath.Join(dir, "none.pem"), filepath.Join(dir, "none.key")
	found := Offline(t.Context(), o).Findings
	want(t, found, "lock", worst, dir, "process 4711", "stop it")
	want(t, found, "listen", worst, taken.Addr().String(), "taken", "ss -ltnp")
	want(t, found, "secrets", worst, filepath.Join(dir, "secret.key"), "0644", "chmod 600")
	want(t, found, "data", risky, dir, "0750", "chmod 700")
	want(t, found, "certificate", worst, o.Config.TLS.Cert, "cannot be used", "tls.cert")
	want(t, found, "version", well, "", "gatecast v9", "")

	_, _ = lock.Close(), taken.Close()
	found = Offline(t.Context(), o).Findings
	want(t, found, "lock", well, dir, "no server uses", "")
	want(t, found, "listen", well, o.Config.Server.Listen, "is free", "")
	left, err := filepath.Glob(filepath.Join(dir, "journal", ".doctor-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("it leaves behind %q, %v", left, err)
	}
}

func TestADirectoryThatIsNotThereYetIsNotMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "data")
	found := Offline(t.Context(), Options{Config: config.Default(), DataDir: dir}).Findings
	want(t, found, "data", noted, dir, "not there yet", "server.data")
	for _, f := range found {
		if f.Check == "disk" && f.Level == worst {
			t.Errorf("%s: %s", f.Check, f.Text)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("it is there now: %v", err)
	}
}
