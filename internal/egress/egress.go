// Package egress posts to addresses that somebody else chose.
//
// It owns the HTTP client for that: the guard that looks at every address at
// the moment a connection is made, the limits of what an answer may cost, and
// the sentence that tells a person why there was none. It follows no redirect,
// keeps no cookie, asks no proxy, never sends a request twice, and never
// decides what an answer means (see transport/hooks). Start at [New] and
// [Client.Post].
package egress

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/gatecast/gatecast"
)

// Options tunes a Client. The zero value lets requests out to the public
// internet only.
type Options struct {
	// Allow is which addresses may be connected to besides the public ones.
	// Link-local, multicast and metadata addresses stay refused whatever
	// stands here.
	Allow       []netip.Prefix
	CAFile      string        // PEM file of certificates to trust besides the system's; default: none
	MaxAnswer   int           // bytes kept of an answer's body; default 1024
	IdlePerHost int           // connections kept open to one host while nothing is sent; default 64
	IdleTimeout time.Duration // how long they are kept; default 90 s
	Version     string        // of gatecast, for the User-Agent
	Resolver    *net.Resolver // default: the system's
	Log         *slog.Logger  // default: discard
}

func (o Options) withDefaults() Options {
	o.MaxAnswer = cmp.Or(o.MaxAnswer, 1024)
	o.IdlePerHost = cmp.Or(o.IdlePerHost, 64)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 90*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return o
}

const (
	maxHeader = 32 << 10 // bytes of an answer's headers; more is a failure
	maxIdle   = 4096     // connections kept open over all hosts; beyond it the one idle longest is closed

	// tlsTimeout bounds a handshake that goes on after its request has given
	// up. A request waits no longer than its own timeout.
	tlsTimeout = 10 * time.Second

	// A connection of HTTP/2 carries every request to its host. Without
	// asking, one that a firewall has forgotten would swallow them all until
	// the kernel gives up on it, a quarter of an hour later.
	pingAfter   = 5 * time.Second
	pingTimeout = 5 * time.Second
)

// Client posts. Its methods may be called from any goroutine.
type Client struct {
	opts      Options
	agent     string
	guard     *guard
	transport *http.Transport
	stop      context.CancelFunc // ends every connection and every attempt at one
}

// New makes a Client. Its error is Invalid if an option cannot stand.
func New(o Options) (*Client, error) {
	o = o.withDefaults()
	g, err := newGuard(o.Allow, o.Log)
	if err != nil {
		return nil, err
	}
	roots, err := Roots(o.CAFile)
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.Background())
	agent := "gatecast"
	if o.Version != "" {
		agent += "/" + o.Version
	}
	return &Client{
		opts: o, agent: agent, guard: g, stop: stop,
		transport: &http.Transport{
			Proxy:                  nil, // a proxy would make the connection, and nobody would look at the address
			DialContext:            dialer(life, net.Dialer{Control: g.control, Resolver: o.Resolver}),
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    tlsTimeout,
			ForceAttemptHTTP2:      true,
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
			DisableCompression:     true,
			MaxIdleConns:           maxIdle,
			MaxIdleConnsPerHost:    o.IdlePerHost,
			IdleConnTimeout:        o.IdleTimeout,
			MaxResponseHeaderBytes: maxHeader,
		},
	}, nil
}

// Roots returns the system's certificates together with those of a file,
// or nil, which stands for the system's.
func Roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, &gatecast.Error{
			Code: gatecast.Invalid, Message: "the file of trusted certificates cannot be read: " + err.Error(),
			Remedy: "give the path of a PEM file", Cause: err,
		}
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a machine without any; the file's are what there is
	}
	if !roots.AppendCertsFromPEM(bytes.TrimSpace(pem)) {
		return nil, &gatecast.Error{
			Code: gatecast.Invalid, Message: file + " holds no certificate",
			Remedy: "give a PEM file with blocks that begin with -----BEGIN CERTIFICATE-----",
		}
	}
	return roots, nil
}

// Close closes every connection. It is for the end: a Post that is still
// running fails, and so does every later one.
func (c *Client) Close() {
	c.stop()
	c.transport.CloseIdleConnections()
}
