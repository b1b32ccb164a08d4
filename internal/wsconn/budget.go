package wsconn

import "time"

// frameCost is how many bytes a frame counts beside those it has: a frame
// costs time however short it is, and an answer or an acknowledgement more. What
// a deflated message inflates to counts too: 85 bytes can be 64 KiB.
const frameCost = 256

// budget holds a client to so many bytes a second. It is the time by which
// everything read so far would have come from a client that keeps to it: no
// more than a second behind, which is what may come at once, and ahead of one
// that has to wait.
type budget struct{ even time.Duration }

// charge takes note of n bytes, read at a time. A negative rate charges
// nothing.
func (b *budget) charge(n int, rate int64, now time.Duration) {
	if rate > 0 {
		b.even = max(b.even, now-time.Second) + time.Duration(int64(n)*int64(time.Second)/rate)
	}
}

// owed returns how long the client has to wait.
func (b *budget) owed(now time.Duration) time.Duration { return max(0, b.even-now) }

// nap is how long a reader sleeps at most before it looks whether its
// connection has ended.
const nap = 100 * time.Millisecond

// pause waits until the client's budget has something left, or the connection
// ends. Meanwhile nothing is read, so that TCP holds the client back.
func (c *Conn) pause() {
	for {
		owed := c.due.owed(time.Since(c.counted.born))
		if owed == 0 || c.over() {
			return
		}
		time.Sleep(min(owed, nap))
	}
}

// over reports whether waiting for the client is of no use any more.
func (c *Conn) over() bool {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.err != nil || c.out.closing && !time.Now().Before(c.closeBy)
}
