//go:build !race

package ws

import (
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/cursor"
	"github.com/gatecast/gatecast/senselink"
)

// handshakeAllocs is how many allocations a handshake may cost, those of
// net/http and of the client in this test included.
const handshakeAllocs = 110

func TestAHandshakeDoesNotAllocateMoreThanItMust(t *testing.T) {
	s := newSite(t, 16, Options{})
	request := "GET " + path(key, secret, time.Now()) + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	answer := make([]byte, len("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")+2+len(senselink.Connected))
	connect := func() {
		nc, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		if _, err := io.WriteString(nc, request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(nc, answer); err != nil || !strings.HasSuffix(string(answer), senselink.Connected) {
			t.Fatalf("answered with %q, %v", answer, err)
		}
	}
	const warm, counted = 20, 200
	for range warm {
		connect()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range counted {
		connect()
	}
	runtime.ReadMemStats(&after)
	got := float64(after.Mallocs-before.Mallocs) / counted
	t.Logf("%.1f allocations and %.0f bytes for a handshake", got, float64(after.TotalAlloc-before.TotalAlloc)/counted)
	if got > handshakeAllocs {
		t.Errorf("a handshake allocates %.1f times, want %d at most", got, handshakeAllocs)
	}
}

func TestAPongThatConfirmsDoesNotAllocate(t *testing.T) {
	store := cursor.OpenMem(cursor.Options{})
	c := &conn{shard: &shard{metrics: newMetrics(), mail: newMailbox(), cursors: store}}
	c.receipt.consumer, c.receipt.keeps = gatecast.Consumer{App: key}, true
	seq, spare := uint64(1_000_000), make([]note, 0, 8)
	payload := make([]byte, 0, 20)
	if n := testing.AllocsPerRun(100, func() {
		seq++
		c.receipt.asked.Store(seq)
		payload = strconv.AppendUint(payload[:0], seq, 10)
		c.Pong(payload)
		spare = c.shard.mail.take(spare)
	}); n != 0 {
		t.Errorf("it allocates %v times", n)
	}
	if got := c.receipt.confirmed.Load(); got != seq {
		t.Errorf("confirmed is %d, want %d", got, seq)
	}
}
