package swarm

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// secure is one client over TLS.
type secure struct {
	parser
	guard  *guard
	place  *sync.Mutex // of guard.places
	number int
	conn   net.Conn
	out    outbox // answers to what the last read brought: of Pongs the newest
	buf    []byte // of one read, with room in front; what came behind the answer waits there
	early  []byte // frames that came behind the answer to the upgrade
	end    error  // the server's Close frame
}

// secureRead is how much is read at once.
const secureRead = 4 << 10

// connect tries until the client is open, refused for good, or given up.
func (s *secure) connect(ctx context.Context, w *wave) error {
	for {
		err := s.try(ctx, w)
		after, again := momentary(err)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil, err == errClosed:
			return err
		case !again:
			s.place.Lock()
			s.guard.handler.Closed(s.number, err)
			s.place.Unlock()
			w.end(err)
			return err
		}
		s.guard.retries.Add(1)
		pause := time.NewTimer(s.guard.opts.pause(after))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

// try makes one attempt.
func (s *secure) try(ctx context.Context, w *wave) error {
	if err := s.guard.permit(ctx); err != nil {
		return err
	}
	defer s.guard.permitDone()
	d := tls.Dialer{Config: s.guard.opts.TLS}
	conn, err := d.DialContext(ctx, "tcp", w.host)
	if err != nil {
		return err
	}
	if err := s.guard.keep(conn); err != nil {
		_ = conn.Close()
		return err
	}
	s.conn = conn
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	err = s.ask(w)
	if !stop() && err == nil {
		err = ctx.Err() // it is closed
	}
	if err != nil {
		s.guard.drop(conn)
		return err
	}
	s.guard.open.Add(1)
	s.place.Lock()
	s.guard.handler.Open(s.number)
	s.place.Unlock()
	w.opened()
	return nil
}

// ask sends the request and reads the answer.
func (s *secure) ask(w *wave) error {
	request := w.request(s.number)
	if _, err := s.conn.Write(request); err != nil {
		return err
	}
	var answer []byte
	part := make([]byte, secureRead)
	for {
		n, err := s.conn.Read(part)
		answer = append(answer, part[:n]...)
		frames, deflate, bad := readAnswer(answer, err != nil)
		switch {
		case bad == nil:
			s.early = answer[frames:]
			s.deflate = deflate && bytes.Contains(request, []byte("permessage-deflate"))
			return nil
		case bad == io.ErrUnexpectedEOF:
			return err
		case bad != errUnfinished:
			return bad
		}
	}
}

// listen takes frames until the connection ends.
func (s *secure) listen() {
	s.buf = make([]byte, room(s.guard.opts.Head)+secureRead)
	err := s.take(s.early, 0)
	s.early = nil
	for at := len(s.buf) - secureRead; err == nil; {
		var n int
		n, err = s.conn.Read(s.buf[at:])
		if bad := s.take(s.buf[:at+n], at); bad != nil {
			err = bad
		}
	}
	open := s.guard.drop(s.conn)
	s.guard.open.Add(-1)
	if !open {
		return
	}
	switch {
	case s.end != nil:
		err = s.end
	case err == io.EOF:
		err = io.ErrUnexpectedEOF // without a Close frame
	}
	s.place.Lock()
	defer s.place.Unlock()
	s.guard.handler.Closed(s.number, err)
}

// take deals with b[at:] and answers what has to be.
func (s *secure) take(b []byte, at int) error {
	s.guard.bytes.Add(int64(len(b) - at))
	if s.end != nil {
		return nil // until the server hangs up
	}
	s.place.Lock()
	err := s.feed(b, at, s.guard.opts.Head, s)
	s.place.Unlock()
	var byServer *CloseError
	if errors.As(err, &byServer) {
		s.end, err = byServer, nil
		s.out.close(byServer.Code)
	}
	if len(s.out.bytes) > 0 {
		if _, failed := s.conn.Write(s.out.bytes); failed != nil {
			return failed
		}
		s.out.sent(len(s.out.bytes))
	}
	return err
}

// data and ping are what the parser calls.
func (s *secure) data(head []byte, size int) {
	s.guard.frames.Add(1)
	s.guard.handler.Frame(s.number, head, size)
}

func (s *secure) ping(payload []byte) {
	s.guard.pongs.Add(1)
	s.out.pong(payload)
}
