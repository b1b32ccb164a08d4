package client

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

func TestAnEventComesWithItsBytesAndItsIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, sessions(t, func(s session) {
			s.welcome()
			s.text(senselink.HeartBeat)
			s.text(record("41"))
			s.drain()
		}))
		for e, err := range newClient(t, h, Options{}).Events(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if string(e.Raw) != record("41") {
				t.Errorf("raw bytes changed: %s", e.Raw)
			}
			e.Raw, e.Data = nil, nil
			want := Event{Event: gatecast.Event{
				ID: "record:SPSP-1:41", Kind: gatecast.Record, Device: "SPSP-1", Groups: []int64{7},
				At: time.Unix(1569725174, 0).UTC(),
			}}
			e.Stored = time.Time{}
			if diff := cmp.Diff(want, e); diff != "" {
				t.Error(diff)
			}
			break
		}
	})
}

// What the server may rely on: a pong says that the events before it are done.
func TestPongComesOnlyAfterTheEventsBeforeItWereHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pongs atomic.Value
		pongs.Store("")
		h := serve(t, sessions(t, func(s session) {
			s.welcome()
			s.text(record("1"))
			s.send(ws.NewPingFrame([]byte("seq 1")))
			f, _ := s.frame()
			if f.Header.OpCode != ws.OpPong {
				t.Errorf("got %v, want a pong", f.Header.OpCode)
			}
			pongs.Store(string(f.Payload))
			s.text(record("2"))
			s.drain()
		}))
		n := 0
		for _, err := range newClient(t, h, Options{}).Events(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 2 {
				break
			}
			pass(time.Hour) // simulated: the work on the event
			if got := pongs.Load(); got != "" {
				t.Errorf("pong %q came before its event was handled", got)
			}
		}
		if got := pongs.Load(); got != "seq 1" {
			t.Errorf("pong carries %q, want the ping's payload", got)
		}
	})
}

func TestFragmentsWithAPingInBetweenMakeOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, sessions(t, func(s session) {
			body := []byte(record("5"))
			s.send(ws.NewFrame(ws.OpText, false, body[:62])) // inside a character of three bytes
			s.send(ws.NewPingFrame([]byte("p")))
			if f, _ := s.frame(); f.Header.OpCode != ws.OpPong {
				t.Errorf("got %v, want a pong", f.Header.OpCode)
			}
			s.send(ws.NewFrame(ws.OpContinuation, false, nil))
			s.send(ws.NewFrame(ws.OpContinuation, true, body[62:]))
			s.drain()
		}))
		for e, err := range newClient(t, h, Options{}).Events(t.Context()) {
			if err != nil || string(e.Raw) != record("5") {
				t.Errorf("got %s, %v", e.Raw, err)
			}
			break
		}
	})
}

// A message that is too large would come again after each reconnect.
func TestAMessageBeyondTheLimitEndsTheStream(t *testing.T) {
	fits := record("1")
	for limit, want := range map[int]bool{len(fits): true, len(fits) - 1: false} {
		synctest.Test(t, func(t *testing.T) {
			code := make(chan ws.StatusCode, 1)
			h := serve(t, sessions(t, func(s session) {
				go s.text(fits)
				code <- s.drain()
			}))
			for e, err := range newClient(t, h, Options{MaxMessage: limit}).Events(t.Context()) {
				if want != (err == nil) || (err != nil && gatecast.CodeOf(err) != gatecast.TooLarge) {
					t.Errorf("limit %d: %s, %v", limit, e.Raw, err)
				}
				break
			}
			if got := <-code; !want && got != ws.StatusMessageTooBig {
				t.Errorf("closed with %d, want 1009", got)
			}
		})
	}
}

func TestABrokenProtocolClosesWithItsCodeAndIsTriedAgain(t *testing.T) {
	reserved := ws.NewTextFrame([]byte("{}"))
	reserved.Header.Rsv = ws.Rsv(true, false, false)
	control := ws.NewFrame(ws.OpPing, true, make([]byte, 126))
	for name, tc := range map[string]struct {
		frames []ws.Frame
		want   ws.StatusCode
	}{
		"masked":                {[]ws.Frame{ws.MaskFrame(ws.NewTextFrame([]byte("{}")))}, 1002},
		"reserved bit":          {[]ws.Frame{reserved}, 1002},
		"reserved opcode":       {[]ws.Frame{ws.NewFrame(0x3, true, nil)}, 1002},
		"long ping":             {[]ws.Frame{control}, 1002},
		"fragmented ping":       {[]ws.Frame{ws.NewFrame(ws.OpPing, false, nil)}, 1002},
		"continuation of none":  {[]ws.Frame{ws.NewFrame(ws.OpContinuation, true, nil)}, 1002},
		"text inside a message": {[]ws.Frame{ws.NewFrame(ws.OpText, false, []byte("{")), ws.NewTextFrame([]byte("{}"))}, 1002},
		"not UTF-8":             {[]ws.Frame{ws.NewTextFrame([]byte{0xff})}, 1007},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				code := make(chan ws.StatusCode, 1)
				h := serve(t, sessions(t, func(s session) {
					if s.n == 2 {
						s.text(record("1"))
						s.drain()
						return
					}
					s.welcome()
					go func() { // the client need not read all of it
						for _, f := range tc.frames {
							s.send(f)
						}
					}()
					code <- s.drain()
				}))
				for _, err := range newClient(t, h, Options{}).Events(t.Context()) {
					if err != nil {
						t.Error(err)
					}
					break
				}
				if got := <-code; got != tc.want {
					t.Errorf("closed with %d, want %d", got, tc.want)
				}
			})
		})
	}
}

func TestAMessageThatCannotBeReadCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		odd := `{"code":30100,"desc":"","message":"push alarm","data":{"id":"not a number"}}`
		h := serve(t, sessions(t, func(s session) {
			s.welcome()
			s.text(`no JSON at all`)
			s.text(`{"code":4711}`)
			s.text(``)
			s.send(ws.NewBinaryFrame([]byte{1, 2, 3}))
			s.text(odd)
			s.text(record("1"))
			s.drain()
		}))
		var got []string
		for e, err := range newClient(t, h, Options{}).Events(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, e.Kind.String()+string(e.Raw)); len(got) == 2 {
				break
			}
		}
		if diff := cmp.Diff([]string{"alarm" + odd, "record" + record("1")}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLeavingTheLoopOrEndingTheContextSaysGoodbye(t *testing.T) {
	for _, leave := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			code := make(chan ws.StatusCode, 1)
			h := serve(t, sessions(t, func(s session) {
				s.text(record("1"))
				code <- s.drain()
			}))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var last error
			for _, err := range newClient(t, h, Options{}).Events(ctx) {
				if last = err; leave {
					break
				}
				time.AfterFunc(time.Minute, cancel)
			}
			if !leave && !errors.Is(last, context.Canceled) {
				t.Errorf("ended with %v, want the context's error", last)
			}
			if got := <-code; got != ws.StatusNormalClosure {
				t.Errorf("leave %v: closed with %d, want 1000", leave, got)
			}
		})
	}
}
