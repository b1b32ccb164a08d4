package app

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"go.uber.org/goleak"

	"github.com/gatecast/gatecast/internal/config"
	"github.com/gatecast/gatecast/internal/source/sim"
	"github.com/gatecast/gatecast/senselink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// trial is a whole server in this process.
type trial struct {
	t    testing.TB
	info Info
	http *http.Client
	stop func() error // ends it as SIGTERM does
}

func start(t testing.TB, o Options, change func(*config.Config)) *trial {
	t.Helper()
	cfg := config.Default()
	cfg.Server.Listen = "127.0.0.1:0"
	cfg.Server.Data = filepath.Join(t.TempDir(), "data")
	cfg.Server.DrainSpread = 0
	change(&cfg)
	ready := make(chan Info, 1)
	o.Ready = func(i Info) { ready <- i }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, o) }()
	r := &trial{t: t, http: &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the certificate is made by the test
	}}}
	r.stop = sync.OnceValue(func() error {
		r.http.CloseIdleConnections()
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = r.stop() })
	select {
	case r.info = <-ready:
	case err := <-ended:
		t.Fatalf("the server did not start: %v", err)
	}
	return r
}

// do sends a request with a token ("" for none) and returns status and body.
func (r *trial) do(method, path, token, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.info.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// connect makes an app over the API and dials as it.
func (r *trial) connect() *wsPeer {
	r.t.Helper()
	const key, secret = "27e1ff7e60f58b4b", "e30af86f8f4e75d128ba4288597dea3c"
	status, body := r.do("POST", "/api/v1/apps", r.info.AdminToken, `{"name":"desk","app_key":"`+key+`","app_secret":"`+secret+`"}`)
	if status != http.StatusCreated {
		r.t.Fatalf("creating an app: %d %s", status, body)
	}
	ts := strconv.FormatInt(time.Now().UnixMilli(), 10)
	url := "ws" + strings.TrimPrefix(r.info.URL, "http") +
		senselink.Path(senselink.Credentials{AppKey: key, Timestamp: ts, Sign: senselink.Sign(ts, secret)})
	d := ws.Dialer{TLSConfig: &tls.Config{InsecureSkipVerify: true}}
	conn, early, _, err := d.Dial(r.t.Context(), url)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute)) // ends a test that hangs
	p := &wsPeer{t: r.t, conn: conn}
	if early != nil { // frames that came with the handshake's answer
		p.conn = struct {
			io.Reader
			io.Writer
		}{early, conn}
	}
	return p
}

type wsPeer struct {
	t    testing.TB
	conn io.ReadWriter
}

func (p *wsPeer) expect(want string) {
	p.t.Helper()
	got, err := wsutil.ReadServerText(p.conn)
	if err != nil {
		p.t.Fatal(err)
	}
	if string(got) != want {
		p.t.Fatalf("got  %s\nwant %s", got, want)
	}
}

const event = `{"eventType":30000,"messageId":"m1","data":{"id":7,"signTime":1569725174,"signDate":"2019-09-29","sn":"SPS-1"}}`

func TestEventPostedIsPushedToAConnectedClient(t *testing.T) {
	certs := t.TempDir()
	cert, key := filepath.Join(certs, "c.pem"), filepath.Join(certs, "k.pem")
	writePair(t, cert, key, 1)
	for name, change := range map[string]func(*config.Config){
		"plain": func(*config.Config) {},
		"TLS":   func(c *config.Config) { c.TLS.Cert, c.TLS.Key = cert, key },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, Options{}, change)
			p := r.connect()
			p.expect(senselink.Connected)
			status, body := r.do("POST", "/api/v1/events", r.info.AdminToken, event)
			if status != http.StatusOK || body != `{"accepted":1,"duplicates":0,"first":1,"last":1}`+"\n" {
				t.Fatalf("posting an event: %d %s", status, body)
			}
			p.expect(`{"code":30000,"desc":"","message":"push record","data":{"id":7,"signTime":1569725174,"signDate":"2019-09-29","sn":"SPS-1"}}`)
		})
	}
}

func TestStopClosesEachSocketWith1012AndReturnsNil(t *testing.T) {
	r := start(t, Options{}, func(*config.Config) {})
	p := r.connect()
	p.expect(senselink.Connected)
	ended := make(chan error)
	go func() { ended <- r.stop() }()
	for {
		//lint:ignore SA1019 the peer is the one under test
		f, err := ws.ReadFrame(p.conn)
		if err != nil {
			t.Fatalf("the socket ended without a close frame: %v", err)
		}
		if f.Header.OpCode != ws.OpClose {
			continue
		}
		if code, reason := ws.ParseCloseFrameData(f.Payload); code != 1012 {
			t.Errorf("closed with %d %q, want 1012", code, reason)
		}
		if err := ws.WriteFrame(p.conn, ws.MaskFrame(f)); err != nil {
			t.Fatal(err)
		}
		break
	}
	if err := <-ended; err != nil {
		t.Errorf("Run returned %v after a stop that was asked for", err)
	}
}

func TestWhatWasStoredIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	at := func(c *config.Config) { c.Server.Data = dir }
	first := start(t, Options{}, at)
	if status, body := first.do("POST", "/api/v1/events", first.info.AdminToken, event); status != http.StatusOK {
		t.Fatalf("posting an event: %d %s", status, body)
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	second := start(t, Options{}, at)
	if second.info.AdminToken != first.info.AdminToken {
		t.Error("the admin token changed with a restart")
	}
	if _, body := second.do("POST", "/api/v1/events", second.info.AdminToken, event); !strings.Contains(body, `"duplicates":1`) {
		t.Errorf("the same event after a restart gave %s, want a duplicate", body)
	}
	if _, body := second.do("GET", "/api/v1/status", second.info.AdminToken, ""); !strings.Contains(body, `"last":1`) {
		t.Errorf("status %s, want the one event", body)
	}
}

func TestSecondServerOnTheSameDataIsRefused(t *testing.T) {
	dir := t.TempDir()
	start(t, Options{}, func(c *config.Config) { c.Server.Data = dir })
	cfg := config.Default()
	cfg.Server.Listen, cfg.Server.Data = "127.0.0.1:0", dir
	err := Run(t.Context(), cfg, Options{})
	if err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("a second server got %v, want to hear who uses the directory", err)
	}
}

func TestReadinessSaysWhyNot(t *testing.T) {
	r := start(t, Options{}, func(c *config.Config) { c.Journal.LowDisk = 1 << 62 })
	status, body := r.do("GET", "/readyz", "", "")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "journal: ") {
		t.Errorf("readiness on a full disk: %d %s", status, body)
	}
	if status, _ := r.do("GET", "/healthz", "", ""); status != http.StatusOK {
		t.Errorf("liveness on a full disk: %d, want 200: a restart would not help", status)
	}
	status, body = r.do("POST", "/api/v1/events", r.info.AdminToken, event)
	if status != http.StatusServiceUnavailable {
		t.Errorf("an event on a full disk: %d %s, want 503", status, body)
	}
}

func TestMetricsNeedATokenWhereTheyAreNotPublic(t *testing.T) {
	r := start(t, Options{}, func(c *config.Config) { c.Metrics.Public = false })
	if status, _ := r.do("GET", "/metrics", "", ""); status != http.StatusUnauthorized {
		t.Errorf("status %d without a token, want 401", status)
	}
	if status, body := r.do("GET", "/metrics", r.info.AdminToken, ""); status != http.StatusOK || !strings.Contains(body, "gatecast_websocket_connections") {
		t.Errorf("status %d with a token", status)
	}
}

func TestSimulatedEventsComeInByTheSameDoor(t *testing.T) {
	r := start(t, Options{Simulate: &sim.Options{Rate: 500}}, func(*config.Config) {})
	p := r.connect()
	p.expect(senselink.Connected)
	got, err := wsutil.ReadServerText(p.conn)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(got), `{"code":30`) {
		t.Errorf("got %s, want a push", got)
	}
}

func TestAddressThatIsTakenIsToldBeforeAnythingIsMade(t *testing.T) {
	r := start(t, Options{}, func(*config.Config) {})
	cfg := config.Default()
	cfg.Server.Listen = strings.TrimPrefix(r.info.URL, "http://")
	cfg.Server.Data = filepath.Join(t.TempDir(), "data")
	err := Run(t.Context(), cfg, Options{})
	if err == nil || !strings.Contains(err.Error(), "server.listen") {
		t.Errorf("got %v, want the setting named", err)
	}
}

func TestBodyThatNeverComesDoesNotKeepItsConnection(t *testing.T) {
	// Long enough for a busy machine to read what does come.
	const limit = 5 * time.Second
	r := start(t, Options{}, func(c *config.Config) {
		c.Server.ReadHeaderTimeout, c.Ingest.ReadTimeout = limit, limit
	})
	var all sync.WaitGroup
	defer all.Wait()
	for _, request := range []string{
		"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", // without a token
		"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.info.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(2 * time.Minute)) // ends a test that hangs
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("%.20s...: the server waits for a body without end: %v", request, err)
			}
		})
	}
	all.Wait()
}
