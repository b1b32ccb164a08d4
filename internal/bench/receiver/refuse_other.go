//go:build !unix

package receiver

import (
	"fmt"
	"net"
)

// Refuser knows an address at which every connection is refused.
type Refuser struct{ address string }

// Refuse takes an address such as "127.0.0.1:0" where nobody listens. It cannot
// be held here: whoever asks the system for a free one may get it.
func Refuse(address string) (*Refuser, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("find a free address: %w", err)
	}
	r := &Refuser{l.Addr().String()}
	return r, l.Close()
}

// URL is where to post to.
func (r *Refuser) URL() string { return "http://" + r.address + "/" }

// Close does nothing.
func (*Refuser) Close() {}
