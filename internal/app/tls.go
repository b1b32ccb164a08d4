package app

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gatecast/gatecast/internal/config"
)

// certificate is a certificate from files, read again when they change, so
// that a renewal needs no restart.
type certificate struct {
	cert, key string

	// mu guards the fields below. Reading two small files under it is meant:
	// other handshakes wait for the new certificate instead of reading it too.
	mu      sync.Mutex
	checked time.Time // when the files were last looked at
	stamp   [2]time.Time
	loaded  *tls.Certificate
}

// checkEvery is how long a changed certificate may go unnoticed.
const checkEvery = time.Second

// withTLS returns a listener for TLS, for a protocol by its name for ALPN.
func withTLS(l net.Listener, cfg config.TLS, protocol string) (net.Listener, error) {
	c := &certificate{cert: cfg.Cert, key: cfg.Key}
	if _, err := c.get(nil); err != nil {
		return nil, err
	}
	oldest := uint16(tls.VersionTLS12)
	if cfg.MinVersion == "1.3" {
		oldest = tls.VersionTLS13
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion:     oldest,
		GetCertificate: c.get,
		NextProtos:     []string{protocol},
	}), nil
}

// get returns the newest certificate. While new files do not fit together, as
// in the middle of a renewal, the one before stays in use.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded != nil && time.Since(c.checked) < checkEvery {
		return c.loaded, nil
	}
	c.checked = time.Now()
	stamp := [2]time.Time{modified(c.cert), modified(c.key)}
	if c.loaded != nil && stamp == c.stamp {
		return c.loaded, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		if c.loaded != nil {
			return c.loaded, nil
		}
		return nil, fmt.Errorf("load the certificate (tls.cert, tls.key): %w", err)
	}
	c.loaded, c.stamp = &pair, stamp
	return c.loaded, nil
}

// modified returns when a file last changed, or zero if it cannot be seen.
func modified(name string) time.Time {
	info, err := os.Stat(name)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
