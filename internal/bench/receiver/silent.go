package receiver

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// SilentEndpoint accepts connections and never says a word on them.
type SilentEndpoint struct {
	listener net.Listener
	busy     sync.WaitGroup

	mu    sync.Mutex            // guards conns and taken; nothing is read or written under it
	conns map[net.Conn]struct{} // nil: closed
	taken int
}

// Silent listens on a free port of 127.0.0.1 and takes what is sent to it,
// without an answer.
func Silent() (*SilentEndpoint, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen in silence: %w", err)
	}
	s := &SilentEndpoint{listener: l, conns: make(map[net.Conn]struct{})}
	s.busy.Go(s.accept)
	return s, nil
}

// URL is where to post to.
func (s *SilentEndpoint) URL() string { return "http://" + s.listener.Addr().String() + "/" }

// Connections is how many it has accepted so far.
func (s *SilentEndpoint) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// Close cuts all connections.
func (s *SilentEndpoint) Close() {
	_ = s.listener.Close() // nothing is lost by its failing
	s.mu.Lock()
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	for c := range conns {
		_ = c.Close()
	}
	s.busy.Wait()
}

func (s *SilentEndpoint) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		if !s.keep(c) {
			_ = c.Close()
			return
		}
		s.busy.Go(func() {
			_, _ = io.Copy(io.Discard, c) // until the caller has had enough
			s.drop(c)
		})
	}
}

func (s *SilentEndpoint) keep(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		return false
	}
	s.taken++
	s.conns[c] = struct{}{}
	return true
}

func (s *SilentEndpoint) drop(c net.Conn) {
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}
