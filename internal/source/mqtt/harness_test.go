package mqtt

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limit bounds a hang; nothing is measured with it.
const limit = 2 * time.Minute

// site is a server with what it works on.
type site struct {
	*Server
	t    *testing.T
	addr string
	stop func() error // ends it as a stop of the program does

	// mu guards the fields below.
	mu     sync.Mutex
	events []gatecast.Event // in the journal
	ids    map[string]bool
	calls  int   // of Append
	full   error // what the journal answers instead of storing
	gate   chan struct{}
	kept   []gatecast.Quarantined
	users  map[string]*gatecast.MQTTUser
}

const password = "0123456789abcdef0123456789abcdef"

// newSite serves on a port of this machine until the test ends. There are the
// users "gate" for the device SPS-1, and "site" for all.
func newSite(t *testing.T, o Options) *site {
	t.Helper()
	s := &site{t: t, ids: map[string]bool{}, users: map[string]*gatecast.MQTTUser{}}
	s.user("gate", "SPS-1")
	s.user("site", "*")
	s.Server = New(Parts{Journal: s, Users: s, Quarantine: s}, o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	s.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		if n := s.budget.spent(); n != 0 {
			t.Errorf("%d bytes of the budget were not given back", n)
		}
		if len(s.roster.seated)+len(s.roster.byName)+s.roster.guests.Len() != 0 {
			t.Error("the roster knows connections that have ended")
		}
	})
	return s
}

func (s *site) user(name string, devices ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[name] = &gatecast.MQTTUser{Name: name, Devices: devices, Password: auth.HashToken(password)}
}

func (s *site) MQTTUser(name string) (*gatecast.MQTTUser, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.users[name]
	return u, ok
}

func (s *site) Put(source, reason string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, gatecast.Quarantined{Source: source, Reason: reason, Body: append([]byte(nil), body...)})
}

func (s *site) Accepting() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

func (s *site) Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error) {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return gatecast.Receipt{}, &gatecast.Error{Code: gatecast.Unavailable, Message: "no answer", Cause: ctx.Err()}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.full != nil {
		return gatecast.Receipt{}, s.full
	}
	var r gatecast.Receipt
	for _, e := range events {
		if strings.Contains(string(e.Data), "unstorable") {
			return gatecast.Receipt{}, gatecast.Errorf(gatecast.TooLarge, "this one never")
		}
	}
	for _, e := range events {
		if s.ids[e.ID] {
			r.Duplicates++
			continue
		}
		s.ids[e.ID] = true
		s.events = append(s.events, e)
		r.Accepted++
	}
	return r, nil
}

// set changes the site under its lock.
func (s *site) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// stored returns the IDs in the journal, in order.
func (s *site) stored() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, e := range s.events {
		ids = append(ids, e.ID)
	}
	return ids
}

func (s *site) quarantined() []gatecast.Quarantined {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]gatecast.Quarantined(nil), s.kept...)
}

// peer is a client that speaks in bytes.
type peer struct {
	t  *testing.T
	c  net.Conn
	in *bufio.Reader
}

// dial connects and says nothing.
func (s *site) dial() *peer {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(limit))
	return &peer{s.t, c, bufio.NewReader(c)}
}

// connect signs in with a clean session.
func (s *site) connect(user, client string) *peer {
	s.t.Helper()
	p := s.dial()
	p.send(connectPacket(user, password, client))
	p.expect("20020000")
	return p
}

func (p *peer) send(packets ...[]byte) {
	p.t.Helper()
	for _, b := range packets {
		if _, err := p.c.Write(b); err != nil {
			p.t.Fatal(err)
		}
	}
}

// expect reads as many bytes as want has, in hexadecimal.
func (p *peer) expect(want string) {
	p.t.Helper()
	b := make([]byte, len(want)/2)
	n, err := io.ReadFull(p.in, b)
	if got := fmt.Sprintf("%x", b[:n]); got != want {
		p.t.Fatalf("got %s (%v), want %s", got, err, want)
	}
}

// closed waits for the end of the connection, before which nothing comes.
func (p *peer) closed() {
	p.t.Helper()
	if b, err := p.in.ReadByte(); err == nil {
		p.t.Fatalf("got the byte %#x, want the end of the connection", b)
	} else if e, ok := err.(net.Error); ok && e.Timeout() {
		p.t.Fatal("the connection was not closed")
	}
}

// hungUp waits for the end of the connection, whatever comes before.
func (p *peer) hungUp() {
	p.t.Helper()
	if _, err := io.Copy(io.Discard, p.in); err != nil {
		if e, ok := err.(net.Error); ok && e.Timeout() {
			p.t.Fatal("the connection was not closed")
		}
	}
}

func packetOf(first byte, parts ...[]byte) []byte {
	var rest []byte
	for _, part := range parts {
		rest = append(rest, part...)
	}
	return append(appendSize([]byte{first}, len(rest)), rest...)
}

func textOf(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func number(n int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(n)) }

// connectPacket is a CONNECT with a clean session and no keep-alive.
func connectPacket(user, password, client string) []byte {
	return connectWith(0xc2, 0, client, user, password)
}

func connectWith(flags byte, keepAlive int, texts ...string) []byte {
	parts := [][]byte{textOf("MQTT"), {4, flags}, number(keepAlive)}
	for _, s := range texts {
		parts = append(parts, textOf(s))
	}
	return packetOf(0x10, parts...)
}

// publishPacket is a PUBLISH of a quality; id is left out for 0.
func publishPacket(qos byte, id int, topic, payload string) []byte {
	parts := [][]byte{textOf(topic)}
	if qos > 0 {
		parts = append(parts, number(id))
	}
	return packetOf(0x30|qos<<1, append(parts, []byte(payload))...)
}

func recordOf(n int) string { return fmt.Sprintf(`{"id":%d,"signTime":1583726625}`, n) }

// eventually waits for what nobody tells.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(limit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
		<-tick.C
	}
}
