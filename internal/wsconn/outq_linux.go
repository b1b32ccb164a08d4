package wsconn

import "golang.org/x/sys/unix"

// unacknowledged returns how many bytes of a socket's send queue the peer's
// system has not acknowledged (tcp(7), SIOCOUTQ).
func unacknowledged(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.SIOCOUTQ) }
