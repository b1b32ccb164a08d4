package egress

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// Request is what is posted.
type Request struct {
	URL     string
	Header  http.Header // is not changed; without User-Agent gatecast's own is sent
	Body    []byte      // must not change until Post has returned
	Timeout time.Duration
}

// Answer is what came of a request: a status, or an error, never both.
type Answer struct {
	Status     int           // 200 to 999; 0 if there was no answer
	Header     http.Header   // nil if there was no answer
	Body       []byte        // its first Options.MaxAnswer bytes, or what came of them
	Took       time.Duration // until the headers were there, or until it failed
	RetryAfter time.Duration // what the answer asks for, at most 24 h; 0 if it does not
	Stale      bool          // it failed on a connection used before, which the server may merely have closed
	Err        error         // why there was no answer; see [Reason]
}

// drain is how much of a body is read so that its connection can be used
// again. A longer one costs its server the connection.
const drain = 64 << 10

// defaultTimeout is the timeout of a request without one.
const defaultTimeout = 5 * time.Second

// Post sends a request and returns within its timeout. A status counts as
// soon as the headers are there: a body that breaks off or never ends changes
// nothing.
//
// It sends a request once. [http.Transport] repeats those that are idempotent,
// which a POST is not, and those that no server has seen: no byte was written
// because a connection out of its pool was closed already, or the server says
// that it has not begun with them (HTTP/2).
func (c *Client) Post(ctx context.Context, r Request) Answer {
	began := time.Now()
	timeout := &timeoutError{after: cmp.Or(r.Timeout, defaultTimeout)}
	deadline := began.Add(timeout.after)
	ctx, cancel := context.WithDeadlineCause(context.WithValue(ctx, deadlineKey{}, deadline), deadline, timeout)
	defer cancel()
	var reused bool
	req, err := c.request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { timeout.connected, reused = true, i.Reused },
	}), r)
	if err != nil {
		return Answer{Took: time.Since(began), Err: err}
	}
	resp, err := c.transport.RoundTrip(req)
	a := Answer{Took: time.Since(began)}
	if err != nil {
		a.Err = explain(ctx, err)
		a.Stale = reused && lostConnection(err)
		return a
	}
	// Canceled before it is closed: a body that has not ended must not keep
	// its connection.
	defer func() { cancel(); _ = resp.Body.Close() }()
	if resp.StatusCode < 200 {
		a.Err = fmt.Errorf("%w: status %d ends nothing", errNotHTTP, resp.StatusCode)
		return a
	}
	a.Status, a.Header = resp.StatusCode, resp.Header
	a.RetryAfter = retryAfter(resp.Header, time.Now())
	a.Body = c.read(resp)
	return a
}

// request makes the request. An error never repeats the URL, whose query may
// hold a secret.
func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(r.Body))
	if err != nil || req.URL.Host == "" {
		return nil, gatecast.Errorf(gatecast.Invalid, "this is not a URL that can be posted to")
	}
	req.Header = make(http.Header, len(r.Header)+2)
	maps.Copy(req.Header, r.Header)
	// Under its usual name this header would make the transport repeat the
	// request on its own. Names are read without regard to case.
	for _, name := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v, ok := req.Header[name]; ok {
			delete(req.Header, name)
			req.Header[strings.ToLower(name)] = v
		}
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header["User-Agent"] = []string{c.agent}
	}
	return req, nil
}

// read reads a body to its end, if that is near, and returns how it begins.
func (c *Client) read(resp *http.Response) []byte {
	size := int64(c.opts.MaxAnswer)
	if resp.ContentLength >= 0 {
		size = min(size, resp.ContentLength)
	}
	kept := make([]byte, size)
	n, err := io.ReadFull(resp.Body, kept)
	if err == nil {
		_, _ = io.CopyN(io.Discard, resp.Body, drain)
	}
	return kept[:n]
}

// timeoutError is the end of a request's time.
type timeoutError struct {
	after     time.Duration
	connected bool
}

func (e *timeoutError) Error() string {
	if !e.connected {
		return fmt.Sprintf("no connection within %v", e.after)
	}
	return fmt.Sprintf("no answer within %v", e.after)
}

// explain puts the end of the request's own time before what it looked like
// from inside.
func explain(ctx context.Context, err error) error {
	var late *timeoutError
	if errors.As(context.Cause(ctx), &late) && !errors.Is(err, late) {
		return fmt.Errorf("%w: %w", late, err)
	}
	return err
}
