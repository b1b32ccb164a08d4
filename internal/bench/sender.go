package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bench/load"
	"github.com/gatecast/gatecast/internal/bench/subject"
)

// sender hands numbered events to a server.
type sender struct {
	events *load.Events
	server *subject.Server
	post   *load.Poster
	last   uint64 // number of the newest event sent
}

// open returns a server and somebody who sends it the events of a new run.
func (l *lab) open(ctx context.Context, o subject.Own) (*sender, error) {
	server, err := l.server(ctx, o)
	if err != nil {
		return nil, err
	}
	return l.sender(ctx, server, load.NewEvents(l.opts.Size))
}

func (l *lab) sender(ctx context.Context, s *subject.Server, e *load.Events) (*sender, error) {
	p, err := load.Dial(ctx, target(s))
	if err != nil {
		return nil, err
	}
	l.later(p.Close)
	return &sender{events: e, server: s, post: p}, nil
}

func target(s *subject.Server) load.Target {
	return load.Target{Host: s.Host(), Token: s.Token(), TLS: s.TLS()}
}

// What a request has at most: what a server takes whose settings nobody has
// touched, and a little less.
const (
	mostEvents = 1000
	mostBytes  = 7 << 20
)

// most is how many events of this size a request has at most.
func most(e *load.Events) int { return max(1, min(mostEvents, mostBytes/e.Size())) }

// bodies returns the requests for the next n events.
func (s *sender) bodies(n int) (all [][]byte) {
	for n > 0 {
		part := min(n, most(s.events))
		all = append(all, s.events.Batch(s.last+1, s.last+uint64(part)))
		s.last += uint64(part)
		n -= part
	}
	return all
}

// send posts the next n events.
func (s *sender) send(n int) error {
	for _, body := range s.bodies(n) {
		if err := s.post.Post(body); err != nil {
			return err
		}
	}
	return nil
}

// fill posts many events. A server that is busy is asked again: this is not
// what is measured.
func (s *sender) fill(ctx context.Context, n int, progress func(done int)) error {
	for done := 0; done < n && ctx.Err() == nil; {
		part := min(most(s.events), n-done)
		for _, body := range s.bodies(part) {
			err := s.post.Post(body)
			for gatecast.CodeOf(err) == gatecast.TooMany && ctx.Err() == nil {
				err = s.post.Post(body)
			}
			if err != nil {
				return err
			}
		}
		done += part
		progress(done)
	}
	return ctx.Err()
}

// posters is several connections that post bodies as fast as answers come.
type posters struct {
	conns []*load.Poster
	body  func(n uint64) []byte // the nth request
	next  atomic.Uint64
	shed  atomic.Int64 // answers that said that the server is busy
	done  atomic.Int64 // requests that were accepted
}

// run posts until ctx ends, and returns the first error that is not just a busy
// server.
func (p *posters) run(ctx context.Context) error {
	var work sync.WaitGroup
	failed := make([]error, len(p.conns))
	for i, c := range p.conns {
		work.Go(func() {
			for ctx.Err() == nil && failed[i] == nil {
				switch err := c.Post(p.body(p.next.Add(1))); {
				case gatecast.CodeOf(err) == gatecast.TooMany:
					p.shed.Add(1)
				case err != nil:
					failed[i] = err
				default:
					p.done.Add(1)
				}
			}
		})
	}
	work.Wait()
	for _, err := range failed {
		if err != nil {
			return fmt.Errorf("post events: %w", err)
		}
	}
	return nil
}
