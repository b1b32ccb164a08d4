package pull

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gobwas/ws"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// maxAnswer bounds how much is read of an answer that is no upgrade, in bytes.
const maxAnswer = 64 << 10

// refusal is a server's no.
type refusal struct{ desc string }

func (e *refusal) Error() string { return "the server refuses us: " + e.desc }

// statusError is an HTTP answer that is no upgrade.
type statusError struct {
	status     int
	retryAfter time.Duration
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the server answers the handshake with HTTP %d %s", e.status, http.StatusText(e.status))
}

// call is one handshake.
type call struct {
	sign   string        // secret
	skew   time.Duration // the server's clock is ahead of ours by so much, as far as it has told
	status *statusError
}

// dial connects and shakes hands, signed for this moment.
func (w *worker) dial(ctx context.Context, s *gatecast.SourceSettings, c *call) (conn net.Conn, early []byte, err error) {
	now := time.Now()
	stamp := strconv.FormatInt(now.UnixMilli(), 10)
	c.sign = senselink.Sign(stamp, s.AppSecret)
	target := strings.TrimRight(s.URL, "/") + senselink.Path(senselink.Credentials{AppKey: s.AppKey, Timestamp: stamp, Sign: c.sign})
	dialer := ws.Dialer{
		Timeout:   w.follower.opts.DialTimeout,
		TLSConfig: w.follower.opts.TLS,
		NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := w.follower.opts.Dial(ctx, network, addr)
			if err == nil {
				w.pace.login(time.Now())
			}
			return nc, err
		},
		OnHeader:      c.header,
		OnStatusError: c.answer,
	}
	conn, rest, _, err := dialer.Dial(ctx, target)
	if err != nil {
		return nil, nil, c.failed(err)
	}
	if rest != nil {
		early, _ = rest.Peek(rest.Buffered()) // it has them
		early = bytes.Clone(early)
		ws.PutReader(rest)
	}
	return conn, early, nil
}

// header looks at a header of the server's answer.
func (c *call) header(key, value []byte) error {
	if strings.EqualFold(string(key), "Date") {
		if at, err := http.ParseTime(string(value)); err == nil {
			c.skew = at.Sub(time.Now().Truncate(time.Second))
		}
	}
	return nil
}

// answer reads an answer that is no upgrade.
func (c *call) answer(status int, _ []byte, r io.Reader) {
	c.status = &statusError{status: status}
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(r, maxAnswer)), nil)
	if err != nil {
		return // the status says enough
	}
	defer func() { _ = resp.Body.Close() }()
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		c.status.retryAfter = time.Duration(min(n, 3600)) * time.Second
	}
}

// failed makes an error of a failed handshake that is fit for people.
func (c *call) failed(err error) error {
	switch {
	case c.status == nil:
		return fmt.Errorf("the server cannot be reached: %w", plain(err))
	case c.status.status == http.StatusUnauthorized, c.status.status == http.StatusForbidden:
		return &refusal{desc: "HTTP " + strconv.Itoa(c.status.status)}
	}
	return c.status
}

// denied makes an error of a message 20002. What it says is for people, and must
// not hold the signature, which is a password for a while.
func (c *call) denied(desc string) error {
	desc = clean(strings.ReplaceAll(desc, c.sign, "***"))
	if c.skew.Abs() > time.Minute {
		side := "ahead of"
		if c.skew < 0 {
			side = "behind"
		}
		desc += fmt.Sprintf(" (its clock is %v %s ours)", c.skew.Abs().Round(time.Second), side)
	}
	return &refusal{desc: desc}
}

// clean makes foreign text fit for a line of a log.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	if runes := []rune(text); len(runes) > 200 {
		text = string(runes[:200]) + "…"
	}
	return text
}

// plain drops from an error what changes each time, such as our own port, or
// must not be told, such as a signed URL.
func plain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%s: %w", e.Op, e.Err)
	}
	return err
}
