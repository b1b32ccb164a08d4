package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
)

// peer is the server's end of a wire, in the hands of a test.
type peer struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
	ack  string // where answers go, without the number
}

// read returns the next line without its end; empty at the end of the connection.
func (p *peer) read() string {
	line, _ := p.in.ReadString('\n')
	return strings.TrimRight(line, "\r\n")
}

func (p *peer) say(format string, args ...any) {
	if _, err := fmt.Fprintf(p.conn, format, args...); err != nil {
		p.t.Errorf("the server cannot say %q: %v", format, err)
	}
}

// answer sends an acknowledgement with a number.
func (p *peer) answer(number, seq int) {
	body := fmt.Sprintf(`{"stream":"GATECAST_EVENTS","seq":%d}`, seq)
	p.say("MSG %s%d 1 %d\r\n%s\r\n", p.ack, number, len(body), body)
}

// greet is what a server does with a new client.
func (p *peer) greet() {
	p.say("INFO {}\r\n")
	if got := p.read(); !strings.HasPrefix(got, "CONNECT {") {
		p.t.Errorf("the client begins with %q", got)
	}
	sub := strings.Fields(p.read())
	p.ack = strings.TrimSuffix(sub[1], "*")
	if got := p.read(); got != "PING" {
		p.t.Errorf("then %q", got)
	}
	p.say("PING\r\nPONG\r\n")
	if got := p.read(); got != "PONG" {
		p.t.Errorf("the server's question is answered with %q", got)
	}
}

// message reads a message and returns the number of the wanted answer.
func (p *peer) message() (number int) {
	line := p.read()
	var subject string
	var header, size int
	if _, err := fmt.Sscanf(line, "HPUB %s "+p.ack+"%d %d %d", &subject, &number, &header, &size); err != nil {
		p.t.Errorf("%q: %v", line, err)
	}
	if _, err := p.in.Discard(size + 2); err != nil {
		p.t.Error(err)
	}
	return number
}

// served returns a store whose connections, one after the other, are what the
// scripts say, and which end with their script.
func served(t *testing.T, scripts ...func(*peer)) *pipeStore {
	t.Helper()
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	s := &pipeStore{wire: newWire(func() (net.Conn, error) {
		if len(scripts) == 0 {
			return nil, errors.New("no more connections")
		}
		script := scripts[0]
		scripts = scripts[1:]
		ours, theirs := net.Pipe()
		running.Go(func() {
			defer theirs.Close()
			p := &peer{t: t, conn: theirs, in: bufio.NewReader(theirs)}
			p.greet()
			script(p)
		})
		return ours, nil
	})}
	t.Cleanup(s.close)
	return s
}

func drafted(ids ...string) (items []*item) {
	for _, id := range ids {
		c := newCall(context.Background(), []gatecast.Event{{ID: id, Device: "d", Data: []byte("{}")}}, 1, false)
		items = append(items, &item{event: &c.events[0], draft: &c.drafts[0]})
	}
	return items
}

func TestAnswersMayComeInAnyOrder(t *testing.T) {
	s := served(t, func(p *peer) {
		a, b, c := p.message(), p.message(), p.message()
		p.answer(c, 9)
		p.say("PING\r\n")
		if got := p.read(); got != "PONG" {
			p.t.Errorf("in the middle, a PING is answered with %q", got)
		}
		p.answer(a, 7)
		p.answer(b, 8)
	})
	items := drafted("a", "b", "c")
	if v := s.singles(t.Context(), items); v.err != nil {
		t.Fatal(v.err)
	}
	for i, want := range []gatecast.Seq{7, 8, 9} {
		if items[i].seq != want {
			t.Errorf("item %d has Seq %d, want %d", i, items[i].seq, want)
		}
	}
}

func TestALateAnswerIsNobodysElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := served(t,
			func(p *peer) {
				p.message()
				p.read() // until the client gives up
			},
			func(p *peer) {
				n := p.message()
				p.answer(n-1, 7)
				p.answer(n, 8)
			})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if v := s.singles(ctx, drafted("a")); v.err == nil || v.final {
			t.Errorf("without an answer: %+v", v)
		}
		items := drafted("b")
		if v := s.singles(t.Context(), items); v.err != nil || items[0].seq != 8 {
			t.Errorf("Seq %d, %v, want 8", items[0].seq, v.err)
		}
	})
}

func TestABrokenConnectionIsMadeAnew(t *testing.T) {
	for _, last := range []string{"", "-ERR 'Authorization Violation'\r\n", "MSG elsewhere 1 2\r\n{}\r\n", "MSG x\r\n"} {
		s := served(t,
			func(p *peer) {
				p.message()
				if last != "" {
					p.say("%s", last)
				}
			},
			func(p *peer) { p.answer(p.message(), 3) })
		items := drafted("a")
		if v := s.singles(t.Context(), items); v.err == nil || v.final {
			t.Errorf("%q: %+v, want an error that trying again may help", last, v)
		}
		if v := s.singles(t.Context(), items); v.err != nil || items[0].seq != 3 {
			t.Errorf("%q: Seq %d, %v", last, items[0].seq, v.err)
		}
	}
}

func TestAStreamThatIsGoneIsAnError(t *testing.T) {
	s := served(t, func(p *peer) {
		n := p.message()
		p.say("HMSG %s%d 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", p.ack, n)
	})
	if v := s.singles(t.Context(), drafted("a")); !errors.Is(v.err, errNoStream) {
		t.Errorf("%v, want that nobody listens", v.err)
	}
}

func TestAnIdleConnectionAnswersTheServer(t *testing.T) {
	s := served(t, func(p *peer) {
		if got := p.read(); got != "PING" {
			p.t.Errorf("an idle client says %q", got)
		}
		p.say("PING\r\n") // was on its way
		if got := p.read(); got != "PONG" {
			p.t.Errorf("the server's question is answered with %q", got)
		}
		p.say("PONG\r\n")
	})
	if err := s.idle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAPlainAcknowledgementIsReadAsAnyOther(t *testing.T) {
	for _, reply := range []string{
		`{"stream":"GATECAST_EVENTS","seq":1}`, `{"stream":"GATECAST_EVENTS", "seq": 12,"duplicate": true}`,
		`{"stream":"GATECAST_EVENTS","seq":18446744073709551615}`, `{"stream":"OTHER","seq":4}`,
	} {
		ack, v := readAck([]byte(reply))
		if v.err != nil {
			t.Fatal(v.err)
		}
		seq, plain := plainAck([]byte(reply))
		if plain && (seq != ack.Seq || ack.Duplicate) {
			t.Errorf("%s is taken for %d", reply, seq)
		}
	}
	for _, reply := range []string{"", "{}", `{"stream":"GATECAST_EVENTS","seq":}`, `{"stream":"GATECAST_EVENTS","seq":0}`, `{"stream":"GATECAST_EVENTS","seq":1,"error":{}}`} {
		if seq, plain := plainAck([]byte(reply)); plain {
			t.Errorf("%q is taken for %d", reply, seq)
		}
	}
	if seq, plain := plainAck([]byte(`{"stream":"GATECAST_EVENTS","seq":41}`)); !plain || seq != 41 {
		t.Errorf("%d, %v", seq, plain)
	}
}
