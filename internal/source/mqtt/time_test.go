package mqtt

import (
	"bufio"
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
)

// inTime lets test work on a server over pipes, in simulated time.
func inTime(t *testing.T, o Options, test func(t *testing.T, s *site, dial func() *peer)) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{t: t, ids: map[string]bool{}, users: map[string]*gatecast.MQTTUser{}}
		s.user("gate", "SPS-1")
		s.Server = New(Parts{Journal: s, Users: s, Quarantine: s}, o)
		pipes := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(ctx, pipes) }()
		s.stop = sync.OnceValue(func() error { cancel(); return <-ended })
		test(t, s, func() *peer {
			near, far := net.Pipe()
			pipes.conns <- far
			return &peer{t, near, bufio.NewReader(near)}
		})
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
}

// pipes is a listener whose connections simulated time understands.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// lasts returns after what time the connection ends without a packet.
func (p *peer) lasts() time.Duration {
	p.t.Helper()
	from := time.Now()
	p.closed()
	return time.Since(from)
}

func TestAClientThatIsSilentIsCutOffInItsTime(t *testing.T) {
	limits := Limits{Idle: time.Minute, Login: 7 * time.Second, Read: 11 * time.Second}
	for _, v := range []struct {
		name      string
		keepAlive int
		sent      []byte // behind the CONNECT
		want      time.Duration
	}{
		{"a keep-alive of 10 s", 10, nil, 15 * time.Second},
		{"no keep-alive", 0, nil, time.Minute},
		{"a keep-alive beyond the limit", 65535, nil, time.Minute},
		{"half a header", 10, []byte{0x32}, 11 * time.Second},
		{"half a packet", 10, []byte{0x32, 50, 0}, 11 * time.Second},
	} {
		inTime(t, Options{Limits: limits}, func(t *testing.T, _ *site, dial func() *peer) {
			p := dial()
			p.send(connectWith(0xc2, v.keepAlive, "c", "gate", password))
			p.expect("20020000")
			if len(v.sent) > 0 {
				p.send(v.sent)
			}
			if got := p.lasts(); got != v.want {
				t.Errorf("%s: cut off after %v, want %v", v.name, got, v.want)
			}
		})
	}
	inTime(t, Options{Limits: limits}, func(t *testing.T, _ *site, dial func() *peer) {
		silent, slow := dial(), dial()
		for _, b := range connectPacket("gate", password, "c")[:6] {
			time.Sleep(time.Second)
			slow.send([]byte{b})
		}
		if got := slow.lasts(); got != time.Second {
			t.Errorf("a CONNECT that does not end lasts %v more", got)
		}
		silent.closed()
	})
}

func TestEachPacketKeepsAClientAlive(t *testing.T) {
	inTime(t, Options{}, func(t *testing.T, s *site, dial func() *peer) {
		p := dial()
		p.send(connectWith(0xc2, 10, "c", "gate", password))
		p.expect("20020000")
		for range 5 {
			time.Sleep(14 * time.Second)
			p.send([]byte{0xc0, 0})
			p.expect("d000")
		}
		// While the journal is waited for, it is not the client that is silent.
		release := s.hold()
		p.send(publishPacket(1, 1, recordTopic, recordOf(1)))
		time.Sleep(9 * time.Second)
		release()
		p.expect("40020001")
		time.Sleep(5 * time.Second)
		p.send([]byte{0xc0, 0})
		p.expect("d000")
		_ = p.c.Close()
	})
}

func TestAJournalThatDoesNotAnswerIsWaitedForOnlySoLong(t *testing.T) {
	inTime(t, Options{StoreTimeout: 20 * time.Second}, func(t *testing.T, s *site, dial func() *peer) {
		p := dial()
		p.send(connectWith(0xc2, 0, "c", "gate", password))
		p.expect("20020000")
		release := s.hold()
		defer release()
		p.send(publishPacket(1, 1, recordTopic, recordOf(1)))
		if got := p.lasts(); got != 20*time.Second {
			t.Errorf("cut off after %v", got)
		}
	})
}

func TestAStopWaitsForTheJournalFiveSeconds(t *testing.T) {
	inTime(t, Options{StoreTimeout: time.Minute}, func(t *testing.T, s *site, dial func() *peer) {
		p := dial()
		p.send(connectWith(0xc2, 0, "c", "gate", password))
		p.expect("20020000")
		release := s.hold()
		defer release()
		p.send(publishPacket(1, 1, recordTopic, recordOf(1)))
		synctest.Wait()
		from := time.Now()
		if err := s.stop(); err != nil {
			t.Error(err)
		}
		if got := time.Since(from); got != farewell {
			t.Errorf("the stop took %v", got)
		}
		p.closed()
	})
}

func TestRefusalsOfOneAddressAreHeldUpAndRightPasswordsAreNot(t *testing.T) {
	inTime(t, Options{Limits: Limits{RefusalRate: 60}}, func(t *testing.T, _ *site, dial func() *peer) {
		refuse := func() *peer {
			p := dial()
			p.send(connectPacket("gate", "wrong", "c"))
			return p
		}
		for range 60 {
			p, from := refuse(), time.Now()
			p.expect("20020004")
			if since := time.Since(from); since != 0 {
				t.Fatalf("refused after %v", since)
			}
		}
		var waiting []*peer
		for range 5 {
			waiting = append(waiting, refuse())
			synctest.Wait()
		}
		last := refuse()
		if got := last.lasts(); got != 0 {
			t.Errorf("one too many was cut off after %v", got)
		}
		good := dial()
		from := time.Now()
		good.send(connectPacket("gate", password, "good"))
		good.expect("20020000")
		if since := time.Since(from); since != 0 {
			t.Errorf("a right password was held up for %v", since)
		}
		_ = good.c.Close()
		for i, p := range waiting {
			p.expect("20020004")
			if got, want := time.Since(from), time.Duration(i+1)*time.Second; got != want {
				t.Errorf("refusal %d came after %v, want %v", i, got, want)
			}
		}
	})
}

func TestAddressesAreForgottenInTheirTurn(t *testing.T) {
	p, now := newPillory(1), time.Now()
	addr := func(a, b byte) net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, a, b), Port: 1} }
	strike := func(a net.Addr) bool { wait, ok := p.wait(a, now); return ok && wait == 0 }
	if !strike(addr(0, 0)) || strike(addr(0, 0)) {
		t.Error("the second refusal of an address was not held up")
	}
	for i := range maxPillory - 1 {
		if a := addr(byte(1+i/256), byte(i)); !strike(a) {
			t.Fatalf("the first refusal of %v was held up", a)
		}
	}
	if strike(addr(0, 0)) {
		t.Error("an address was forgotten too early")
	}
	if !strike(addr(200, 0)) || strike(addr(0, 0)) || !strike(addr(1, 0)) {
		t.Error("not that was forgotten which was refused longest ago")
	}
	if len(p.rates) != maxPillory || p.order.Len() != maxPillory {
		t.Errorf("%d and %d are remembered", len(p.rates), p.order.Len())
	}
	six := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip)} }
	if networkOf(six("2001:db8::1")) != networkOf(six("2001:db8::ffff")) || networkOf(six("2001:db8::1")) == networkOf(six("2001:db8:0:1::1")) {
		t.Error("64 bits of IPv6 are one party")
	}
	if networkOf(six("::ffff:10.0.0.1")) != networkOf(addr(0, 1)) {
		t.Error("an address of IPv4 in IPv6 is another one")
	}
}
