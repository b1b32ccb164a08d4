package pull

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// tape is a connection whose incoming bytes are known beforehand.
type tape struct {
	net.Conn // nil
	in       io.Reader
	out      bytes.Buffer
}

func (t *tape) Read(p []byte) (int, error)       { return t.in.Read(p) }
func (t *tape) Write(p []byte) (int, error)      { return t.out.Write(p) }
func (t *tape) SetReadDeadline(time.Time) error  { return nil }
func (t *tape) SetWriteDeadline(time.Time) error { return nil }

func newTape(in []byte, limit int) (*tape, *link) {
	conn := &tape{in: bytes.NewReader(in)}
	return conn, newLink(conn, nil, newPulse(time.Hour, time.Now()), limit)
}

// Whatever a server sends, no more than the limit is kept of it, and what goes
// back is frames that a server may accept.
func FuzzLink(f *testing.F) {
	for _, frame := range []ws.Frame{
		ws.NewTextFrame([]byte(`{"code":10000}`)), ws.NewPingFrame([]byte("1")), ws.NewFrame(ws.OpText, false, []byte("ab")),
		ws.NewFrame(ws.OpContinuation, true, []byte("cd")), ws.NewCloseFrame(ws.NewCloseFrameBody(1012, "x")),
		ws.NewBinaryFrame(make([]byte, 300)), ws.NewTextFrame(make([]byte, 70_000)), ws.NewCloseFrame([]byte{3}),
	} {
		f.Add(ws.MustCompileFrame(frame))
	}
	f.Add(append(ws.MustCompileFrame(ws.NewTextFrame(make([]byte, 2000))), ws.MustCompileFrame(ws.NewTextFrame([]byte("next")))...))
	f.Add([]byte{0x81, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1000
		conn, l := newTape(in, limit)
		for {
			m, err := l.next()
			if err != nil {
				break
			}
			if len(m.text) > limit || m.whole() != (m.size <= limit) {
				t.Fatalf("kept %d bytes of %d", len(m.text), m.size)
			}
		}
		for conn.out.Len() > 0 {
			//lint:ignore SA1019 the peer is the one under test
			frame, err := ws.ReadFrame(&conn.out)
			if err != nil {
				t.Fatalf("half a frame was written: %v", err)
			}
			if err := ws.CheckHeader(frame.Header, ws.StateServerSide); err != nil {
				t.Fatal(err)
			}
			if frame.Header.OpCode == ws.OpClose && conn.out.Len() > 0 {
				t.Fatal("something follows the close frame")
			}
		}
	})
}

// FuzzEnvelope: a message is an envelope or it is rubbish, and nothing in
// between.
func FuzzEnvelope(f *testing.F) {
	for _, text := range []string{record(1), alarm(1, 2), `{"code":20000}`, `{"code":"10000"}`, `{"eventType":30000,"data":null}`, `{"code":1.5}`, `{"code":-0}`, `[]`, `null`, ``} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		env, err := readEnvelope(message{text: text, size: int64(len(text))})
		if err == nil && !bytes.Contains(text, env.data) {
			t.Fatalf("%q is not of the message", env.data)
		}
		if err != nil && (env.code != 0 || env.data != nil) {
			t.Fatalf("%+v and %v", env, err)
		}
	})
}

func TestAnAnnouncedLengthAloneTakesNoMemory(t *testing.T) {
	_, l := newTape([]byte{0x81, 127, 0, 0, 0, 0, 0x00, 0xff, 0xff, 0xff, 'x'}, 1<<30)
	if _, err := l.next(); err == nil || cap(l.text) > 64<<10 {
		t.Errorf("took %d bytes for 1 byte, error %v", cap(l.text), err)
	}
}

func TestOfAMessageThatIsTooLargeTheBeginningIsKept(t *testing.T) {
	text := bytes.Repeat([]byte("0123456789"), 20_000)
	in := append(ws.MustCompileFrame(ws.NewTextFrame(text)), ws.MustCompileFrame(ws.NewTextFrame([]byte("next")))...)
	_, l := newTape(in, 100_000)
	m, err := l.next()
	if err != nil || m.whole() || m.size != 200_000 || !bytes.Equal(m.text, text[:sample]) {
		t.Errorf("%d bytes of %d, %v", len(m.text), m.size, err)
	}
	if m, err := l.next(); err != nil || string(m.text) != "next" {
		t.Errorf("%q, %v", m.text, err)
	}
}

func TestWhatCameWithTheHandshakeIsRead(t *testing.T) {
	frame := ws.MustCompileFrame(ws.NewTextFrame([]byte("early")))
	l := newLink(&tape{in: bytes.NewReader(frame[3:])}, frame[:3], newPulse(time.Hour, time.Now()), 100)
	if m, err := l.next(); err != nil || string(m.text) != "early" {
		t.Errorf("%q, %v", m.text, err)
	}
}
