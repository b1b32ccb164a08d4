package quarantine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/gatecast/gatecast"
)

// List returns up to limit messages without their bodies, newest first, that
// came before the one with the ID before; an empty ID is after the newest. It
// costs no I/O, and its error is always nil.
func (s *Store) List(_ context.Context, before string, limit int) ([]gatecast.Quarantined, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := len(s.items)
	if before != "" {
		end, _ = s.find(before)
	}
	page := make([]gatecast.Quarantined, 0, max(min(limit, end), 0))
	for i := end - 1; i >= 0 && len(page) < limit; i-- {
		page = append(page, s.items[i].Quarantined)
	}
	return page, nil
}

// Get returns a message with its body. Its error is NotFound if there is none,
// and Unavailable if the file cannot be read.
func (s *Store) Get(_ context.Context, id string) (gatecast.Quarantined, error) {
	known, there := s.known(id)
	if !there {
		return gatecast.Quarantined{}, notFound(id)
	}
	q, err := s.read(id)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return gatecast.Quarantined{}, notFound(id)
	case err != nil:
		return gatecast.Quarantined{}, unavailable(fmt.Errorf("read a message in the quarantine: %w", err))
	}
	known.Body = q.Body
	return known, nil
}

// Drop forgets a message. Its error is NotFound if there is none, Unavailable
// if its file cannot be removed, and that of ctx if that ends first.
func (s *Store) Drop(ctx context.Context, id string) error {
	select {
	case s.pen <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer s.givePen()
	if _, there := s.known(id); !there {
		return notFound(id)
	}
	if err := os.Remove(s.file(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return unavailable(fmt.Errorf("remove a message from the quarantine: %w", err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, there := s.find(id); there {
		s.bytes -= s.items[i].file
		s.items = slices.Delete(s.items, i, i+1)
	}
	return nil
}

func (s *Store) known(id string) (gatecast.Quarantined, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, there := s.find(id)
	if !there {
		return gatecast.Quarantined{}, false
	}
	return s.items[i].Quarantined, true
}

func notFound(id string) error {
	return gatecast.Errorf(gatecast.NotFound, "nothing with the ID %.40q is in the quarantine", id)
}
