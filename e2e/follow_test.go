package e2e

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gobwas/ws"
)

// connected is the first message of a good connection, heartbeat the one that
// may come between any others.
const (
	connected = `{"code":20000,"message":"Connected!","desc":"Connected!"}`
	heartbeat = `{"code":10000,"desc":"heart beat","message":"heart beat"}`
)

// sign is the signature of the protocol, written here a second time so that
// a mistake in the product's own cannot hide.
func sign(timestamp, secret string) string {
	sum := md5.Sum([]byte(timestamp + "#" + secret))
	return hex.EncodeToString(sum[:])
}

// signedURL is the address that the documentation tells an app to connect to.
func (s *server) signedURL(a app) string { return signedURL(s.base, a) }

// signedURL is the same for a server behind another address.
func signedURL(base string, a app) string {
	timestamp := fmt.Sprint(time.Now().UnixMilli())
	return fmt.Sprintf("ws%s/websocket/record/%s/%s/%s", strings.TrimPrefix(base, "http"), a.Key, timestamp, sign(timestamp, a.Secret))
}

// follower is one plain WebSocket connection and what it was sent.
type follower struct {
	conn net.Conn
	done chan struct{} // closed when the connection has ended
	upTo int           // how many events the journal held when the connection was ended in good order; 0 if it was not

	// Written until done is closed, read after.
	first    string   // the first message
	messages []string // pushes, in order
	code     ws.StatusCode
}

// follow connects and reads until the connection ends.
func follow(t *testing.T, url string) *follower {
	t.Helper()
	ctx := within(t)
	conn, early, _, err := ws.Dial(ctx, url)
	if err != nil {
		t.Fatalf("connect to the server: %v", err)
	}
	f := &follower{conn: conn, done: make(chan struct{})}
	var in io.Reader = conn
	if early != nil { // bytes that came together with the handshake
		in = io.MultiReader(io.LimitReader(early, int64(early.Buffered())), conn)
	}
	ready := make(chan struct{})
	go f.read(in, ready)
	t.Cleanup(func() { _ = conn.Close(); <-f.done })
	select {
	case <-ready:
	case <-f.done:
		t.Fatal("the connection ended before its first message")
	case <-ctx.Done():
		t.Fatal("no first message on a new connection")
	}
	return f
}

// read closes ready after the first message. It handles frames itself, for
// gobwas's own handler takes close code 1012 for a fault.
func (f *follower) read(in io.Reader, ready chan<- struct{}) {
	defer close(f.done)
	var text []byte
	for {
		header, err := ws.ReadHeader(in)
		if err != nil || header.Length > 1<<20 {
			return
		}
		payload := make([]byte, header.Length)
		if _, err := io.ReadFull(in, payload); err != nil {
			return
		}
		switch header.OpCode {
		case ws.OpPing:
			_ = ws.WriteFrame(f.conn, ws.MaskFrame(ws.NewPongFrame(payload))) // the next read tells
		case ws.OpClose:
			f.code, _ = ws.ParseCloseFrameData(payload)
			_ = ws.WriteFrame(f.conn, ws.MaskFrame(ws.NewCloseFrame(payload)))
			return
		case ws.OpText, ws.OpContinuation:
			if text = append(text, payload...); header.Fin {
				f.take(string(text), ready)
				text = nil
			}
		}
	}
}

// take sorts a message in.
func (f *follower) take(message string, ready chan<- struct{}) {
	switch {
	case f.first == "":
		f.first = message
		close(ready)
	case message != heartbeat:
		f.messages = append(f.messages, message)
	}
}

// ended waits until the connection is over, however it ended.
func (f *follower) ended(ctx context.Context, t *testing.T) {
	t.Helper()
	select {
	case <-f.done:
	case <-ctx.Done():
		t.Fatal("a connection outlives its server")
	}
}

// check compares what the ended connection was sent with the journal: a
// stretch of it without a hole, in its order, in the exact bytes. Only events
// in racing may be missing from the journal; see [ledger.powerFails].
func (f *follower) check(t *testing.T, events []gatecast.Event, racing map[int64]bool) {
	t.Helper()
	if f.first != connected {
		t.Errorf("first message %q, want %q", f.first, connected)
	}
	place := map[string]int{}
	for i, e := range events {
		place[e.ID] = i
	}
	last := -1 // place of the event before
	for _, message := range f.messages {
		var m struct {
			Data struct {
				ID int64 `json:"id"`
			} `json:"data"`
		}
		if err := json.Unmarshal([]byte(message), &m); err != nil {
			t.Errorf("not JSON (%v): %s", err, message)
			continue
		}
		want := sample(m.Data.ID)
		i, stored := place[want.id()]
		switch {
		case !stored && racing[m.Data.ID]:
			continue
		case !stored:
			t.Errorf("event %s was pushed, but is not in the journal", want.id())
			continue
		case last >= 0 && i != last+1:
			t.Errorf("event %s, number %d of the journal, was pushed right after number %d", want.id(), i, last)
		case message != want.push():
			t.Errorf("pushed %s\nwant   %s", message, want.push())
		}
		last = i
	}
	if f.upTo > 0 && last != f.upTo-1 {
		t.Errorf("the last event pushed was number %d of the journal, want all of them up to %d", last, f.upTo-1)
	}
}

// crowd is the followers of one test.
type crowd struct{ all []*follower }

// join connects n more followers.
func (c *crowd) join(t *testing.T, url string, n int) {
	t.Helper()
	for range n {
		c.all = append(c.all, follow(t, url))
	}
}

// complete says that the server has just been stopped in good order, when its
// journal held so many events: every connection but the first ones had to be
// pushed the last of them.
func (c *crowd) complete(first, upTo int) {
	for _, f := range c.all[first:] {
		f.upTo = upTo
	}
}

// check waits for the end of every connection and checks it. It returns how
// many events were pushed; without any there was nothing to compare.
func (c *crowd) check(t *testing.T, events []gatecast.Event, racing map[int64]bool) (pushed int) {
	t.Helper()
	ctx := within(t)
	for _, f := range c.all {
		f.ended(ctx, t)
		f.check(t, events, racing)
		pushed += len(f.messages)
	}
	if pushed == 0 {
		t.Error("no event was pushed to any client, so this run compared nothing")
	}
	t.Logf("%d connections were pushed %d events", len(c.all), pushed)
	return pushed
}
