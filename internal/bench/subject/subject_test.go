package subject

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("SUBJECT_TEST_SERVER") != "" {
		pretendToServe()
	}
	goleak.VerifyTestMain(m)
}

// pretendToServe is the program that the tests start: it answers nothing, but
// leaves what a server leaves.
func pretendToServe() {
	arg := func(name string) string { return os.Args[slices.Index(os.Args, name)+1] }
	_ = os.WriteFile(filepath.Join(arg("--data"), "admin.token"), []byte("secret\n"), 0o600)
	_ = os.WriteFile(arg("--ready-file")+".new", []byte("http://127.0.0.1:1\n"), 0o600)
	_ = os.Rename(arg("--ready-file")+".new", arg("--ready-file"))
	for start := time.Now(); time.Since(start) < 20*time.Millisecond; { // uses some CPU time
	}
	_, _ = os.Stdin.Read(make([]byte, 1))
	select {}
}

func TestAServerThatIsStartedIsMeasuredAndKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what a process uses can be read on Linux only")
	}
	t.Setenv("SUBJECT_TEST_SERVER", "1")
	s, err := Start(t.Context(), Own{Program: os.Args[0], Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Token() != "secret" || s.Host() != "127.0.0.1:1" || !s.IsOwn() {
		t.Errorf("token %q, host %q", s.Token(), s.Host())
	}
	u, err := s.Usage(t.Context())
	if err != nil || u.CPU <= 0 || u.Resident < 1<<20 || u.Peak < u.Resident {
		t.Errorf("uses %+v, %v", u, err)
	}
	if n, err := s.OpenFiles(t.Context()); err != nil || n < 3 {
		t.Errorf("%d open files, %v", n, err)
	}
	pid := s.own.cmd.Process.Pid
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := usageOf(pid); err == nil {
		t.Error("the killed server still runs")
	}
	if err := s.Restart(t.Context()); err != nil || s.own.cmd.Process.Pid == pid {
		t.Errorf("no new process: %v", err)
	}
}

func TestAServerThatDoesNotStartSaysWhy(t *testing.T) {
	program := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho no such setting >&2\nexit 2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Own{Program: program, Data: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "no such setting") {
		t.Errorf("got %v", err)
	}
	if _, err := Start(t.Context(), Own{Program: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a program that is not there was started")
	}
}

func TestWhatAProcessUsesIsReadFromItsMetrics(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("# HELP x y\nprocess_cpu_seconds_total 12.5\nprocess_resident_memory_bytes 4.2e+07\nprocess_resident_memory_bytes_max 1\nprocess_open_fds 17\n"))
	}))
	defer srv.Close()
	u, err := Attach(srv.URL, "t").Usage(t.Context())
	if err != nil || u.CPU != 12500*time.Millisecond || u.Resident != 42_000_000 {
		t.Errorf("got %+v, %v", u, err)
	}
	if n, err := Attach(srv.URL, "t").OpenFiles(t.Context()); err != nil || n != 17 {
		t.Errorf("%d open files, %v", n, err)
	}
	if _, err := usageIn([]byte("go_goroutines 3\n")); gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("without the figures: %v", err)
	}
}

func TestTheAppsOfAMeasurementAreTakenAway(t *testing.T) {
	var calls []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls = append(calls, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		_, _ = w.Write([]byte(`{"app_key":"k","app_secret":"s"}`))
	}))
	defer srv.Close()
	s := Attach(srv.URL, "t")
	a, err := s.CreateApp(t.Context(), "bench", 5)
	if err != nil || a.Key != "k" || a.Secret != "s" {
		t.Fatalf("app %+v, %v", a, err)
	}
	s.Close()
	if want := []string{"POST /api/v1/apps Bearer t", "DELETE /api/v1/apps/k Bearer t"}; !slices.Equal(calls, want) {
		t.Errorf("the server was asked %q, want %q", calls, want)
	}
	if s.Kill() == nil || s.Restart(t.Context()) == nil {
		t.Error("a server of somebody else was killed")
	}
}

func TestTheAddressOfAServerHasAPort(t *testing.T) {
	for url, want := range map[string]string{
		"http://127.0.0.1:9000":  "127.0.0.1:9000",
		"https://gate.example":   "gate.example:443",
		"http://gate.example/":   "gate.example:80",
		"http://[::1]":           "[::1]:80",
		"https://[2001:db8::1]:": "[2001:db8::1]:",
	} {
		if got := Attach(url, "").Host(); got != want {
			t.Errorf("%s is dialled at %s, want %s", url, got, want)
		}
	}
}

func TestTheCertificateIsGoodForTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := writeCertificate(cert, key); err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		t.Error(err)
	}
	if _, err := exec.LookPath("openssl"); err == nil {
		if out, err := exec.Command("openssl", "x509", "-in", cert, "-noout", "-checkend", "3600").CombinedOutput(); err != nil {
			t.Errorf("openssl: %s", out)
		}
	}
}
