package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is the longest any single wait of these tests may take. It bounds
// a hang; nothing is measured with it.
const patience = 5 * time.Minute

// binary is the path of the program under test, and classes that of the stock
// clients in Java, empty without a compiler. TestMain builds both once.
var binary, classes string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gatecast-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "gatecast")
	args := []string{"build", "-o", binary}
	if racing() {
		args = append(args, "-race") // a race inside the server then fails the test that met it
	}
	if out, err := exec.Command("go", append(args, "../cmd/gatecast")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the server: %v\n%s", err, out)
		return 1
	}
	if _, err := exec.LookPath("javac"); err == nil {
		classes = filepath.Join(dir, "classes")
		if out, err := exec.Command("javac", "-d", classes, "stock/java/Client.java", "stock/java/Receiver.java").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "compile the stock clients: %v\n%s", err, out)
			return 1
		}
	}
	return m.Run()
}

// racing reports whether this test binary was built with the race detector.
func racing() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// missing skips a test that this machine cannot run and says why. In CI the
// machine has to be able to, so there it is a failure.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("this test must run in CI, but "+format, args...)
	}
	t.Skipf(format+" (make deps installs what the tests need)", args...)
}

// rounds returns how often a cruel test goes round: short times GATECAST_SOAK.
func rounds(short int) int {
	if n, err := strconv.Atoi(os.Getenv("GATECAST_SOAK")); err == nil && n > 0 {
		return short * n
	}
	return short
}

// seeded returns the random source of a test and prints how to repeat it.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("GATECAST_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("seed %d: repeat with GATECAST_SEED=%d", seed, seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// within returns a context that ends with the test or after patience.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually asks again and again until ok holds. It is for states of another
// process that tell nobody when they change.
func eventually(t *testing.T, what string, ok func(context.Context) bool) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never happened: %s", what)
		}
	}
}

// server is one running gatecast process.
type server struct {
	cmd    *exec.Cmd
	data   string
	base   string        // "http://127.0.0.1:PORT"
	token  string        // the admin's
	output *output       // its standard error so far
	exited chan struct{} // closed after Wait returned; then cmd.ProcessState is set
}

// start runs "gatecast serve" on the data directory and returns when it says
// that it is ready. The test's end kills whatever still runs.
func start(t *testing.T, data string, args ...string) *server {
	t.Helper()
	s := spawn(t, data, args...)
	select {
	case <-s.output.listening:
	case <-s.exited:
		t.Fatalf("the server ended instead of starting: %v\n%s", s.cmd.ProcessState, s.output)
	case <-within(t).Done():
		t.Fatalf("the server never said where it listens:\n%s", s.output)
	}
	s.base = "http://" + s.output.address
	eventually(t, "/readyz answers 200", func(ctx context.Context) bool {
		status, _, err := s.get(ctx, "/readyz")
		return err == nil && status == http.StatusOK
	})
	token, err := os.ReadFile(filepath.Join(data, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	s.token = strings.TrimSpace(string(token))
	return s
}

// unhurried are settings of every server here: neither a stop nor a disk has to
// be as quick as an operator may want them. What a test gives itself comes later
// and counts.
var unhurried = []string{"--server.shutdown_timeout=2m", "--ingest.max_wait=1m", "--ingest.store_timeout=2m"}

// freePort returns a port for a server that is to come back where it was. It is
// below those that the system gives to outgoing connections, of which one may
// have it as soon as it is free.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := fmt.Sprint(10_000 + rand.IntN(20_000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close() // nothing was accepted
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

// spawn starts the process and returns at once.
func spawn(t *testing.T, data string, args ...string) *server {
	t.Helper()
	s := &server{data: data, output: newOutput(), exited: make(chan struct{})}
	s.cmd = exec.Command(binary, slices.Concat([]string{"serve", "--listen", "127.0.0.1:0", "--data", data}, unhurried, args)...)
	s.cmd.Stderr = s.output
	s.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GATECAST_") })
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test run that is killed leaves no server behind
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // ProcessState tells
		_ = s.output.lines.Close()
		close(s.exited)
	}()
	t.Cleanup(func() {
		s.kill(t)
		if text := s.output.String(); t.Failed() {
			t.Logf("the end of a server's standard error:\n%s", text[max(0, len(text)-3000):])
		}
	})
	return s
}

// kill ends the process as kill -9 does, and waits until it is gone.
func (s *server) kill(t *testing.T) {
	t.Helper()
	_ = s.cmd.Process.Kill() // it may have ended already
	<-s.exited
	if text := s.output.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic: ") {
		t.Errorf("the server's standard error:\n%s", text)
	}
}

// stop asks the server to end as an init system does and waits for it. Any
// exit status but 0 fails the test.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.wait(t)
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d after SIGTERM, want 0; standard error:\n%s", code, s.output)
	}
}

// wait returns when the process has ended by itself.
func (s *server) wait(t *testing.T) {
	t.Helper()
	select {
	case <-s.exited:
	case <-within(t).Done():
		t.Fatalf("the server does not end; standard error:\n%s", s.output)
	}
}

// get returns the status and the body of a page that needs no token.
func (s *server) get(ctx context.Context, path string) (int, string, error) {
	return s.do(ctx, http.MethodGet, path, "", nil)
}

// do sends one request with the admin's token.
func (s *server) do(ctx context.Context, method, path, contentType string, body []byte) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, string(answer), err
}

// app is a consumer's key and secret.
type app struct {
	Key    string `json:"app_key"`
	Secret string `json:"app_secret"`
}

// createApp makes an app over the API.
func (s *server) createApp(t *testing.T) app {
	t.Helper()
	return s.createAppFor(t, "end-to-end")
}

// createAppFor makes an app by the name of its consumer.
func (s *server) createAppFor(t *testing.T, name string) app {
	t.Helper()
	body := fmt.Appendf(nil, `{"name":%q}`, name)
	status, answer, err := s.do(within(t), http.MethodPost, "/api/v1/apps", "application/json", body)
	if err != nil || status != http.StatusCreated {
		t.Fatalf("create an app: status %d, error %v, body %s", status, err, answer)
	}
	var a app
	if err := json.Unmarshal([]byte(answer), &a); err != nil || a.Key == "" || a.Secret == "" {
		t.Fatalf("no key and secret in %s (%v)", answer, err)
	}
	return a
}

// receipt is the answer to a successful POST of events.
type receipt struct {
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"`
}

// errRefused is a POST that the server answered, but not with success.
var errRefused = errors.New("refused")

// post hands events to the server. An error that is not errRefused leaves
// open whether they were stored.
func (s *server) post(ctx context.Context, contentType string, body []byte) (receipt, error) {
	status, answer, err := s.do(ctx, http.MethodPost, "/api/v1/events", contentType, body)
	if err != nil {
		return receipt{}, err
	}
	if status < 200 || status > 299 {
		return receipt{}, fmt.Errorf("%w with %d: %s", errRefused, status, answer)
	}
	var r receipt
	if err := json.Unmarshal([]byte(answer), &r); err != nil {
		return receipt{}, fmt.Errorf("%w: no receipt: %s", errRefused, answer)
	}
	return r, nil
}

// output collects what a process writes to standard error, and finds in it
// the address that the process listens on.
type output struct {
	listening chan struct{} // closed once address is known
	address   string        // written before listening is closed

	mu    sync.Mutex // guards text
	text  bytes.Buffer
	lines *io.PipeWriter
}

func newOutput() *output {
	r, w := io.Pipe()
	o := &output{listening: make(chan struct{}), lines: w}
	go o.scan(r)
	return o
}

// scan looks for the first URL of a server in what passes through. A log may
// name other addresses before: those of subscribers.
func (o *output) scan(r *io.PipeReader) {
	address := regexp.MustCompile(`url\W+http://(127\.0\.0\.1:[1-9][0-9]*)`)
	in := bufio.NewScanner(r)
	for in.Scan() {
		if found := address.FindStringSubmatch(in.Text()); found != nil {
			o.address = found[1]
			close(o.listening)
			break
		}
	}
	r.CloseWithError(io.EOF) // whatever comes later is only collected
}

// Write never fails: a server must not die of its log.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	o.text.Write(p)
	o.mu.Unlock()
	_, _ = o.lines.Write(p) // fails once the address is found
	return len(p), nil
}

// String returns everything written so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
