package wsconn

import (
	"bytes"
	stdflate "compress/flate"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
)

const askDeflate = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"

// pack deflates as a client with the standard library would.
func pack(s string) string {
	var b bytes.Buffer
	w, _ := stdflate.NewWriter(&b, 6)
	_, _ = io.WriteString(w, s)
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), syncTail)
}

// bomb is 16 MiB of nothing, packed once for all: the race detector makes that slow.
var bomb = sync.OnceValue(func() string { return pack(strings.Repeat("\x00", 16<<20)) })

func unpack(t testing.TB, p []byte) string {
	t.Helper()
	b, err := io.ReadAll(stdflate.NewReader(io.MultiReader(bytes.NewReader(p), strings.NewReader(finalTail))))
	if err != nil {
		t.Fatalf("cannot inflate: %v", err)
	}
	return string(b)
}

// TestDeflatedMessagesGoBothWays lets the standard library check ours.
func TestDeflatedMessagesGoBothWays(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		p, s := d.open(t, Options{Deflate: true, MaxMessage: 1 << 20}, askDeflate)
		noise := make([]byte, 3000)
		for i := range noise {
			noise[i] = byte(rand.Int())
		}
		tests := []struct {
			payload string
			head    byte
		}{
			{"short", 0x81},
			{text(255), 0x81},
			{text(256), 0xc1},
			{text(5000), 0xc1},
			{text(400_000), 0xc1},
			{string(noise), 0x82}, // would not get shorter
		}
		for _, tt := range tests {
			f := NewText([]byte(tt.payload))
			if tt.head == 0x82 {
				f = NewBinary([]byte(tt.payload))
			}
			go pushAll(t, s, f)
			g, err := p.read()
			if err != nil || g.head != tt.head {
				t.Fatalf("frame %#x, %v, want %#x", g.head, err, tt.head)
			}
			have := string(g.payload)
			if g.head&0x40 != 0 {
				have = unpack(t, g.payload)
			}
			if have != tt.payload {
				t.Errorf("%d bytes came back different", len(tt.payload))
			}
			p.write(client(tt.head|0x40, pack(tt.payload)))
			if m := receive(t, s.messages, "the message"); m[2:] != tt.payload {
				t.Errorf("%d bytes arrived different", len(tt.payload))
			}
			if tt.head == 0x82 {
				continue
			}
			p.write(client(0x81, tt.payload)) // deflating is the client's choice
			if m := receive(t, s.messages, "the plain message"); m != "t:"+tt.payload {
				t.Errorf("%d plain bytes arrived different", len(tt.payload))
			}
		}
	})
}

func deflateRules() []rule {
	z := pack("hello, hello, hello")
	bad := pack("ok \xff")
	return []rule{
		{"7692 6.1 RSV1 on the first fragment only", frames(client(0x41, z[:3]), client(0x89, "p"), client(0x00, z[3:5]), client(0x80, z[5:]), bye), []string{"t:hello, hello, hello"}, []string{"p"}, 1000},
		{"7692 6.1 RSV1 on a continuation", frames(client(0x41, z[:3]), client(0xc0, z[3:])), nil, nil, 1002},
		{"7692 6.1 RSV1 on a ping", client(0xc9, ""), nil, nil, 1002},
		{"7692 6.1 RSV1 on a close", client(0xc8, ""), nil, nil, 1002},
		{"7692 6.1 RSV2 is still reserved", client(0xe1, z), nil, nil, 1002},
		{"7692 6.1 RSV1 on a reserved opcode", client(0xc3, z), nil, nil, 1002},
		{"7692 7.2.3.6 an empty message", frames(client(0xc1, "\x00"), bye), []string{"t:"}, nil, 1000},
		{"7692 6.2 not even one octet", frames(client(0xc1, ""), bye), []string{"t:"}, nil, 1000},
		{"7692 7.2.3.3 no compression", frames(client(0xc1, "\x00\x05\x00\xfa\xffHello\x00"), bye), []string{"t:Hello"}, nil, 1000},
		{"7692 7.2.3.4 a block with BFINAL", frames(client(0xc1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), bye), []string{"t:Hello"}, nil, 1000},
		{"7692 7.2.3.5 two blocks", frames(client(0xc1, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), bye), []string{"t:Hello"}, nil, 1000},
		{"7692 7.2.2 what is no deflate", client(0xc1, "\xff\xff\xff\xff"), nil, nil, 1007},
		{"7692 7.2.2 truncated", client(0xc1, z[:len(z)/2]), nil, nil, 1007},
		{"8.1 bad UTF-8 when inflated", client(0xc1, bad), nil, nil, 1007},
		{"8.1 binary may be anything when inflated", frames(client(0xc2, bad), bye), []string{"b:ok \xff"}, nil, 1000},
		{"8.1 deflated bytes need not be UTF-8, plain ones after them must", frames(client(0xc1, z), client(0x81, "\xff")), []string{"t:hello, hello, hello"}, nil, 1007},
		{"7.4.1 inflated at the limit", frames(client(0xc2, pack(text(testLimit))), bye), []string{"b:" + text(testLimit)}, nil, 1000},
		{"7.4.1 inflated beyond the limit", client(0xc2, pack(text(testLimit+1))), nil, nil, 1009},
		{"7.4.1 a bomb", client(0xc2, bomb()), nil, nil, 1009},
	}
}

// TestDeflatingClientsAreHeldToRFC7692 runs the rules of the extension.
func TestDeflatingClientsAreHeldToRFC7692(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		for _, r := range deflateRules() {
			t.Run(r.name, func(t *testing.T) {
				p, s := d.open(t, Options{MaxMessage: testLimit, Deflate: true}, askDeflate)
				go func() { _, _ = p.Write(r.send) }()
				r.check(t, p, s)
			})
		}
	})
}

// TestBombNeedsNoMemory inflates much of nothing against a small limit.
func TestBombNeedsNoMemory(t *testing.T) {
	bomb := bomb()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	msg := append(make([]byte, 0, len(bomb)+16), bomb...)
	out, fail := inflate(&msg, 1000)
	runtime.ReadMemStats(&after)
	if fail == nil || fail.Code != StatusTooBig || cap(*out) > 64<<10 {
		t.Errorf("got %d bytes and %v", cap(*out), fail)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

// TestFrameIsDeflatedOnce for all who want it, even at the same time.
func TestFrameIsDeflatedOnce(t *testing.T) {
	f := NewText([]byte(text(5000)))
	first := make([]*byte, 8)
	var all sync.WaitGroup
	for i := range first {
		all.Go(func() { first[i] = &f.wire(1)[0] })
	}
	all.Wait()
	for _, p := range first {
		if p != first[0] || p == &f.plain[0] {
			t.Error("there are several deflated forms")
		}
	}
	if &f.wire(-1)[0] != &f.plain[0] || &f.wire(6000)[0] != &f.plain[0] {
		t.Error("who did not ask gets the deflated form")
	}
}
