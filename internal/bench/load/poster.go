package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// Target is where events go.
type Target struct {
	Host  string      // "127.0.0.1:9000"
	Token string      // allowed to send events
	TLS   *tls.Config // nil: plain HTTP
}

// Poster is one kept connection to a server. It sends requests that are made
// beforehand, so that the sender costs as little as may be of the machine that
// it shares with the server. It is for one goroutine.
type Poster struct {
	to   Target
	conn net.Conn
	in   *bufio.Reader
	head []byte // of the request, up to the length
	out  []byte
	used time.Time // when it was last
}

const (
	// patience is how long an answer may take.
	patience = 60 * time.Second
	// stale is how long a connection may be left alone: servers close those that
	// ask for nothing, some after 10 s.
	stale = 5 * time.Second
)

// Dial connects a Poster.
func Dial(ctx context.Context, to Target) (*Poster, error) {
	p := &Poster{to: to, head: []byte("POST /api/v1/events HTTP/1.1\r\nHost: " + to.Host + "\r\nAuthorization: Bearer " + to.Token +
		"\r\nContent-Type: application/json\r\nContent-Length: ")}
	return p, p.dial(ctx)
}

func (p *Poster) dial(ctx context.Context) (err error) {
	if p.to.TLS != nil {
		d := tls.Dialer{Config: p.to.TLS}
		p.conn, err = d.DialContext(ctx, "tcp", p.to.Host)
	} else {
		p.conn, err = new(net.Dialer).DialContext(ctx, "tcp", p.to.Host)
	}
	if err != nil {
		e := gatecast.Errorf(gatecast.Unavailable, "cannot connect to %s: %v", p.to.Host, err)
		e.Remedy = "is the server running there, and does it speak HTTP or HTTPS as the URL says?"
		return e
	}
	p.in, p.used = bufio.NewReader(p.conn), time.Now()
	return nil
}

// Post sends a body and returns when the server has answered. A refusal for
// the server's being busy is a TooMany error.
func (p *Poster) Post(body []byte) error {
	if time.Since(p.used) > stale {
		p.Close()
		if err := p.dial(context.Background()); err != nil {
			return err
		}
	}
	p.out = append(p.out[:0], p.head...)
	p.out = strconv.AppendInt(p.out, int64(len(body)), 10)
	p.out = append(p.out, "\r\n\r\n"...)
	p.out = append(p.out, body...)
	_ = p.conn.SetDeadline(time.Now().Add(patience)) // fails on a closed connection, as the next line does
	if _, err := p.conn.Write(p.out); err != nil {
		return fmt.Errorf("send events: %w", err)
	}
	status, answer, err := p.answer()
	p.used = time.Now()
	switch {
	case err != nil:
		return fmt.Errorf("read the answer: %w", err)
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		return gatecast.Errorf(gatecast.TooMany, "the server refused events with %d: %s", status, detail(answer))
	case status != http.StatusOK:
		return gatecast.Errorf(gatecast.Internal, "the server refused events with %d: %s", status, detail(answer))
	}
	return nil
}

// detail is what a problem document says, or the answer as it is.
func detail(answer []byte) string {
	var doc struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(answer, &doc) == nil && doc.Detail != "" {
		return doc.Detail
	}
	return strings.TrimSpace(string(answer))
}

// answer reads one response. It knows just what HTTP/1.1 asks of a client that
// sends one request at a time: net/http would cost more than the server.
func (p *Poster) answer() (status int, body []byte, err error) {
	line, err := p.in.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return 0, nil, fmt.Errorf("no HTTP: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, fmt.Errorf("no HTTP: %q", line)
	}
	length := -1
	for {
		if line, err = p.in.ReadSlice('\n'); err != nil {
			return 0, nil, err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, nil, fmt.Errorf("no HTTP: %q", line)
			}
		}
	}
	if length < 0 {
		return 0, nil, fmt.Errorf("an answer %d without a length", status)
	}
	if status == http.StatusOK {
		_, err = p.in.Discard(length)
		return status, nil, err
	}
	body = make([]byte, min(length, 4096))
	if _, err = io.ReadFull(p.in, body); err == nil {
		_, err = p.in.Discard(length - len(body))
	}
	return status, body, err
}

// Close ends the connection.
func (p *Poster) Close() { _ = p.conn.Close() } // everything has been answered
