package ws

import (
	"container/list"
	"sync"
)

// queue is the connections that wait for a page from the journal: first come,
// first served within an app, and the apps in rotation, so that an app with a
// thousand stragglers does not hold up one with a single one. It is bounded by
// the connections: each stands in it once, and not when it has gone.
type queue struct {
	// mu guards the fields below, and conn.turn; it is held for list operations only.
	mu    sync.Mutex
	lines map[string]*list.List // connections by app, some perhaps empty
	apps  []string              // keys of lines, the next one first
	flag  chan struct{}         // holds a token while there may be connections
}

func newQueue() *queue {
	return &queue{lines: make(map[string]*list.List), flag: make(chan struct{}, 1)}
}

func (q *queue) add(c *conn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := q.lines[c.who.app]
	if line == nil {
		line = list.New()
		q.lines[c.who.app] = line
		q.apps = append(q.apps, c.who.app)
	}
	c.turn = line.PushBack(c)
	q.wake()
}

// next takes out the connection whose turn it is, and has another worker woken
// if there are more.
func (q *queue) next() (*conn, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.apps) > 0 {
		app := q.apps[0]
		q.apps = q.apps[1:]
		line := q.lines[app]
		if line.Len() == 0 { // its connections have gone
			delete(q.lines, app)
			continue
		}
		c := line.Remove(line.Front()).(*conn)
		c.turn = nil
		if line.Len() == 0 {
			delete(q.lines, app)
		} else {
			q.apps = append(q.apps, app)
		}
		if len(q.apps) > 0 {
			q.wake()
		}
		return c, true
	}
	return nil, false
}

// drop takes a connection out, if it is there.
func (q *queue) drop(c *conn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.turn == nil {
		return
	}
	q.lines[c.who.app].Remove(c.turn)
	c.turn = nil
}

// wake must be called with mu held.
func (q *queue) wake() {
	select {
	case q.flag <- struct{}{}:
	default:
	}
}
