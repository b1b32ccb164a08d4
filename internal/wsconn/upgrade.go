package wsconn

import (
	"crypto/sha1" // the RFC's choice; it protects nothing
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// acceptGUID is the constant of RFC 6455 section 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Upgrade answers the opening handshake (RFC 6455 section 4.2) and takes the
// connection over from the HTTP server. A request that is no valid handshake
// is answered with 400, 405 or 426, and the error says why.
//
// Whoever may connect, and from which Origin, is for the caller to decide
// before. No subprotocol is ever chosen. The first frames go in the same write
// as the answer, before anything else can. After success w and r must not be
// used any more.
func Upgrade(w http.ResponseWriter, r *http.Request, o Options, first ...*Frame) (*Conn, error) {
	o = o.withDefaults()
	key, deflated, bad := examine(r, o.Deflate)
	if bad != nil {
		return nil, bad.answer(w)
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "this server cannot upgrade the connection", http.StatusInternalServerError)
		return nil, fmt.Errorf("take over HTTP connection: %w", err)
	}
	var early []byte
	if n := rw.Reader.Buffered(); n > 0 {
		early = make([]byte, n)
		_, _ = rw.Reader.Read(early) // copies what is there, without a system call
	}
	c := newConn(nc, early, deflated, o)
	if err := c.accept(key, o.AcceptTimeout, first); err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("answer WebSocket handshake: %w", err)
	}
	return c, nil
}

func newConn(nc net.Conn, early []byte, deflated bool, o Options) *Conn {
	c := &Conn{
		net:     nc,
		carrier: newCarrier(nc),
		early:   early,
		set: settings{
			deflateMin:   -1,
			maxInbound:   o.MaxInbound,
			closeTimeout: o.CloseTimeout,
			writeStall:   o.WriteStall,
			log:          o.Log,
		},
		in:  parser{limit: o.MaxMessage, deflate: deflated},
		due: budget{-time.Second},
	}
	if deflated {
		c.set.deflateMin = o.DeflateMin
	}
	c.counted.born = time.Now()
	return c
}

// refusal is a handshake that fails, and how to say it over HTTP.
type refusal struct {
	status int
	name   string // of an additional header
	value  string
	text   string
	remedy string
}

// answer writes the refusal and returns it as an error.
func (f *refusal) answer(w http.ResponseWriter) error {
	if f.name != "" {
		w.Header().Set(f.name, f.value)
	}
	if f.status == http.StatusUpgradeRequired {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
	} else {
		w.Header().Set("Connection", "close") // else the server waits for a body before it answers
	}
	http.Error(w, f.text, f.status)
	err := gatecast.Errorf(gatecast.Malformed, "%s", f.text)
	err.Remedy = f.remedy
	return err
}

// examine checks the client's side of the handshake, in the order of RFC 6455
// section 4.2.1, and returns its key and whether to deflate.
func examine(r *http.Request, allowDeflate bool) (key string, deflated bool, bad *refusal) {
	h := r.Header
	refuse := func(text string) (string, bool, *refusal) {
		return "", false, &refusal{status: http.StatusBadRequest, text: text, remedy: "use a WebSocket client that follows RFC 6455"}
	}
	switch {
	case r.Method != http.MethodGet:
		return "", false, &refusal{
			status: http.StatusMethodNotAllowed, name: "Allow", value: http.MethodGet,
			text: "a WebSocket handshake is a GET request", remedy: "use GET",
		}
	case !r.ProtoAtLeast(1, 1) || r.ProtoMajor != 1:
		return refuse("a WebSocket handshake needs HTTP/1.1")
	case !hasToken(h["Upgrade"], "websocket"):
		return "", false, &refusal{
			status: http.StatusUpgradeRequired,
			text:   "this address speaks WebSocket only", remedy: "connect with a WebSocket client (ws:// or wss://)",
		}
	case !hasToken(h["Connection"], "upgrade"):
		return refuse("header Connection lacks the token upgrade")
	case len(h["Sec-Websocket-Version"]) != 1 || strings.TrimSpace(h["Sec-Websocket-Version"][0]) != "13":
		return "", false, &refusal{
			status: http.StatusUpgradeRequired, name: "Sec-WebSocket-Version", value: "13",
			text: "only version 13 of WebSocket is spoken here", remedy: "send Sec-WebSocket-Version: 13",
		}
	case r.ContentLength != 0:
		return refuse("a WebSocket handshake has no body")
	case len(h["Sec-Websocket-Key"]) != 1:
		return refuse("header Sec-WebSocket-Key must stand exactly once")
	}
	key = strings.TrimSpace(h["Sec-Websocket-Key"][0])
	if nonce, err := base64.StdEncoding.Strict().DecodeString(key); err != nil || len(nonce) != 16 {
		return refuse("header Sec-WebSocket-Key is not 16 bytes in base64")
	}
	offers, err := parseExtensions(h["Sec-Websocket-Extensions"])
	if err != nil {
		return refuse("header Sec-WebSocket-Extensions: " + err.Error())
	}
	return key, allowDeflate && acceptsDeflate(offers), nil
}

// accept writes the server's side of the handshake (section 4.2.2), and the
// first frames with it: a write is most of what a handshake costs.
func (c *Conn) accept(key string, within time.Duration, first []*Frame) error {
	sum := sha1.Sum([]byte(key + acceptGUID))
	buf := readBufs.Get().(*[readSize]byte)
	defer readBufs.Put(buf)
	b := append(buf[:0], "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = base64.StdEncoding.AppendEncode(b, sum[:])
	if c.in.deflate {
		b = append(b, "\r\nSec-WebSocket-Extensions: "+deflateAnswer...)
	}
	b = append(b, "\r\n\r\n"...)
	head := len(b)
	for _, f := range first {
		b = append(b, f.wire(c.set.deflateMin)...)
	}
	if err := c.net.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := c.net.Write(b); err != nil {
		return err
	}
	c.out.frames, c.out.bytes = uint64(len(first)), uint64(len(b)-head)
	return c.net.SetDeadline(time.Time{})
}
