package ws

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
	"github.com/gatecast/gatecast/senselink"
	gows "github.com/gobwas/ws"
)

func TestStragglerGetsWhatItIsOwedBeforeIts1012(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			const n, padding = 2000, 1000
			s := openSite(t, front{tls: secure, narrow: true}, 256, Options{})
			slow := s.connect()
			s.publish(1, n, padding, gatecast.Record)
			s.awaitHead(n)
			done := make(chan struct{})
			go func() { s.server.Drain(t.Context(), 0); close(done) }()
			slow.expectEvents(1, n, padding, gatecast.Record)
			slow.expectClose(1012)
			<-done
		})
	}
}

func TestStragglerThatTakesNothingIsClosedAllTheSame(t *testing.T) {
	s := openSite(t, front{narrow: true}, 256, Options{})
	s.connect() // and read no more
	s.publish(1, 2000, 1000, gatecast.Record)
	s.awaitHead(2000)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s.server.Drain(ctx, 0)
	for _, c := range s.server.roster.all() {
		if _, err := c.sock.Push([]*wsconn.Frame{wsconn.NewText(nil)}); err == nil {
			t.Error("the time for a drain is over, and a connection is not even closing")
		}
	}
}

func TestRunReturnsAfterTheLastHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		apps := blockingApps{asked: make(chan struct{}), answer: make(chan struct{})}
		s := New(apps, endless{}, nil, nil, Options{Shards: 1})
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { defer close(ran); _ = s.Run(ctx) }()
		go s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path(key, secret, time.Now()), nil))
		<-apps.asked
		cancel()
		synctest.Wait()
		select {
		case <-ran:
			t.Error("Run returned while a handshake was still under way")
		default:
		}
		close(apps.answer)
		<-ran
	})
}

// blockingApps keeps whoever asks for an app waiting.
type blockingApps struct{ asked, answer chan struct{} }

func (b blockingApps) App(string) (*gatecast.App, bool) {
	close(b.asked)
	<-b.answer
	return nil, false
}

func (blockingApps) Changes(ctx context.Context) iter.Seq[string] {
	return func(func(string) bool) { <-ctx.Done() }
}

// endless is a ring that always has one event more, and never any when it is
// asked from the start.
type endless struct{ busy bool }

func (endless) Head() gatecast.Seq { return 0 }

func (endless) Floor() gatecast.Seq { return 0 }

func (e endless) Window(after gatecast.Seq, buf []*gatecast.Event) ([]*gatecast.Event, bool) {
	if !e.busy {
		return buf, true
	}
	return append(buf, &gatecast.Event{Seq: after + 1, Kind: gatecast.Record, Data: []byte("{}")}), true
}

func (endless) Listen() (<-chan struct{}, func()) { return make(chan struct{}), func() {} }

func TestHeartbeatsAndTheEndComeThroughUnderConstantLoad(t *testing.T) {
	app := anApp()
	app.Kinds = []gatecast.Kind{gatecast.Alarm} // sees nothing of the load
	app.CatchUp.Window = gatecast.LookbackOff
	server := New(newFakeApps(app), endless{busy: true}, nil, nil, Options{Heartbeat: 20 * time.Millisecond, Shards: 1})
	front := httptest.NewServer(server)
	defer front.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { _ = server.Run(ctx) })
	p := (&site{t: t, url: front.URL}).dial(path(key, secret, time.Now()))
	p.expectText(senselink.Connected)
	p.expectText(senselink.HeartBeat)
	<-server.shards[0].reached(1)
}

func TestRefusedClientsAreLimitedAndDoNotDelayTheEnd(t *testing.T) {
	s := newSite(t, 64, Options{MaxRefused: 1, Conn: wsconn.Options{CloseTimeout: time.Hour}})
	wrong := path(key, "another secret", time.Now())
	first := s.dial(wrong) // and does not answer the close frame
	first.text()
	res, err := http.Get(s.url + wrong)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("status %d for one refused client too many, want 503 and Retry-After", res.StatusCode)
	}
	s.connect() // who may connect is not held up by those who may not
	s.stop()
}

func TestFirstMessageIs20000WhateverTheClientSendsWithItsHandshake(t *testing.T) {
	s := openSite(t, front{tls: true}, 64, Options{})
	ping := must(gows.CompileFrame(gows.MaskFrame(gows.NewPingFrame([]byte("early")))))
	for range 20 {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		request := "GET " + path(key, secret, time.Now()) + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
		if _, err := io.WriteString(conn, request+string(ping)); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		r := bufio.NewReader(conn)
		if _, err := http.ReadResponse(r, nil); err != nil {
			t.Fatal(err)
		}
		//lint:ignore SA1019 the peer is the one under test
		f, err := gows.ReadFrame(r)
		if err != nil || f.Header.OpCode != gows.OpText || string(f.Payload) != senselink.Connected {
			t.Fatalf("first came %v %q %v, want 20000", f.Header.OpCode, f.Payload, err)
		}
		conn.Close()
	}
}

func TestAppWhoseKindsChangeGetsTheNewOnesOnOpenConnections(t *testing.T) {
	s := newSite(t, 64, Options{})
	p := s.connect()
	some := anApp()
	some.Kinds = []gatecast.Kind{gatecast.Alarm}
	s.apps.set(some)
	for i := 1; i < 20_000; i += 2 {
		s.publish(i, 1, 0, gatecast.Record)
		s.publish(i+1, 1, 0, gatecast.Alarm)
		if eventID(t, p.text()) == i+1 {
			return // the record was left out
		}
		if got := eventID(t, p.text()); got != i+1 {
			t.Fatalf("got event %d, want %d", got, i+1)
		}
	}
	t.Error("records still come after they were taken from the app")
}

func TestStragglersQueueWithoutHoldingUpTheirShardAndAppsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplayer(endless{}, nil, nil, Options{MaxConns: 1}.withDefaults(), newMetrics())
		of := func(app string) *conn { return &conn{who: identity{app: app}} }
		conns := []*conn{of("a"), of("a"), of("a"), of("b"), of("c")}
		for _, c := range conns {
			r.add(c) // more than MaxConns: those that are gone may still be queued
		}
		r.drop(conns[4])
		r.drop(conns[1])
		var got []*conn
		for {
			c, ok := r.queue.next()
			if !ok {
				break
			}
			got = append(got, c)
		}
		want := []*conn{conns[0], conns[3], conns[2]}
		if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
			t.Errorf("turns %v, want %v", got, want)
		}
	})
}

// lossy is a history that has lost what is asked for and cannot say how much.
type lossy struct{ oldest error }

func (l lossy) Extent(context.Context) (gatecast.Extent, error) { return gatecast.Extent{}, l.oldest }

func (l lossy) Since(context.Context, time.Time) (gatecast.Seq, error) { return 0, l.oldest }

func (l lossy) Read(context.Context, gatecast.Seq, []*gatecast.Event) ([]*gatecast.Event, error) {
	if l.oldest == nil {
		return nil, nil
	}
	return nil, gatecast.Errorf(gatecast.Gap, "gone")
}

func TestJournalThatCannotHelpIsAskedAgainAfterAPause(t *testing.T) {
	for name, h := range map[string]History{
		"extent fails": lossy{io.ErrUnexpectedEOF},
		"no events":    lossy{},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := New(nil, endless{}, h, nil, Options{Shards: 1})
				r, c := server.replays, &conn{shard: server.shards[0]}
				began := time.Now()
				r.turn(t.Context(), c, nil)
				if time.Since(began) < r.pause {
					t.Error("asked again at once: a loop that eats a CPU")
				}
			})
		})
	}
}

func TestConnectionAheadOfItsShardGetsNothingTwice(t *testing.T) {
	sel := &selection{}
	var events []*gatecast.Event
	for i := range gatecast.Seq(5) {
		events = append(events, &gatecast.Event{Seq: i + 1, Kind: gatecast.Record, Data: []byte("{}")})
	}
	sel.choose(&view{record: true}, 0, events, newFrames("", newMetrics()))
	for pos, want := range map[gatecast.Seq]int{0: 5, 3: 2, 5: 0, 9: 0} {
		if rest := sel.after(pos); len(rest.frames) != want || len(rest.seqs) != want || want > 0 && rest.seqs[0] != pos+1 {
			t.Errorf("after %d: %d frames with positions %v, want %d", pos, len(rest.frames), rest.seqs, want)
		}
	}
}

// TestClientThatReadsSlowlyIsNotTakenForDead reads a backlog in small pieces,
// so that it comes to the first Ping long after a peer that is silent for so
// long would be cut. By the server's clock each piece takes it a quarter of a
// second, however busy the machine is.
func TestClientThatReadsSlowlyIsNotTakenForDead(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			const n, padding = 600, 1000
			clock := &lead{}
			s := openSite(t, front{tls: secure, narrow: true}, 1024, Options{Heartbeat: 100 * time.Millisecond, DeadAfter: time.Minute, Now: clock.now})
			p := s.connect()
			s.publish(1, n, padding, gatecast.Record)
			p.r = &slowly{from: p.r, pause: time.NewTicker(4 * time.Millisecond), clock: clock}
			p.mute = true // all the while; it is what it takes that counts
			began := clock.now()
			p.expectEvents(1, n, padding, gatecast.Record)
			if took := clock.now().Sub(began); took < 2*time.Minute {
				t.Errorf("read everything in %v: the test proves nothing", took)
			}
		})
	}
}

// slowly reads a little at a time.
type slowly struct {
	from  io.Reader
	pause *time.Ticker
	clock *lead
}

func (r *slowly) Read(p []byte) (int, error) {
	if len(p) > 512 {
		<-r.pause.C
		r.clock.add(time.Second / 4)
	}
	return r.from.Read(p[:min(len(p), 4096)])
}
