package wsconn

import "testing"

func TestMessagesGoBothWays(t *testing.T) {
	everyDoor(t, func(t *testing.T, d door) {
		p, s := d.open(t, Options{}, "", client(0x81, "early")...)
		if m := receive(t, s.messages, "the early message"); m != "t:early" {
			t.Errorf("got %q", m)
		}
		n, err := s.conn.Push([]*Frame{NewText([]byte("one")), NewText([]byte("two")), NewBinary([]byte("three"))})
		if n != 3 || err != nil {
			t.Fatalf("push: %d, %v", n, err)
		}
		if err := s.conn.Ping([]byte("seq 3")); err != nil {
			t.Fatal(err)
		}
		p.expect(0x81, "one")
		p.expect(0x81, "two")
		p.expect(0x82, "three")
		p.expect(0x89, "seq 3")
		p.write(frames(client(0x8a, "seq 3"), client(0x81, "hello"), client(0x82, "bytes"), client(0x89, "?")))
		if m := receive(t, s.pongs, "the pong"); m != "seq 3" {
			t.Errorf("got %q", m)
		}
		if m := receive(t, s.messages, "the text"); m != "t:hello" {
			t.Errorf("got %q", m)
		}
		if m := receive(t, s.messages, "the bytes"); m != "b:bytes" {
			t.Errorf("got %q", m)
		}
		p.expect(0x8a, "?")
		p.write(client(0x88, closing(1001, "bye")))
		p.expectClose(1001)
		if got, want := say(s.end(t)), "1001 remote=true clean=true"; got != want {
			t.Errorf("Serve returned %s, want %s", got, want)
		}
	})
}
