package client

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/resume"
	"github.com/gatecast/gatecast/senselink"
)

// vault is a server that can resume: a journal in memory behind the contract
// of docs/protocol.md.
type vault struct {
	t *testing.T

	// What a test may do to connections; nil does nothing. n is the number of
	// the connection, i of the event on it, both from 1.
	cut   func(n, i int) bool // close the socket instead of sending event i
	again func(n, i int) bool // send the event before i once more, first
	onAck func(name string, seq gatecast.Seq)

	mu      sync.Mutex // guards what follows
	epoch   string
	first   gatecast.Seq     // oldest event held
	events  []gatecast.Event // all there ever were; Seq is the place from 1
	cursors map[string]gatecast.Seq
	asked   []string // queries of the connections
	bell    chan struct{}
}

func newVault(t *testing.T, events int) *vault {
	v := &vault{t: t, epoch: "E1", first: 1, cursors: make(map[string]gatecast.Seq), bell: make(chan struct{})}
	v.add(events)
	return v
}

// add stores events numbered on from the newest.
func (v *vault) add(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for range n {
		seq := len(v.events) + 1
		data := `{"id":` + strconv.Itoa(seq) + `,"name":"` + v.epoch + `","sn":"SPSP-1","signTime":1569725174}`
		v.events = append(v.events, gatecast.Event{Seq: gatecast.Seq(seq), Kind: gatecast.Record, Late: seq == 3, Data: []byte(data)})
	}
	v.ring()
}

// ring wakes every connection. v.mu must be held.
func (v *vault) ring() {
	close(v.bell)
	v.bell = make(chan struct{})
}

func (v *vault) Extent(context.Context) (gatecast.Extent, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return gatecast.Extent{Epoch: v.epoch, First: v.first, Last: gatecast.Seq(len(v.events))}, nil
}

func (v *vault) Since(context.Context, time.Time) (gatecast.Seq, error) { return 0, nil }

func (v *vault) queries() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.asked)
}

// visit is one connection to a vault.
type visit struct {
	v      *vault
	s      session
	asks   resume.Request
	epoch  string
	gone   chan struct{}
	pushed gatecast.Seq   // guarded by v.mu
	flight []gatecast.Seq // guarded by v.mu: pushed and not acknowledged
}

func (v *vault) serve(s session) {
	asks, err := resume.Parse(s.asks)
	if err != nil || !asks.Seq {
		v.t.Errorf("connection %d asks for %v: %v", s.n, s.asks, err)
		return
	}
	since := asks.Since
	v.mu.Lock()
	v.asked = append(v.asked, s.asks.Encode())
	if asks.Client != "" && since.Kind == resume.Unsaid {
		since = resume.Since{Kind: resume.AfterSeq, Seq: v.cursors[asks.Client]}
	}
	v.mu.Unlock()
	start, err := resume.Begin(s.t.Context(), v, since, time.Time{})
	if err != nil {
		v.t.Error(err)
	}
	extent, _ := v.Extent(s.t.Context())
	c := &visit{v: v, s: s, asks: asks, epoch: extent.Epoch, gone: make(chan struct{})}
	go c.read()
	defer func() { _ = s.conn.Close(); <-c.gone }()
	s.welcome()
	if start.Gap != nil {
		s.text(string(senselink.Gap(*start.Gap, extent.Last, extent.Epoch)))
	} else {
		s.text(string(senselink.Resumed(start.After, extent.Last, extent.Epoch)))
	}
	c.push(start.After, extent.Last)
}

// push sends what comes after pos until the client is gone or cut off.
func (c *visit) push(pos, head gatecast.Seq) {
	var e gatecast.Event
	for i, ok := 1, true; ; i++ {
		before := e
		e, ok = c.next(pos)
		if !ok || c.v.cut != nil && c.v.cut(c.s.n, i) {
			return
		}
		if i > 1 && c.v.again != nil && c.v.again(c.s.n, i) {
			c.s.text(string(senselink.AppendNumbered(nil, &before, c.epoch, true)))
		}
		c.s.text(string(senselink.AppendNumbered(nil, &e, c.epoch, e.Seq <= head)))
		pos = e.Seq
	}
}

// next waits for the event after pos, and for room to send it.
func (c *visit) next(pos gatecast.Seq) (e gatecast.Event, ok bool) {
	for {
		c.v.mu.Lock()
		bell := c.v.bell
		room := !c.asks.Ack || len(c.flight) < c.asks.InFlight
		if ok = room && int(pos) < len(c.v.events); ok {
			e = c.v.events[pos]
			c.pushed, c.flight = e.Seq, append(c.flight, e.Seq)
		}
		other := c.v.epoch != c.epoch
		c.v.mu.Unlock()
		if other {
			return e, false
		}
		select {
		case <-c.gone:
			return e, false
		default:
		}
		if ok {
			return e, true
		}
		select {
		case <-bell:
		case <-c.gone:
			return e, false
		}
	}
}

// read takes acknowledgements.
func (c *visit) read() {
	defer close(c.gone)
	for {
		f, ok := c.s.frame()
		if !ok || f.Header.OpCode == ws.OpClose {
			return
		}
		var told struct {
			Ack gatecast.Seq `json:"ack"`
		}
		if f.Header.OpCode != ws.OpText {
			continue
		}
		if err := json.Unmarshal(f.Payload, &told); err != nil || told.Ack == 0 || !c.asks.Ack {
			c.v.t.Errorf("the client said %q: %v", f.Payload, err)
		}
		c.ack(told.Ack)
	}
}

func (c *visit) ack(seq gatecast.Seq) {
	if c.v.onAck != nil {
		c.v.onAck(c.asks.Client, seq)
	}
	c.v.mu.Lock()
	defer c.v.mu.Unlock()
	if seq > c.pushed {
		c.v.t.Errorf("connection %d: %d was acknowledged, pushed is %d", c.s.n, seq, c.pushed)
	}
	if c.v.epoch != c.epoch {
		return
	}
	c.v.cursors[c.asks.Client] = max(c.v.cursors[c.asks.Client], seq)
	c.flight = slices.DeleteFunc(c.flight, func(f gatecast.Seq) bool { return f <= seq })
	c.v.ring()
}
