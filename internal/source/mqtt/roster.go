package mqtt

import (
	"container/list"
	"sync"
)

// roster knows every connection: those that have yet to sign in, and those that
// have.
type roster struct {
	seats   int // clients signed in
	waiting int // connections that are not, at most

	// mu guards the fields below. It is held only for map work: connections are
	// closed by the caller.
	mu     sync.Mutex
	guests list.List // of *client, not signed in, the oldest in front
	seated map[*client]struct{}
	byName map[name]*client // those that gave an identifier
	byUser map[string]int   // how many are seated
}

// name is what only one connection at a time may have. The user is part of it,
// so that nobody can push out another's device.
type name struct{ user, client string }

// newRoster returns one in which a quarter as many may wait as may be seated.
func newRoster(seats int) *roster {
	return &roster{seats: seats, waiting: max(seats/4, 16), seated: make(map[*client]struct{}), byName: make(map[name]*client), byUser: make(map[string]int)}
}

// enter takes in a new connection. If too many wait to sign in, it returns the
// one that has waited longest, which must go: honest devices sign in at once, and
// must not be kept out by connections that say nothing.
func (r *roster) enter(c *client) (oldest *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.guests.Len() >= r.waiting {
		oldest = r.guests.Front().Value.(*client)
		r.unlist(oldest)
	}
	c.place = r.guests.PushBack(c)
	return oldest
}

// seat lets a client sign in. It reports false if all seats are taken. It
// returns the client's former connection, if there is one, which has lost its
// seat and must end before this one goes on.
func (r *roster) seat(c *client, n name) (former *client, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.client != "" {
		former = r.byName[n]
	}
	if former == nil && len(r.seated) >= r.seats {
		return nil, false
	}
	if former != nil {
		r.unseat(former)
	}
	r.unlist(c)
	c.name = n
	r.seated[c] = struct{}{}
	r.byUser[n.user]++
	if n.client != "" {
		r.byName[n] = c
	}
	return former, true
}

// leave forgets a connection.
func (r *roster) leave(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unlist(c)
	r.unseat(c)
	if r.byName[c.name] == c {
		delete(r.byName, c.name)
	}
}

// unlist must be called with mu held.
func (r *roster) unlist(c *client) {
	if c.place != nil {
		r.guests.Remove(c.place)
		c.place = nil
	}
}

// unseat must be called with mu held.
func (r *roster) unseat(c *client) {
	if _, there := r.seated[c]; !there {
		return
	}
	delete(r.seated, c)
	if r.byUser[c.name.user]--; r.byUser[c.name.user] == 0 {
		delete(r.byUser, c.name.user)
	}
}

func (r *roster) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seated)
}

// of returns how many connections a user has.
func (r *roster) of(user string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byUser[user]
}
