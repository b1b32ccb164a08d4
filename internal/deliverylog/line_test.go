package deliverylog

import (
	"bytes"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

// Whatever is in an attempt, its line is one line, bounded, and can be read.
func FuzzLine(f *testing.F) {
	f.Add(uint64(1), int64(0), uint64(7), 200, "msg_1", "", []byte("ok"))
	f.Add(uint64(9), int64(-1), uint64(0), -5, "\xff\n", "a\u2028b", []byte{0, '\n', 0xff})
	f.Fuzz(func(t *testing.T, n uint64, ns int64, seq uint64, status int, message, text string, answer []byte) {
		if n == 0 {
			t.Skip("numbers begin at 1")
		}
		a := gatecast.Attempt{Time: time.Unix(0, ns).UTC(), Seq: gatecast.Seq(seq), Status: status, Message: message, Error: text, Answer: answer}
		line := appendLine(nil, n, &a)
		if len(line) > minBytes/2 || bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Fatalf("%d bytes: %q", len(line), line)
		}
		r, err := parse(line[:len(line)-1])
		if err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		got := r.attempt()
		if r.N != n || !got.Time.Equal(a.Time) || got.Seq != a.Seq || got.Status != a.Status || !bytes.Equal(got.Answer, answer[:min(len(answer), maxAnswer)]) {
			t.Fatalf("%+v was read from %q", got, line)
		}
	})
}
