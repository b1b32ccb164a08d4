package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/gatecast/gatecast"
)

// errNotHTTP is a server that answers with something else.
var errNotHTTP = errors.New("the answer is not HTTP")

// Reason says in a sentence, without its full stop, why a request failed. It
// holds nothing of the URL but the host. It is empty if err is nil.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	for _, look := range []func(error) string{refused, late, unresolved, untrusted, broken, strange} {
		if s := look(err); s != "" {
			return s
		}
	}
	return "the request failed: " + clip(err.Error())
}

func refused(err error) string {
	var r *refusal
	var e *gatecast.Error
	switch {
	case errors.As(err, &r) && r.open:
		return fmt.Sprintf("the address %s is not allowed (see hooks.allow)", r.addr)
	case errors.As(err, &r):
		return fmt.Sprintf("the address %s is not allowed", r.addr)
	case errors.As(err, &e):
		return e.Message
	case errors.Is(err, context.Canceled):
		return "the request was canceled"
	}
	return ""
}

func late(err error) string {
	var t *timeoutError
	if errors.As(err, &t) {
		return t.Error()
	}
	return ""
}

func unresolved(err error) string {
	var dns *net.DNSError
	switch {
	case !errors.As(err, &dns):
		return ""
	case dns.IsNotFound:
		return "the host name is not known"
	}
	return "the host name could not be looked up"
}

func untrusted(err error) string {
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &cert):
		return "the certificate is not trusted: " + distrust(cert.Err)
	case errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record):
		return "the server does not speak TLS"
	case strings.Contains(err.Error(), "TLS handshake timeout"):
		return fmt.Sprintf("the TLS handshake was not done within %v", tlsTimeout)
	case strings.HasPrefix(err.Error(), "tls: "), strings.HasPrefix(err.Error(), "remote error: tls: "):
		return "the TLS handshake failed: " + clip(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "remote error: "), "tls: "))
	}
	return ""
}

// distrust says what is wrong with a certificate.
func distrust(err error) string {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return "it is signed by an unknown authority"
	case errors.As(err, &host):
		return "it is for another host: " + clip(strings.TrimPrefix(host.Error(), "x509: "))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it has expired, or is not valid yet"
	}
	return clip(strings.TrimPrefix(err.Error(), "x509: "))
}

// broken tells of connections that were not made or did not last.
func broken(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no way to the host"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "this machine has too many open files"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine has no free port left"
	case errors.Is(err, syscall.ETIMEDOUT):
		return "the connection timed out"
	case lostConnection(err):
		return "the connection was closed before an answer came"
	}
	return ""
}

// lostConnection reports whether a connection ended before an answer came. The
// transport has no values for some of these cases, only texts.
func lostConnection(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	for _, text := range []string{"server closed idle connection", "http2: client connection lost", "http2: server sent GOAWAY"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// strange tells of answers that are none. The transport has only texts for
// them, which may repeat what the server sent.
func strange(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "response headers exceeded"), strings.Contains(text, "header list larger"):
		return fmt.Sprintf("the answer's headers are larger than %d KiB", maxHeader>>10)
	case errors.Is(err, errNotHTTP), strings.Contains(text, "malformed"), strings.Contains(text, "transport connection broken"):
		return "the server's answer is not HTTP"
	case strings.HasPrefix(text, "http2: "), strings.HasPrefix(text, "stream error: "), strings.HasPrefix(text, "connection error: "):
		return "the connection broke: " + clip(strings.TrimPrefix(text, "http2: "))
	}
	return ""
}

// clip shortens a text of foreign origin to what fits a line.
func clip(s string) string {
	const most = 200
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
