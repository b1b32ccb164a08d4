//go:build linux

package swarm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// log writes down what a parser finds.
type log struct{ lines []string }

func (l *log) data(head []byte, size int) {
	l.lines = append(l.lines, fmt.Sprintf("data %q %d", head, size))
}
func (l *log) ping(b []byte) { l.lines = append(l.lines, fmt.Sprintf("ping %q", b)) }

// model is the parser as RFC 6455 reads: it has all bytes at once.
func model(b []byte, head int, deflate bool) (lines []string, end string) {
	var l log
	inside := false
	for len(b) >= 2 {
		op, fin, n, at := b[0]&0x0f, b[0]&0x80 != 0, uint64(b[1]&0x7f), 2
		if b[1]&0x80 != 0 {
			return l.lines, "bad"
		}
		least := uint64(0)
		if n == 126 {
			if len(b) < 4 {
				break
			}
			n, at, least = uint64(b[2])<<8|uint64(b[3]), 4, 126
		} else if n == 127 {
			if len(b) < 10 {
				break
			}
			n, at, least = binary.BigEndian.Uint64(b[2:]), 10, 65536
		}
		begins := op == 1 || op == 2
		switch rsv := b[0] & 0x70; {
		case n < least, n > math.MaxInt,
			op >= 3 && op <= 7, op > 10,
			rsv != 0 && !(rsv == 0x40 && deflate && begins),
			op >= 8 && (!fin || n > 125),
			begins && inside, op == 0 && !inside:
			return l.lines, "bad"
		}
		if uint64(len(b)-at) < n {
			break
		}
		payload := b[at : at+int(n)]
		b = b[at+int(n):]
		switch {
		case op == 9:
			l.ping(payload)
		case op == 8 && n == 1:
			return l.lines, "bad"
		case op == 8 && n == 0:
			return l.lines, "1005 "
		case op == 8:
			return l.lines, fmt.Sprintf("%d %s", binary.BigEndian.Uint16(payload), payload[2:])
		case op < 8:
			l.data(payload[:min(len(payload), head)], len(payload))
			inside = !fin
		}
	}
	return l.lines, ""
}

// parse has the parser find the same in portions, each of them as long as the
// next byte of cuts says, and one more.
func parse(t testing.TB, b []byte, head int, deflate bool, cuts []byte) (lines []string, end string) {
	p := parser{deflate: deflate}
	var l log
	free := slices.Repeat([]byte{0xee}, room(head))
	for i := 0; len(b) > 0; i++ {
		n := len(b)
		if len(cuts) > 0 {
			n = min(n, int(cuts[i%len(cuts)])+1)
		}
		buf := append(free[:room(head)], b[:n]...)
		err := p.feed(buf, room(head), head, &l)
		if len(p.kept) > room(head) || cap(p.kept) > room(head) {
			t.Errorf("%d bytes are kept", len(p.kept))
		}
		var c *CloseError
		switch {
		case errors.As(err, &c):
			return l.lines, fmt.Sprintf("%d %s", c.Code, c.Reason)
		case err != nil:
			return l.lines, "bad"
		}
		b = b[n:]
	}
	return l.lines, ""
}

func check(t testing.TB, b []byte, head int, deflate bool, cuts []byte) {
	t.Helper()
	wantLines, wantEnd := model(b, head, deflate)
	lines, end := parse(t, b, head, deflate, cuts)
	if end != wantEnd || !slices.Equal(lines, wantLines) {
		t.Errorf("% .80x in portions % .40x with head %d: got %.300q, end %q; want %.300q, end %q", b, cuts, head, lines, end, wantLines, wantEnd)
	}
}

// streams are what servers send, and should not.
func streams() map[string][]byte {
	long := binary.BigEndian.AppendUint64([]byte{0x82, 127}, 1<<63)
	return map[string][]byte{
		"every kind":                   join(encode(0x81, "text"), encode(0x82, text(200)), encode(0x89, "p"), encode(0x8a, ""), encode(0x01, text(130)), encode(0x89, text(125)), encode(0x00, ""), encode(0x80, "z"), encode(0x88, "\x03\xe8bye"), encode(0x81, "no")),
		"every size":                   join(encode(0x81, ""), encode(0x81, text(125)), encode(0x81, text(126)), encode(0x81, text(128)), encode(0x81, text(65_535)), encode(0x81, text(65_536)), encode(0x81, "end")),
		"deflated":                     join(encode(0xc1, "a"), encode(0x42, "b"), encode(0x80, "c"), encode(0xc2, text(300))),
		"RSV1 in a continuation":       join(encode(0x41, "a"), encode(0xc0, "b")),
		"RSV1 on a ping":               encode(0xc9, ""),
		"RSV2":                         encode(0xa1, "x"),
		"RSV3":                         encode(0x91, "x"),
		"masked":                       {0x81, 0x81, 1, 2, 3, 4, 5},
		"unknown data":                 encode(0x83, ""),
		"unknown control":              encode(0x8b, ""),
		"ping in fragments":            encode(0x09, ""),
		"ping of 126 bytes":            encode(0x89, text(126)),
		"continuation of nothing":      encode(0x80, "x"),
		"text in a message":            join(encode(0x01, "a"), encode(0x81, "b")),
		"length of 16 bits not needed": {0x81, 126, 0, 125},
		"length of 64 bits not needed": {0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
		"length beyond all":            long,
		"close without a code":         encode(0x88, ""),
		"close with half a code":       encode(0x88, "\x03"),
		"not finished":                 encode(0x81, text(5000))[:1000],
	}
}

func join(bs ...[]byte) []byte { return slices.Concat(bs...) }

func TestFramesAreFoundInAnyPortions(t *testing.T) {
	for name, b := range streams() {
		for _, head := range []int{0, 1, 128, 4096} {
			for _, cuts := range [][]byte{nil, {0}, {1}, {2, 0, 8}, {136}, {137}, {138}, {255, 3}} {
				if len(b) > 10_000 && len(cuts) > 0 && cuts[0] < 100 {
					continue // a matter of many thousand portions
				}
				for _, deflate := range []bool{false, true} {
					t.Run(name, func(t *testing.T) { check(t, b, head, deflate, cuts) })
				}
			}
		}
	}
}

// TestRubbishIsNoticed holds the model itself to account.
func TestRubbishIsNoticed(t *testing.T) {
	fine := []string{"every kind", "every size", "close without a code", "not finished"}
	for name, b := range streams() {
		if _, end := parse(t, b, 128, false, nil); (end == "bad") == slices.Contains(fine, name) {
			t.Errorf("%s ends with %q", name, end)
		}
	}
	if _, end := parse(t, streams()["deflated"], 128, true, nil); end != "" {
		t.Errorf("deflated ends with %q", end)
	}
}

func FuzzFrames(f *testing.F) {
	for _, b := range streams() {
		if len(b) < 2000 {
			f.Add(b, []byte{0, 5}, uint8(128), false)
			f.Add(b, []byte{200}, uint8(3), true)
		}
	}
	f.Fuzz(func(t *testing.T, b, cuts []byte, head uint8, deflate bool) { check(t, b, int(head), deflate, cuts) })
}

// counter is the cheapest sink.
type counter struct{ frames, bytes int }

func (c *counter) data(_ []byte, size int) { c.frames++; c.bytes += size }
func (c *counter) ping([]byte)             {}

// BenchmarkParse is a burst of 100 pushes of usual size, out of one read.
func BenchmarkParse(b *testing.B) {
	const frames = 100
	buf := append(make([]byte, room(128)), strings.Repeat(string(encode(0x81, text(1000))), frames)...)
	var p parser
	var c counter
	b.ReportAllocs()
	for b.Loop() {
		if err := p.feed(buf, room(128), 128, &c); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(c.frames), "ns/frame")
}
