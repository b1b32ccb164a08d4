package wsconn

// stream carries a connection that can only block: TLS, a wrapped
// connection, or a system without file descriptors. Frames are queued and
// written by the drain goroutine, so that Push never waits.
type stream struct{}

func (stream) push(c *Conn, frames []*Frame) (int, error) {
	q := batches.Get().(*batch)
	for q.n < min(len(frames), batchSize) {
		q.wire[q.n] = frames[q.n].wire(c.set.deflateMin)
		q.n++
	}
	c.out.queue = q
	c.out.block(nil)
	return q.n, nil
}

func (stream) try(*Conn) error { return nil }

// drain gathers small frames, because every Write makes a TLS record.
func (stream) drain(c *Conn) error {
	buf := recordBufs.Get().(*[recordSize]byte)
	defer recordBufs.Put(buf)
	for {
		n := c.out.gather(buf[:])
		if n == 0 {
			return nil
		}
		c.extend()
		if _, err := c.net.Write(buf[:n]); err != nil {
			return err
		}
	}
}

// gather copies what is pending into buf and counts it as written.
func (o *outbox) gather(buf []byte) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for n < len(buf) {
		b := o.next()
		if b == nil {
			break
		}
		k := copy(buf[n:], b)
		o.advance(k)
		n += k
	}
	return n
}

// read waits with a buffer of one byte, so that an idle client costs none,
// and takes a real one for the rest of what it has begun to receive.
func (stream) read(c *Conn) error {
	err := c.takeEarly()
	first := make([]byte, 1)
	for err == nil {
		c.pause()
		var n int
		n, err = c.net.Read(first)
		if n > 0 {
			if ferr := c.take(first); ferr != nil {
				return ferr
			}
		}
		for err == nil && !c.in.idle() {
			c.pause()
			err = readSome(c)
		}
	}
	return err
}

func readSome(c *Conn) error {
	buf := readBufs.Get().(*[readSize]byte)
	defer readBufs.Put(buf)
	n, err := c.net.Read(buf[:])
	if n > 0 {
		if ferr := c.take(buf[:n]); ferr != nil {
			return ferr
		}
	}
	return err
}
