package receiver

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// largest is how long a body may be, in bytes.
const largest = 64 << 20

// serve takes one request.
func (r *Receiver) serve(w http.ResponseWriter, req *http.Request, over <-chan struct{}) {
	at := time.Since(r.started)
	r.requests.Add(1)
	w.Header()["Date"] = nil // costs as much as the books
	box := r.find(req.URL.Path)
	if box == nil || req.Method != http.MethodPost {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	body, err := read(req)
	if err != nil {
		return // the caller has gone
	}
	call := box.note(req.Header, body, at)
	a := box.behaviour()(call)
	if !wait(req, over, a.Delay) {
		return
	}
	switch a.Cut {
	case Hang:
		wait(req, over, -1)
		cut(w, "", true)
	case Reset:
		cut(w, "", true)
	case MidHead:
		cut(w, "HTTP/1.1 200 OK\r\nContent-Le", false)
	case MidBody:
		box.accept(call, time.Since(r.started))
		cut(w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"code\":", false)
	default:
		r.answer(w, box, call, a)
	}
}

func (r *Receiver) find(path string) *Inbox {
	i, err := strconv.Atoi(strings.TrimPrefix(path, "/"))
	if err != nil || i < 0 || i >= len(r.inboxes) {
		return nil
	}
	return r.inboxes[i]
}

func read(req *http.Request) ([]byte, error) {
	if n := req.ContentLength; n >= 0 && n <= largest {
		body := make([]byte, n)
		_, err := io.ReadFull(req.Body, body)
		return body, err
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, largest+1))
	if len(body) > largest {
		err = errors.New("a body without end")
	}
	return body, err
}

// wait returns false if the endpoint ends or the caller leaves before d has
// passed; less than nothing is for ever.
func wait(req *http.Request, over <-chan struct{}, d time.Duration) bool {
	if d == 0 {
		return true
	}
	var passed <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-passed:
		return true
	case <-over:
	case <-req.Context().Done():
	}
	return false
}

// answer writes what has been decided. What is accepted goes into the books
// before the caller hears of it: the next event of its device may come at once.
func (r *Receiver) answer(w http.ResponseWriter, box *Inbox, call Call, a Answer) {
	if a.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((a.RetryAfter+time.Second-1)/time.Second)))
	}
	if a.Location != "" {
		w.Header().Set("Location", a.Location)
	}
	if a.Status >= 200 && a.Status <= 299 {
		box.accept(call, time.Since(r.started))
	}
	w.WriteHeader(a.Status)
}

// cut writes some bytes and ends the connection: with RST if it is to be rude.
func cut(w http.ResponseWriter, last string, rude bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // it has ended already
	}
	_, _ = io.WriteString(conn, last) // whoever has left does not miss it
	if tcp, ok := conn.(*net.TCPConn); ok && rude {
		_ = tcp.SetLinger(0) // without it the end is a polite one
	}
	_ = conn.Close()
}
