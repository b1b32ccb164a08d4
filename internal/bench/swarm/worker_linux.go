package swarm

import (
	"bytes"
	"fmt"
	"math"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// worker is one epoll loop and its clients. Everything but the mailbox and what
// it shows of its tally belongs to its goroutine.
type worker struct {
	mail    *mailbox
	opts    Options
	handler Handler
	place   int // among the workers
	per     int // clients per source address
	epoll   int
	clients []client
	buf     []byte // of one read, with room in front for what a parser keeps
	again   []int  // clients with more to read than their turn was long
	dials   dials
	tally
	stopped bool
}

// tally is what a worker counts.
type tally struct {
	now                  int // client that is being parsed
	frames, bytes, pongs int64
	shown                [3]atomic.Int64 // these, as they were after the last round
	open, retries        atomic.Int64
}

// bell is what epoll says in place of a client when the mailbox has something.
const bell = -1

// readSize is how much is read at once: as much as a burst leaves in a socket,
// and little enough for the processor's cache.
const readSize = 128 << 10

// startsPerRound is how many handshakes are begun between two looks at the
// sockets.
const startsPerRound = 64

func newWorker(h Handler, o Options, place int) (*worker, error) {
	m, err := newMailbox()
	if err != nil {
		return nil, explain(err)
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, m.bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: bell})
	}
	if err != nil {
		m.shut()
		return nil, explain(err) // an epoll descriptor without its bell ends with the process
	}
	limit := max(1, o.Dialing/o.Workers)
	if o.Dialing < 0 {
		limit = math.MaxInt
	}
	return &worker{
		mail: m, opts: o, handler: h, place: place, per: perSource(), epoll: fd,
		buf: make([]byte, room(o.Head)+readSize), dials: dials{limit: limit},
	}, nil
}

// run serves the clients until a task says stop.
func (w *worker) run() {
	events := make([]unix.EpollEvent, 256)
	for !w.stopped {
		n, err := unix.EpollWait(w.epoll, events, w.patience())
		if err != nil && err != unix.EINTR {
			panic(fmt.Sprintf("epoll_wait: %v", err)) // the descriptor is ours, and open
		}
		more := w.again
		w.again = nil
		rung := false
		for _, e := range events[:max(n, 0)] {
			if e.Fd == bell {
				rung = true
			} else {
				w.serve(int(e.Fd), e.Events)
			}
		}
		for _, i := range more {
			w.clients[i].again = false
			w.read(i, true)
		}
		w.show()
		if rung {
			w.mail.do()
		}
		w.begin()
	}
	w.leave()
}

// patience returns how long to wait for the sockets, in milliseconds.
func (w *worker) patience() int {
	if len(w.again) > 0 {
		return 0
	}
	return w.dials.wait()
}

func (w *worker) show() {
	for i, n := range [...]int64{w.frames, w.bytes, w.pongs} {
		w.shown[i].Store(n)
	}
}

// number returns a client's number in the swarm.
func (w *worker) number(i int) int { return i*w.opts.Workers + w.place }

// enlist takes on the clients of a wave that are this worker's.
func (w *worker) enlist(wave *wave, to int) {
	for w.number(len(w.clients)) < to {
		w.dials.queue = append(w.dials.queue, len(w.clients))
		w.clients = append(w.clients, client{dialing: &dialing{wave: wave}})
	}
}

// begin starts handshakes, as many as may be under way.
func (w *worker) begin() {
	for range startsPerRound {
		i, ok := w.dials.next()
		if !ok {
			return
		}
		if w.clients[i].dialing != nil { // else it was given up meanwhile
			w.ask(i)
		}
	}
}

// ask connects a client and has its request ready for when it is.
func (w *worker) ask(i int) {
	c := &w.clients[i]
	d := c.dialing
	request := d.wave.request(w.number(i))
	d.deflate = bytes.Contains(request, []byte("permessage-deflate"))
	from, _ := source(w.number(i), w.per, d.wave.addr.Addr())
	fd, err := open(d.wave.addr, from, w.opts.ReceiveBuffer)
	c.fd, c.state = int32(fd), asking
	w.dials.under++
	if err == nil {
		c.out.must(request)
		err = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
			Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(i),
		})
	}
	if err != nil {
		w.failed(i, err)
	}
}

// abandon gives up the clients of a wave that are not open.
func (w *worker) abandon(wave *wave) {
	for i := range w.clients {
		c := &w.clients[i]
		if c.dialing == nil || c.dialing.wave != wave {
			continue
		}
		if c.state == asking {
			w.hangUp(c)
			w.dials.under--
		}
		c.dialing = nil
	}
}

// leave closes everything.
func (w *worker) leave() {
	for i := range w.clients {
		if c := &w.clients[i]; c.state != away {
			w.hangUp(c)
		}
	}
	w.open.Store(0)
	_ = unix.Close(w.epoll)
	for _, task := range w.mail.shut() { // somebody may wait for it
		task()
	}
}
