package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/gatecast/gatecast"
)

// Poster is one kept connection to a server. It sends requests that are made
// beforehand, so that the sender costs as little as may be of the machine that
// it shares with the server. It is for one goroutine.
type Poster struct {
	conn  net.Conn
	in    *bufio.Reader
	head  []byte // of the request, up to the length
	out   []byte
	limit time.Duration
}

// Patience is how long an answer may take.
const patience = 60 * time.Second

// Dial connects a Poster.
func Dial(ctx context.Context, host, token string, secure bool) (*Poster, error) {
	var conn net.Conn
	var err error
	if secure {
		d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // see package subject: the certificate is nobody's
		conn, err = d.DialContext(ctx, "tcp", host)
	} else {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", host)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", host, err)
	}
	head := "POST /api/v1/events HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Bearer " + token +
		"\r\nContent-Type: application/json\r\nContent-Length: "
	return &Poster{conn: conn, in: bufio.NewReader(conn), head: []byte(head), limit: patience}, nil
}

// Post sends a body and returns when the server has answered. A refusal for
// the server's being busy is an Unavailable error.
func (p *Poster) Post(body []byte) error {
	p.out = append(p.out[:0], p.head...)
	p.out = strconv.AppendInt(p.out, int64(len(body)), 10)
	p.out = append(p.out, "\r\n\r\n"...)
	p.out = append(p.out, body...)
	_ = p.conn.SetDeadline(time.Now().Add(p.limit)) // fails on a closed connection, as the next line does
	if _, err := p.conn.Write(p.out); err != nil {
		return fmt.Errorf("send events: %w", err)
	}
	status, answer, err := p.answer()
	switch {
	case err != nil:
		return fmt.Errorf("read the answer: %w", err)
	case status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests:
		return gatecast.Errorf(gatecast.Unavailable, "the server is busy")
	case status != http.StatusOK:
		return gatecast.Errorf(gatecast.Internal, "the server refused events with %d: %s", status, answer)
	}
	return nil
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
	body = make([]byte, min(length, 500))
	if _, err = io.ReadFull(p.in, body); err == nil {
		_, err = p.in.Discard(length - len(body))
	}
	return status, body, err
}

// Close ends the connection.
func (p *Poster) Close() { _ = p.conn.Close() } // everything has been answered
