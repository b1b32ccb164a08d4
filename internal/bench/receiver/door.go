package receiver

import (
	"io"
	"log"
	"net"
	"net/http"
	"sync"
)

// door is the endpoint from one Up to the next Down.
type door struct {
	server *http.Server
	over   chan struct{} // closed at the end: lets go what hangs
	busy   sync.WaitGroup

	mu     sync.Mutex // guards closed: nobody comes in once close waits for those inside
	closed bool
}

type handler func(w http.ResponseWriter, r *http.Request, over <-chan struct{})

func newDoor(l net.Listener, serve handler) *door {
	d := &door{over: make(chan struct{})}
	d.server = &http.Server{
		ErrorLog: log.New(io.Discard, "", 0), // connections are cut here on purpose
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if d.enter() {
				defer d.busy.Done()
				serve(w, r, d.over)
			}
		}),
	}
	d.busy.Go(func() { _ = d.server.Serve(l) }) // ends with the server
	return d
}

func (d *door) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.busy.Add(1)
	}
	return !d.closed
}

func (d *door) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	close(d.over)
	_ = d.server.Close() // of the listener; nothing is lost by its failing
	d.busy.Wait()
}
