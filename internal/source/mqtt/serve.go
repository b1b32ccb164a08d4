package mqtt

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// acceptRest is how long nobody is let in after the system could not, as when
// too many files are open.
const acceptRest = 100 * time.Millisecond

// Serve takes connections from l, which it closes, until ctx ends. Then it
// reads no more, lets the journal have what was read, acknowledges that, and
// closes the connections: it returns when all that is done, some seconds later
// at most. Its error is that l has failed for good.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	pace := rate.NewLimiter(rate.Limit(s.opts.Limits.LoginRate), s.opts.Limits.LoginRate)
	for pace.Wait(ctx) == nil {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close() // it came as the door was shut
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			s.opts.Log.Error("no mqtt connection could be taken in", "err", err)
			sleep(ctx, acceptRest)
		default:
			c := s.newClient(conn)
			if oldest := s.roster.enter(c); oldest != nil {
				_ = oldest.conn.Close() // its reader ends
			}
			clients.Go(func() { c.run(ctx) })
		}
	}
	return nil
}
