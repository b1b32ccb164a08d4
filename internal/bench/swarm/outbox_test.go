package swarm

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestAnOutboxSaysEverythingButPongsThatAreOvertaken however little the socket
// takes at a time, and never breaks a frame off.
func TestAnOutboxSaysEverythingButPongsThatAreOvertaken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o outbox
		var wire []byte
		take := func(n int) {
			wire = append(wire, o.bytes[:n]...)
			o.sent(n)
		}
		pings, musts := byte(0), byte(0)
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				pings++
				o.pong([]byte{pings})
			case 1:
				musts++
				o.must([]byte{'m', musts})
			default:
				take(rapid.IntRange(0, len(o.bytes)).Draw(t, "taken"))
			}
		}
		if len(o.bytes) > 7*2+2*int(musts)+7*int(musts) {
			t.Errorf("%d bytes wait", len(o.bytes))
		}
		take(len(o.bytes))
		lastPong, lastMust := byte(0), byte(0)
		for len(wire) > 0 {
			switch {
			case wire[0] == 'm' && len(wire) >= 2 && wire[1] == lastMust+1:
				lastMust, wire = wire[1], wire[2:]
			case wire[0] == 0x8a && len(wire) >= 7 && wire[1] == 0x81 && wire[6]^wire[2] > lastPong:
				lastPong, wire = wire[6]^wire[2], wire[7:]
			default:
				t.Fatalf("what is said is broken: % x", wire)
			}
		}
		if lastPong != pings || lastMust != musts || o.begun != 0 {
			t.Errorf("said %d of %d, and pong %d of %d", lastMust, musts, lastPong, pings)
		}
	})
}

func TestACloseIsAnsweredWithItsCodeOnly(t *testing.T) {
	for code, want := range map[int][]byte{1000: {0x03, 0xe8}, 1005: {}} {
		var o outbox
		o.close(code)
		b := o.bytes
		if len(b) != 6+len(want) || b[0] != 0x88 || b[1] != bitMask|byte(len(want)) {
			t.Fatalf("%d is answered with % x", code, b)
		}
		for i := range want {
			b[6+i] ^= b[2+i]
		}
		if !slices.Equal(b[6:], want) {
			t.Errorf("%d is answered with % x", code, b)
		}
	}
}
