//go:build !unix

package wsconn

import "net"

// newCarrier returns the carrier for a connection: without non-blocking
// system calls, all are streams.
func newCarrier(net.Conn) carrier { return stream{} }
