package client

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// tape is a connection whose incoming bytes are known beforehand.
type tape struct {
	io.Reader
	out bytes.Buffer
}

func (t *tape) Write(p []byte) (int, error) { return t.out.Write(p) }
func (t *tape) Close() error                { return nil }

// Whatever a server sends, messages stay within their limit and are UTF-8, and
// what goes back is frames that a server may accept.
func FuzzLink(f *testing.F) {
	for _, frame := range []ws.Frame{
		ws.NewTextFrame([]byte(`{"code":10000}`)), ws.NewPingFrame([]byte("1")), ws.NewFrame(ws.OpText, false, []byte("ab")),
		ws.NewFrame(ws.OpContinuation, true, []byte("cd")), ws.NewCloseFrame(ws.NewCloseFrameBody(1012, "x")),
		ws.NewTextFrame(make([]byte, 300)), ws.NewTextFrame(make([]byte, 70_000)), ws.NewCloseFrame([]byte{3}),
	} {
		f.Add(ws.MustCompileFrame(frame))
	}
	f.Add([]byte{0x81, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1000
		conn := &tape{Reader: bytes.NewReader(in)}
		l := newLink(conn, time.Hour, limit)
		for {
			text, err := l.next()
			if err != nil {
				break
			}
			if len(text) > limit || !utf8.Valid(text) {
				t.Fatalf("got %d bytes, valid %v", len(text), utf8.Valid(text))
			}
		}
		for conn.out.Len() > 0 {
			//lint:ignore SA1019 the peer is the one under test
			frame, err := ws.ReadFrame(&conn.out)
			if err != nil {
				t.Fatalf("the client wrote half a frame: %v", err)
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

func TestAnAnnouncedLengthAloneTakesNoMemory(t *testing.T) {
	conn := &tape{Reader: bytes.NewReader([]byte{0x81, 127, 0, 0, 0, 0, 0x3f, 0xff, 0xff, 0xff, 'x'})}
	l := newLink(conn, time.Hour, 1<<30)
	_, err := l.next()
	if !errors.Is(err, io.EOF) || cap(l.message) > 64<<10 {
		t.Errorf("took %d bytes for 1 byte, error %v", cap(l.message), err)
	}
}
