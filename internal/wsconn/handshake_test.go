package wsconn

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatecast/gatecast"
)

const goodHandshake = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + testKey + "\r\n\r\n"

// TestBadHandshakesAreRefused changes one thing at a time in a good one
// (RFC 6455 section 4.2.1).
func TestBadHandshakesAreRefused(t *testing.T) {
	tests := []struct {
		name, old, new string
		status         int
		header, value  string
	}{
		{"POST", "GET", "POST", 405, "Allow", "GET"},
		{"HEAD", "GET", "HEAD", 405, "Allow", "GET"},
		{"HTTP/1.0", "HTTP/1.1", "HTTP/1.0", 400, "", ""},
		{"no Upgrade", "Upgrade: websocket\r\n", "", 426, "Upgrade", "websocket"},
		{"other Upgrade", "websocket\r\nSec", "h2c\r\nSec", 426, "Upgrade", "websocket"},
		{"no Connection", "Connection: Upgrade\r\n", "", 400, "", ""},
		{"other Connection", "Connection: Upgrade", "Connection: keep-alive", 400, "", ""},
		{"no version", "Sec-WebSocket-Version: 13\r\n", "", 426, "Sec-WebSocket-Version", "13"},
		{"version 8", "Version: 13", "Version: 8", 426, "Sec-WebSocket-Version", "13"},
		{"version 14", "Version: 13", "Version: 14", 426, "Sec-WebSocket-Version", "13"},
		{"two versions", "Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13", 426, "Sec-WebSocket-Version", "13"},
		{"no key", "Sec-WebSocket-Key: " + testKey + "\r\n", "", 400, "", ""},
		{"two keys", testKey, testKey + "\r\nSec-WebSocket-Key: " + testKey, 400, "", ""},
		{"empty key", testKey, "", 400, "", ""},
		{"short key", testKey, "AAAA", 400, "", ""},
		{"long key", testKey, testKey[:22] + "AAAA", 400, "", ""},
		{"key is not base64", testKey, "!" + testKey[1:], 400, "", ""},
		{"a body", "Host: x", "Host: x\r\nContent-Length: 1", 400, "", ""},
		{"a chunked body", "Host: x", "Host: x\r\nTransfer-Encoding: chunked", 400, "", ""},
		{"broken extensions", "Host: x", "Host: x\r\nSec-WebSocket-Extensions: a;;b", 400, "", ""},
	}
	srv, _ := doors()[0].server(t, Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request := strings.Replace(goodHandshake, tt.old, tt.new, 1)
			if request == goodHandshake {
				t.Fatal("the test changes nothing")
			}
			p := doors()[0].dial(t, srv)
			p.write([]byte(request))
			resp, err := http.ReadResponse(p.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
			if tt.header != "" && resp.Header.Get(tt.header) != tt.value {
				t.Errorf("%s: %q, want %q", tt.header, resp.Header.Get(tt.header), tt.value)
			}
		})
	}
}

// TestUnusualHandshakesAreAccepted are the freedoms that the RFC gives.
func TestUnusualHandshakesAreAccepted(t *testing.T) {
	tests := []struct{ name, old, new string }{
		{"as it is", "", ""},
		{"other case", "Upgrade: websocket", "UPGRADE: WebSocket"},
		{"Connection with more tokens", "Connection: Upgrade", "Connection: keep-alive , uPGRADE"},
		{"Connection twice", "Connection: Upgrade", "Connection: keep-alive\r\nConnection: upgrade"},
		{"a subprotocol nobody speaks", "Host: x", "Host: x\r\nSec-WebSocket-Protocol: chat"},
		{"an extension nobody knows", "Host: x", "Host: x\r\nSec-WebSocket-Extensions: foo; bar=\"b\\az\", mux"},
		{"Content-Length: 0", "Host: x", "Host: x\r\nContent-Length: 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv, sessions := doors()[0].server(t, Options{Deflate: true})
			p := doors()[0].dial(t, srv)
			p.write([]byte(strings.Replace(goodHandshake, tt.old, tt.new, 1)))
			resp, err := http.ReadResponse(p.r, nil)
			if err != nil || resp.StatusCode != 101 || resp.Header.Get("Sec-WebSocket-Accept") != testAccept {
				t.Fatalf("%v, %v", resp, err)
			}
			for _, h := range []string{"Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"} {
				if v := resp.Header.Values(h); v != nil {
					t.Errorf("%s: %q", h, v)
				}
			}
			s := receive(t, sessions, "the session")
			p.write(bye)
			p.expectClose(1000)
			_ = s.end(t)
		})
	}
}

// TestRefusalIsAnError wants a code, a sentence and a remedy for the log.
func TestRefusalIsAnError(t *testing.T) {
	w := httptest.NewRecorder()
	c, err := Upgrade(w, httptest.NewRequest("GET", "/", nil), Options{})
	if c != nil || gatecast.CodeOf(err) != gatecast.Malformed || !strings.Contains(err.Error(), ";") {
		t.Errorf("got %v, %v", c, err)
	}
	if w.Code != 426 || w.Header().Get("Connection") != "Upgrade" {
		t.Errorf("answered with %d %v", w.Code, w.Header())
	}
}

// TestServerThatCannotHijackSaysSo is a wrapper that forgot to unwrap.
func TestServerThatCannotHijackSaysSo(t *testing.T) {
	w := httptest.NewRecorder()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(goodHandshake)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Upgrade(w, r, Options{}); err == nil || w.Code != 500 {
		t.Errorf("got %v, %d", err, w.Code)
	}
}

// TestDeflateIsNegotiated is RFC 7692 section 7.1.
func TestDeflateIsNegotiated(t *testing.T) {
	const pmd = "permessage-deflate"
	tests := []struct {
		offer  string
		accept bool
	}{
		{"", false},
		{pmd, true},
		{pmd + "; client_max_window_bits", true},
		{pmd + "; client_max_window_bits=10", true},
		{pmd + `; client_max_window_bits="10"`, true},
		{pmd + "; server_no_context_takeover; client_no_context_takeover", true},
		{pmd + "; server_max_window_bits=15", true},
		{pmd + "; server_max_window_bits=10", false},
		{pmd + "; server_max_window_bits=10, " + pmd, true},
		{pmd + "; server_max_window_bits", false},
		{pmd + "; client_max_window_bits=7", false},
		{pmd + "; client_max_window_bits=16", false},
		{pmd + "; client_max_window_bits=010", false},
		{pmd + "; server_no_context_takeover=1", false},
		{pmd + "; server_no_context_takeover; server_no_context_takeover", false},
		{pmd + "; what_is_this", false},
		{pmd + "; what_is_this, other, " + pmd + " ;client_no_context_takeover", true},
		{"x-webkit-deflate-frame", false},
	}
	for _, enabled := range []bool{true, false} {
		for _, tt := range tests {
			headers := ""
			if tt.offer != "" {
				headers = "Sec-WebSocket-Extensions: " + tt.offer + "\r\n"
			}
			srv, sessions := doors()[0].server(t, Options{Deflate: enabled})
			p := doors()[0].dial(t, srv)
			resp := p.handshake(headers)
			want := ""
			if tt.accept && enabled {
				want = deflateAnswer
			}
			if have := resp.Header.Get("Sec-WebSocket-Extensions"); have != want {
				t.Errorf("enabled %v, offer %q: answer %q, want %q", enabled, tt.offer, have, want)
			}
			s := receive(t, sessions, "the session")
			if s.conn.Stats().Deflate != (want != "") {
				t.Errorf("offer %q: Stats disagree", tt.offer)
			}
			p.Close()
			if err := s.end(t); err != io.ErrUnexpectedEOF {
				t.Errorf("Serve returned %v", err)
			}
		}
	}
}

// TestBrokenExtensionHeadersAreNoticed is the grammar of section 9.1.
func TestBrokenExtensionHeadersAreNoticed(t *testing.T) {
	for _, v := range []string{"", " ", ",", "a,", ",a", "a;", "a;b=", "a;=b", `a;b="`, `a;b=""`, `a;b="c`, `a;b="c d"`, `a;b="c\`, "a b", "a;b=c d", "a=b", "é", `a;b="c"d`} {
		if o, err := parseExtensions([]string{v}); err == nil {
			t.Errorf("%q was read as %v", v, o)
		}
	}
}
