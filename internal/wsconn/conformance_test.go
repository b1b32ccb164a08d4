package wsconn

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rule is one demand of RFC 6455 on a server: what a client sends after the
// handshake, what the handler hears of it, and how the connection ends.
type rule struct {
	name string
	send []byte
	hear []string // "t:text", "b:bytes", "pong:payload"
	get  []string // pong payloads that come back
	end  Status   // of the server's Close frame
}

// bye ends a connection that has done nothing wrong.
var bye = client(0x88, closing(1000, ""))

// unmasked is a frame as only a server may send it.
func unmasked(head byte, payload string) []byte {
	return append(appendLength([]byte{head}, 0, len(payload)), payload...)
}

// header is a frame header with the length spelled out in the bytes given.
func header(head byte, length ...byte) []byte {
	return append(append([]byte{head}, length...), mask[:]...)
}

const testLimit = 70_000

func rules() []rule {
	return slices.Concat(framing(), fragments(), controlFrames(), texts(), closes(), sizes())
}

func framing() []rule {
	rs := []rule{
		{"5.1 a frame without a mask is a protocol error", unmasked(0x81, "hi"), nil, nil, 1002},
		{"5.1 a ping without a mask is a protocol error", unmasked(0x89, ""), nil, nil, 1002},
		{"5.1 a close without a mask is a protocol error", unmasked(0x88, closing(1000, "")), nil, nil, 1002},
		{"5.1 a frame without a mask after a good one", frames(client(0x81, "a"), unmasked(0x81, "b")), []string{"t:a"}, nil, 1002},
		{"5.2 RSV1 without an extension", client(0xc1, "x"), nil, nil, 1002},
		{"5.2 RSV2", client(0xa1, "x"), nil, nil, 1002},
		{"5.2 RSV3", client(0x91, "x"), nil, nil, 1002},
		{"5.2 RSV1 on a ping", client(0xc9, ""), nil, nil, 1002},
		{"5.2 RSV bits on a close", client(0xb8, closing(1000, "")), nil, nil, 1002},
		{"5.2 an empty text", frames(client(0x81, ""), bye), []string{"t:"}, nil, 1000},
		{"5.2 an empty binary message", frames(client(0x82, ""), bye), []string{"b:"}, nil, 1000},
		{"5.2 length has its most significant bit set", header(0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1), nil, nil, 1002},
		{"5.2 125 written with 16 bits", header(0x82, 0xfe, 0, 125), nil, nil, 1002},
		{"5.2 0 written with 16 bits", header(0x82, 0xfe, 0, 0), nil, nil, 1002},
		{"5.2 65535 written with 64 bits", header(0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff), nil, nil, 1002},
		{"5.2 0 written with 64 bits", header(0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 0), nil, nil, 1002},
		{"5.3 the mask may be zero", frames([]byte{0x81, 0x82, 0, 0, 0, 0, 'o', 'k'}, bye), []string{"t:ok"}, nil, 1000},
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf} {
		rs = append(rs,
			rule{"5.2 reserved opcode " + string("0123456789abcdef"[op]), client(0x80|op, "x"), nil, nil, 1002},
			rule{"5.2 reserved opcode unfinished " + string("0123456789abcdef"[op]), client(op, ""), nil, nil, 1002})
	}
	return rs
}

func fragments() []rule {
	return []rule{
		{"5.4 two fragments", frames(client(0x01, "a"), client(0x80, "b"), bye), []string{"t:ab"}, nil, 1000},
		{"5.4 three fragments of binary", frames(client(0x02, "a"), client(0x00, "b"), client(0x80, "c"), bye), []string{"b:abc"}, nil, 1000},
		{"5.4 empty fragments", frames(client(0x01, ""), client(0x00, ""), client(0x80, ""), bye), []string{"t:"}, nil, 1000},
		{"5.4 an empty last fragment", frames(client(0x01, "a"), client(0x80, ""), bye), []string{"t:a"}, nil, 1000},
		{"5.4 one message after the other", frames(client(0x01, "a"), client(0x80, "b"), client(0x82, "c"), client(0x01, "d"), client(0x80, "e"), bye), []string{"t:ab", "b:c", "t:de"}, nil, 1000},
		{"5.4 ping between fragments", frames(client(0x01, "a"), client(0x89, "p"), client(0x80, "b"), bye), []string{"t:ab"}, []string{"p"}, 1000},
		{"5.4 pong between fragments", frames(client(0x01, "a"), client(0x8a, "p"), client(0x80, "b"), bye), []string{"pong:p", "t:ab"}, nil, 1000},
		{"5.4 close between fragments", frames(client(0x01, "a"), bye), nil, nil, 1000},
		{"5.4 a new text inside a message", frames(client(0x01, "a"), client(0x81, "b")), nil, nil, 1002},
		{"5.4 new binary inside a message", frames(client(0x01, "a"), client(0x02, "b")), nil, nil, 1002},
		{"5.4 continuation of nothing", client(0x80, "a"), nil, nil, 1002},
		{"5.4 unfinished continuation of nothing", client(0x00, "a"), nil, nil, 1002},
		{"5.4 continuation after the end", frames(client(0x01, "a"), client(0x80, "b"), client(0x80, "c")), []string{"t:ab"}, nil, 1002},
		{"5.4 RSV1 on a continuation", frames(client(0x01, "a"), client(0xc0, "b")), nil, nil, 1002},
		{"5.4 many fragments", frames(frames(client(0x01, "")), []byte(strings.Repeat(string(client(0x00, "x")), 500)), client(0x80, ""), bye), []string{"t:" + strings.Repeat("x", 500)}, nil, 1000},
	}
}

func controlFrames() []rule {
	return []rule{
		{"5.5 a fragmented ping", client(0x09, ""), nil, nil, 1002},
		{"5.5 a fragmented pong", client(0x0a, ""), nil, nil, 1002},
		{"5.5 a fragmented close", client(0x08, ""), nil, nil, 1002},
		{"5.5 a ping of 126 bytes", client(0x89, text(126)), nil, nil, 1002},
		{"5.5 a pong of 126 bytes", client(0x8a, text(126)), nil, nil, 1002},
		{"5.5 a close of 126 bytes", client(0x88, closing(1000, text(124))), nil, nil, 1002},
		{"5.5 a ping that says 64 bits", header(0x89, 0xff, 0, 0, 0, 0, 0, 0, 0, 5), nil, nil, 1002},
		{"5.5.2 ping is answered with its payload", frames(client(0x89, "hello"), bye), nil, []string{"hello"}, 1000},
		{"5.5.2 an empty ping", frames(client(0x89, ""), bye), nil, []string{""}, 1000},
		{"5.5.2 a ping of 125 bytes that is not text", frames(client(0x89, strings.Repeat("\xff", 125)), bye), nil, []string{strings.Repeat("\xff", 125)}, 1000},
		{"5.5.3 a pong nobody asked for", frames(client(0x8a, "x"), client(0x8a, ""), bye), []string{"pong:x", "pong:"}, nil, 1000},
	}
}

func texts() []rule {
	const greek = "κόσμε 漢字 🎉"
	rs := []rule{
		{"8.1 text of many alphabets", frames(client(0x81, greek), bye), []string{"t:" + greek}, nil, 1000},
		{"8.1 a character cut by a fragment", frames(client(0x01, "\xe6\xbc"), client(0x80, "\xa2"), bye), []string{"t:漢"}, nil, 1000},
		{"8.1 a character cut into single bytes", frames(client(0x01, "\xf0"), client(0x00, "\x9f"), client(0x00, "\x8e"), client(0x80, "\x89"), bye), []string{"t:🎉"}, nil, 1000},
		{"8.1 a message that ends inside a character", client(0x81, "ab\xe6\xbc"), nil, nil, 1007},
		{"8.1 last fragment ends inside a character", frames(client(0x01, "a\xe6"), client(0x80, "\xbc")), nil, nil, 1007},
		{"8.1 empty last fragment leaves a character cut", frames(client(0x01, "a\xe6"), client(0x80, "")), nil, nil, 1007},
		// No last fragment: the verdict must not wait for it.
		{"8.1 bad bytes are found before the message ends", client(0x01, "ab\xff"), nil, nil, 1007},
		{"8.1 bad bytes in the second fragment", frames(client(0x01, "a\xe6"), client(0x00, "a")), nil, nil, 1007},
		{"8.1 a frame that has begun badly", client(0x81, "\xf4\x90"+text(200))[:12], nil, nil, 1007},
		{"8.1 binary may hold anything", frames(client(0x82, "\xff\xfe\xc0"), bye), []string{"b:\xff\xfe\xc0"}, nil, 1000},
		{"8.1 noncharacters are valid", frames(client(0x81, "\uffff\ufffe\x00"), bye), []string{"t:\uffff\ufffe\x00"}, nil, 1000},
	}
	for _, bad := range []string{"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff", "\xc3(", "\xe2\x82("} {
		rs = append(rs, rule{"8.1 bad UTF-8 " + strings.ToUpper(hex.EncodeToString([]byte(bad))), client(0x81, "ok"+bad+"ok"), nil, nil, 1007})
	}
	return rs
}

func closes() []rule {
	rs := []rule{
		{"5.5.1 a close without a code is answered without one", client(0x88, ""), nil, nil, StatusNone},
		{"5.5.1 a close with half a code", client(0x88, "\x03"), nil, nil, 1002},
		{"5.5.1 a close with a reason", client(0x88, closing(1000, "κόσμε")), nil, nil, 1000},
		{"5.5.1 the longest reason", client(0x88, closing(1001, text(123))), nil, nil, 1001},
		{"5.5.1 a reason that is not UTF-8", client(0x88, closing(1000, "\xff")), nil, nil, 1007},
		{"5.5.1 a reason cut inside a character", client(0x88, closing(1000, "\xe6\xbc")), nil, nil, 1007},
		{"5.5.1 nothing after a close is heard", frames(bye, client(0x81, "late"), unmasked(0x81, "bad")), nil, nil, 1000},
	}
	for _, code := range []Status{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		rs = append(rs, rule{"7.4.1 code " + code.String(), client(0x88, closing(code, "x")), nil, nil, code})
	}
	for _, code := range []Status{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		rs = append(rs, rule{"7.4.1 forbidden code " + code.String(), client(0x88, closing(code, "x")), nil, nil, 1002})
	}
	return rs
}

func sizes() []rule {
	var rs []rule
	for _, n := range []int{1, 124, 125, 126, 127, 128, 4095, 4096, 4097, 65534, 65535, 65536, 65537, testLimit} {
		rs = append(rs, rule{fmt.Sprintf("5.2 text of %d bytes", n), frames(client(0x81, text(n)), bye), []string{"t:" + text(n)}, nil, 1000})
	}
	return append(rs,
		rule{"7.4.1 a message beyond the limit", client(0x81, text(testLimit+1)), nil, nil, 1009},
		rule{"7.4.1 a length beyond the limit is enough", header(0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), nil, nil, 1009},
		rule{"7.4.1 fragments at the limit", frames(client(0x01, text(testLimit-1)), client(0x80, "x"), bye), []string{"t:" + text(testLimit-1) + "x"}, nil, 1000},
		rule{"7.4.1 fragments beyond the limit", frames(client(0x01, text(testLimit-1)), client(0x00, "xy")), nil, nil, 1009},
	)
}

// TestClientsAreHeldToRFC6455 runs every rule over real sockets.
func TestClientsAreHeldToRFC6455(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		for _, r := range rules() {
			t.Run(r.name, func(t *testing.T) {
				p, s := d.open(t, Options{MaxMessage: testLimit}, "")
				go func() { _, _ = p.Write(r.send) }()
				r.check(t, p, s)
			})
		}
	})
}

// TestFramesMayArriveByteByByte runs the rules with one write per byte.
func TestFramesMayArriveByteByByte(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		for _, r := range rules() {
			if len(r.send) > 500 || strings.Contains(r.name, "nothing after a close") {
				continue // what comes after the close may meet a closed socket
			}
			t.Run(r.name, func(t *testing.T) {
				p, s := d.open(t, Options{MaxMessage: testLimit}, "")
				go func() {
					for i := range r.send {
						if _, err := p.Write(r.send[i : i+1]); err != nil {
							return
						}
					}
				}()
				r.check(t, p, s)
			})
		}
	})
}

func (r rule) check(t *testing.T, p *peer, s *session) {
	t.Helper()
	for _, want := range r.get {
		p.expect(0x8a, want)
	}
	p.expectClose(r.end)
	p.Close()
	err := s.end(t)
	if c, ok := err.(*CloseError); !ok || c.Code != r.end {
		t.Errorf("Serve returned %v, want code %d", err, r.end)
	}
	if diff := cmp.Diff(r.hear, s.heard()); diff != "" {
		t.Errorf("what the handler heard (-want +got):\n%s", diff)
	}
}

// heard returns what the handler was told: pongs stand before messages only
// where the rule has them so, because the two come by separate channels.
func (s *session) heard() []string {
	var all []string
	for len(s.pongs) > 0 {
		all = append(all, "pong:"+<-s.pongs)
	}
	for len(s.messages) > 0 {
		all = append(all, <-s.messages)
	}
	return all
}

// ear collects what a parser hands over.
type ear struct{ heard, pings []string }

func (e *ear) message(binary bool, p []byte) {
	if binary {
		e.heard = append(e.heard, "b:"+string(p))
	} else {
		e.heard = append(e.heard, "t:"+string(p))
	}
}
func (e *ear) ping(p []byte) { e.pings = append(e.pings, string(p)) }
func (e *ear) pong(p []byte) { e.heard = append(e.heard, "pong:"+string(p)) }

// TestPortionsDoNotMatter cuts the same bytes into portions of every size
// and wants the same outcome.
func TestPortionsDoNotMatter(t *testing.T) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for size := 1; size <= min(len(r.send), 300); size++ {
				var e ear
				p := parser{limit: testLimit}
				var end *CloseError
				for portion := range slices.Chunk(slices.Clone(r.send), size) {
					if end = p.feed(portion, &e); end != nil {
						break
					}
				}
				p.reset()
				if end == nil || end.Code != r.end {
					t.Fatalf("portions of %d: ended with %v, want %d", size, end, r.end)
				}
				if diff := cmp.Diff(r.hear, e.heard); diff != "" {
					t.Fatalf("portions of %d (-want +got):\n%s", size, diff)
				}
				if diff := cmp.Diff(r.get, e.pings); diff != "" {
					t.Fatalf("portions of %d, pings (-want +got):\n%s", size, diff)
				}
				if len(r.send) > 10_000 {
					size += 60
				}
			}
		})
	}
}

// TestServerFramesUseTheShortestLength covers the other direction.
func TestServerFramesUseTheShortestLength(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		p, s := d.open(t, Options{}, "")
		for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 65537} {
			f := NewText([]byte(text(n)))
			if want := appendLength([]byte{0x81}, 0, n); !slices.Equal(f.plain[:f.head], want) {
				t.Errorf("header of %d bytes is % x, want % x", n, f.plain[:f.head], want)
			}
			if f.Size() != f.head+n || string(f.Payload()) != text(n) {
				t.Errorf("frame of %d bytes has size %d", n, f.Size())
			}
			go pushAll(t, s, f)
			p.expect(0x81, text(n))
		}
	})
}
