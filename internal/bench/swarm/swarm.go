// Package swarm is thousands of WebSocket clients in one process, by epoll: it
// opens them, counts what they get, and hands the beginning of each frame over.
//
// It owns the sockets and answers Ping and Close as any client does. It never
// shares state with the server, and knows no protocol above RFC 6455: what a
// frame says is for the [Handler] to judge. It shares the machine with what it
// measures, so that it has to be cheap: a worker reads with one buffer for all
// its clients, and a payload is looked at no further than Options.Head.
// Start at [New], then connect.go and worker.go.
package swarm

import (
	"crypto/tls"
	"fmt"
	"time"
)

// Options are what may be left out. The zero value is good.
type Options struct {
	Workers int // epoll loops, each a goroutine; client i belongs to worker i modulo Workers; default 1
	Head    int // payload bytes of a frame that Handler.Frame is shown at most; default 128, negative: none
	Dialing int // handshakes under way at once, at least one per worker; default 512, negative: all at once

	// Retry is the pause before a client tries again that was refused for a
	// moment (connection refused, reset or closed, HTTP 503); default 1 s, with
	// 50 % more or less by chance. A longer Retry-After is honoured.
	Retry time.Duration

	// TLS nil is plain TCP. Else each client is a goroutine over crypto/tls,
	// which costs some 30 KiB and more time a frame than the server needs to
	// send it: good for small numbers, not for measuring a limit.
	TLS *tls.Config

	ReceiveBuffer int // SO_RCVBUF in bytes; 0: the system's
}

func (o Options) withDefaults() Options {
	if o.Workers <= 0 {
		o.Workers = 1
	}
	if o.Head == 0 {
		o.Head = 128
	}
	o.Head = max(o.Head, 0)
	if o.Dialing == 0 {
		o.Dialing = 512
	}
	if o.Retry <= 0 {
		o.Retry = time.Second
	}
	return o
}

// Handler is told what happens to clients. The calls for one client, and those
// of one worker, come one after the other; those of different workers at the
// same time. None may block, or call the Swarm's Connect or Close.
type Handler interface {
	// Open is called when the server has accepted a client's upgrade (101).
	Open(client int)

	// Frame is called when a data frame (text, binary or continuation) has come
	// completely. head is the beginning of its payload, deflated where it came
	// deflated, and valid during the call only; size is the payload's length.
	Frame(client int, head []byte, size int)

	// Closed is called once for each Open, when the connection has gone though
	// the Swarm was not closed, and for a client that was refused for good. err
	// says why: a *CloseError, a *Refusal, or what the network or the parser says.
	Closed(client int, err error)
}

// Stats is what all clients together have seen so far.
type Stats struct {
	Open    int64 // clients that are connected now
	Frames  int64 // data frames
	Bytes   int64 // read from the sockets after the handshakes, with headers and control frames
	Pongs   int64 // Pings that were answered, or are about to be
	Retries int64 // handshakes that were refused for a moment
}

// CloseError is the server's Close frame.
type CloseError struct {
	Code   int // 1005: the frame had none
	Reason string
}

// Error says what the server said.
func (e *CloseError) Error() string {
	return fmt.Sprintf("the server closed with %d %s", e.Code, e.Reason)
}

// Refusal is an answer to the upgrade that trying again does not change: any
// status but 101 and 503.
type Refusal struct {
	Status int
	Body   string // its beginning
}

// Error says what the server answered.
func (e *Refusal) Error() string {
	return fmt.Sprintf("the server answered the upgrade with %d: %s", e.Status, e.Body)
}
