package egress

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

// certificate makes one that signs itself, and the file to trust it by.
func certificate(t *testing.T, change func(*x509.Certificate)) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "endpoint"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"endpoint.test"},
		IsCA: true, BasicConstraintsValid: true,
	}
	if change != nil {
		change(tmpl)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// tlsServer serves HTTPS, and counts connections and requests of each protocol.
type tlsServer struct {
	*httptest.Server
	conns  atomic.Int64
	mu     sync.Mutex
	protos map[string]int
}

func serveTLS(t *testing.T, cert tls.Certificate, h2 bool, h http.HandlerFunc) *tlsServer {
	t.Helper()
	s := &tlsServer{protos: map[string]int{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.protos[r.Proto]++
		s.mu.Unlock()
		h(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			s.conns.Add(1)
		}
	}
	s.EnableHTTP2 = h2
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func fine(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }

func TestACertificateOfTheFileIsTrustedAndHTTP2Spoken(t *testing.T) {
	cert, file := certificate(t, nil)
	s := serveTLS(t, cert, true, fine)
	c := newClient(t, Options{Allow: loopback(), CAFile: file})
	if a := post(t, c, s.URL, patience); a.Status != 200 || string(a.Body) != "ok" {
		t.Fatalf("status %d, %v", a.Status, a.Err)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if a := post(t, c, s.URL, patience); a.Status != 200 {
				t.Error(a.Err)
			}
		})
	}
	wg.Wait()
	if s.protos["HTTP/2.0"] != 21 || s.conns.Load() != 1 {
		t.Errorf("%v over %d connections, want 21 of HTTP/2.0 over one", s.protos, s.conns.Load())
	}
}

func TestHTTP1OverTLSReusesItsConnection(t *testing.T) {
	cert, file := certificate(t, nil)
	s := serveTLS(t, cert, false, fine)
	c := newClient(t, Options{Allow: loopback(), CAFile: file})
	for range 5 {
		if a := post(t, c, s.URL, patience); a.Status != 200 {
			t.Fatal(a.Err)
		}
	}
	if s.protos["HTTP/1.1"] != 5 || s.conns.Load() != 1 {
		t.Errorf("%v over %d connections", s.protos, s.conns.Load())
	}
}

func TestHTTP2AnswersThatFailLeaveTheOthersAlone(t *testing.T) {
	cert, file := certificate(t, nil)
	stop := make(chan struct{})
	s := serveTLS(t, cert, true, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hang":
			select {
			case <-r.Context().Done():
			case <-stop:
			}
		case "/panic":
			panic(http.ErrAbortHandler)
		case "/body":
			w.WriteHeader(202)
			_, _ = w.Write([]byte("begin"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/headers":
			for i := range 36 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("b", 1000))
			}
		case "/header":
			w.Header().Set("X-Big", strings.Repeat("b", 64<<10))
		}
	})
	defer close(stop)
	c := newClient(t, Options{Allow: loopback(), CAFile: file})
	for path, want := range map[string]struct {
		status int
		reason string
	}{
		"/hang": {0, "no answer within TIMEOUT"},
		"/body": {202, ""},
		"/":     {200, ""},
	} {
		patiently(func(timeout time.Duration, last bool) bool {
			a := post(t, c, s.URL+path, timeout)
			fine := a.Status == want.status && Reason(a.Err) == strings.Replace(want.reason, "TIMEOUT", timeout.String(), 1)
			if !fine && last {
				t.Errorf("%s: status %d, %q", path, a.Status, Reason(a.Err))
			}
			return fine
		})
	}
	if a := post(t, c, s.URL+"/panic", patience); !strings.HasPrefix(Reason(a.Err), "the connection broke: ") {
		t.Errorf("/panic: status %d, %q", a.Status, Reason(a.Err))
	}
	if a := post(t, c, s.URL+"/header", patience); !strings.HasPrefix(Reason(a.Err), "the connection broke: ") {
		t.Errorf("/header: status %d, %q", a.Status, Reason(a.Err))
	}
	if a := post(t, c, s.URL+"/headers", patience); Reason(a.Err) != "the answer's headers are larger than 32 KiB" {
		t.Errorf("/headers: status %d, %q", a.Status, Reason(a.Err))
	}
	if a := post(t, c, s.URL, patience); a.Status != 200 {
		t.Error(a.Err)
	}
}

func TestAnHTTP2ConnectionThatIsLostIsCalledStaleOnlyIfItWasUsedBefore(t *testing.T) {
	cert, file := certificate(t, nil)
	asked := make(chan struct{}, 2)
	s := serveTLS(t, cert, true, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			asked <- struct{}{}
			<-r.Context().Done()
		}
	})
	for _, usedBefore := range []bool{false, true} {
		c := newClient(t, Options{Allow: loopback(), CAFile: file})
		if usedBefore {
			if a := post(t, c, s.URL, patience); a.Status != 200 {
				t.Fatal(a.Err)
			}
		}
		go func() { <-asked; s.CloseClientConnections() }()
		a := post(t, c, s.URL+"/cut", patience)
		if got := Reason(a.Err); got != "the connection was closed before an answer came" && got != "the connection was reset" {
			t.Errorf("status %d, %q (%v)", a.Status, got, a.Err)
		}
		if a.Stale != usedBefore {
			t.Errorf("stale: %v, want %v", a.Stale, usedBefore)
		}
	}
}

func TestACertificateThatIsNotTrustedIsSaidToBe(t *testing.T) {
	good, goodFile := certificate(t, nil)
	expired, expiredFile := certificate(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	other, otherFile := certificate(t, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 9)} })
	for _, want := range []struct {
		cert         tls.Certificate
		file, reason string
	}{
		{good, "", "the certificate is not trusted: it is signed by an unknown authority"},
		{good, otherFile, "the certificate is not trusted: it is signed by an unknown authority"},
		{expired, expiredFile, "the certificate is not trusted: it has expired, or is not valid yet"},
		{other, otherFile, "the certificate is not trusted: it is for another host: "},
	} {
		s := serveTLS(t, want.cert, true, fine)
		a := post(t, newClient(t, Options{Allow: loopback(), CAFile: want.file}), s.URL, patience)
		if got := Reason(a.Err); !strings.HasPrefix(got, want.reason) {
			t.Errorf("%q (%v), want %q", got, a.Err, want.reason)
		}
		if len(s.protos) != 0 {
			t.Error("the request was sent")
		}
	}
	plain := serve(t, "127.0.0.1:0", func(c *net.TCPConn, stop <-chan struct{}) { write(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); <-stop })
	if got := Reason(post(t, newClient(t, Options{Allow: loopback(), CAFile: goodFile}), "https://"+plain.Addr().String(), patience).Err); got != "the server does not speak TLS" {
		t.Errorf("HTTP on the port: %q", got)
	}
	ssh := serve(t, "127.0.0.1:0", func(c *net.TCPConn, stop <-chan struct{}) { write(c, "SSH-2.0-OpenSSH_9.9\r\n"); <-stop })
	if got := Reason(post(t, newClient(t, Options{Allow: loopback(), CAFile: goodFile}), "https://"+ssh.Addr().String(), patience).Err); got != "the server does not speak TLS" {
		t.Errorf("SSH on the port: %q", got)
	}
}

func TestAHandshakeThatEndsBadlyHasAReason(t *testing.T) {
	cert, file := certificate(t, nil)
	s := httptest.NewUnstartedServer(http.HandlerFunc(fine))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}
	s.StartTLS()
	defer s.Close()
	c := newClient(t, Options{Allow: loopback(), CAFile: file})
	if got := Reason(post(t, c, s.URL, patience).Err); !strings.HasPrefix(got, "the TLS handshake failed: ") {
		t.Errorf("a client certificate is asked for: %q", got)
	}
	silent := serve(t, "127.0.0.1:0", func(_ *net.TCPConn, stop <-chan struct{}) { <-stop })
	if got := Reason(post(t, c, "https://"+silent.Addr().String(), 300*time.Millisecond).Err); got != "no connection within 300ms" {
		t.Errorf("a silent server: %q", got)
	}
}

func TestRefusedAddressesAreRefusedOverTLSToo(t *testing.T) {
	cert, file := certificate(t, nil)
	s := serveTLS(t, cert, true, fine)
	resolver := nameServer(t, func(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} })
	c := newClient(t, Options{CAFile: file, Resolver: resolver})
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	for _, host := range []string{"127.0.0.1", "endpoint.test", "[::ffff:127.0.0.1]"} {
		if a := post(t, c, "https://"+host+":"+port, patience); gatecast.CodeOf(a.Err) != gatecast.Forbidden {
			t.Errorf("%s: status %d, %v", host, a.Status, a.Err)
		}
	}
	if n := s.conns.Load(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestAFileWithoutCertificatesStopsTheStart(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{empty, empty + ".missing"} {
		if _, err := New(Options{CAFile: file}); gatecast.CodeOf(err) != gatecast.Invalid {
			t.Errorf("%s: %v, want Invalid", file, err)
		}
	}
}
