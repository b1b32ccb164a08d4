//go:build unix

package wsconn

// pretendWritten does what push does when the kernel takes n bytes of fs.
// The caller holds out.mu.
func (c *Conn) pretendWritten(fs []*Frame, n int) (int, error) {
	p := pusher{conn: c, frames: fs}
	p.account(fs, n, nil)
	return p.taken, p.err
}
