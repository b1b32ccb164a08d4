package subject

import (
	"cmp"
	"context"
	"net/http"
	"sync"

	"github.com/gatecast/gatecast"
)

// Subscription is what a measurement asks for. The fields are those of the API.
type Subscription struct {
	URL         string         `json:"url"`
	Description string         `json:"description,omitempty"`
	Order       gatecast.Order `json:"order,omitempty"`
	Concurrency int            `json:"concurrency,omitempty"`
	Timeout     string         `json:"timeout,omitempty"`
}

// atOnce is how many requests change subscriptions together: one after the
// other, most of the time would be the disk's.
const atOnce = 16

// Subscribe makes subscriptions and returns their IDs in the same order. They
// are deleted at Close.
func (s *Server) Subscribe(ctx context.Context, all []Subscription) ([]string, error) {
	ids := make([]string, len(all))
	err := together(len(all), func(i int) error {
		var made struct {
			ID string `json:"id"`
		}
		err := s.api.call(ctx, http.MethodPost, "/api/v1/subscriptions", all[i], &made)
		ids[i] = made.ID
		return err
	})
	for _, id := range ids {
		if id != "" {
			s.subscriptions = append(s.subscriptions, id)
		}
	}
	return ids, err
}

// Pause has nothing sent to subscriptions until they are resumed.
func (s *Server) Pause(ctx context.Context, ids ...string) error {
	return s.each(ctx, ids, http.MethodPost, "/pause")
}

// Resume has subscriptions sent what has come meanwhile, and what comes.
func (s *Server) Resume(ctx context.Context, ids ...string) error {
	return s.each(ctx, ids, http.MethodPost, "/resume")
}

// Unsubscribe deletes subscriptions.
func (s *Server) Unsubscribe(ctx context.Context, ids ...string) error {
	return s.each(ctx, ids, http.MethodDelete, "")
}

func (s *Server) each(ctx context.Context, ids []string, method, path string) error {
	return together(len(ids), func(i int) error {
		return s.api.call(ctx, method, "/api/v1/subscriptions/"+ids[i]+path, nil, nil)
	})
}

// together does n things, some at a time, and begins no more when one has failed.
// What is under way then is let end: what it makes must be known.
func together(n int, do func(i int) error) error {
	next, failed := make(chan int), make(chan error, atOnce)
	var work sync.WaitGroup
	for range min(n, atOnce) {
		work.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	var first error
	for i := 0; i < n && first == nil; i++ {
		select {
		case next <- i:
		case first = <-failed:
		}
	}
	close(next)
	work.Wait()
	close(failed)
	return cmp.Or(first, <-failed) // which is nil if nothing else has failed
}
