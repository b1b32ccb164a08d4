package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/gatecast/gatecast"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 4 << 20

// probed is what came of one request.
type probed struct {
	address string        // that was connected to
	took    time.Duration // from the beginning to the first byte of the answer
	ahead   time.Duration // the other clock's, by the Date of the answer
	dated   bool          // there was a Date that could be read
	status  int
	body    []byte
	err     error // why there is no answer; it never holds the URL
}

// probe sends a request once and follows no redirect: that would carry a
// signature to somebody else.
func (d *Doctor) probe(req *http.Request, proxy bool) probed {
	tr := d.opts.Transport
	if tr == nil {
		own := &http.Transport{TLSClientConfig: d.opts.TLS, TLSHandshakeTimeout: d.opts.Limit, DisableKeepAlives: true}
		if proxy {
			own.Proxy = http.ProxyFromEnvironment
		}
		defer own.CloseIdleConnections()
		tr = own
	}
	var p probed
	// Only one connection is made, and before the answer.
	trace := &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { p.address = c.Conn.RemoteAddr().String() }}
	began := d.opts.Now()
	resp, err := tr.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	p.took = d.opts.Now().Sub(began)
	if err != nil {
		p.err = bare(err)
		return p
	}
	defer func() { _ = resp.Body.Close() }() // it is read as far as anybody wants
	p.status = resp.StatusCode
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		// A Date has no fractions: half a second is what is missing on average.
		p.ahead, p.dated = at.Add(time.Second/2).Sub(began.Add(p.took/2)), true
	}
	p.body, p.err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return p
}

// bare drops the URL from an error, for a signature may stand in it.
func bare(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

// judgeReach says whether an address could be reached, or at which step that
// ended: name, connection, TLS, answer.
func judgeReach(name, address string, p probed) gatecast.Finding {
	if p.err == nil {
		return ok("reach", name, fmt.Sprintf("%s answers in %s (%s)", address, round(p.took), p.address))
	}
	what, remedy := step(p.err)
	return bad("reach", name, fmt.Sprintf("%s cannot be reached: %s", address, what), remedy)
}

// step says where a request has ended, and what to do about that.
func step(err error) (what, remedy string) {
	var lookup *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var late interface{ Timeout() bool }
	switch {
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return "no such host as " + lookup.Name, "check the name in the URL, and that this machine's DNS knows it"
	case errors.As(err, &lookup):
		return "the name " + lookup.Name + " cannot be looked up: " + lookup.Err, "check this machine's DNS (/etc/resolv.conf)"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: the host is there, and nothing listens on that port", "start the server, or correct the port in the URL"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to that host", "check the network, its routes, and that the host is on"
	case errors.As(err, &certificate):
		return "its certificate is not trusted here: " + certificate.Err.Error(), "add its authority to those of this machine, or use the name that the certificate is for"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "it speaks no TLS on that port", "give the URL with http:// or ws://, or the port that has TLS"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it takes the connection and ends it without an answer", "check that the port is the right one, whether it wants TLS (https://, wss://), and the server's own log"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &late) && late.Timeout():
		return "no answer in time", "check the firewalls in between, and whether the server hangs"
	}
	return err.Error(), "check the URL, and the server's own log"
}
