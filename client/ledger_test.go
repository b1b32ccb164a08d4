package client

import (
	"testing"

	"github.com/gobwas/ws"
)

// A Seq of the journal before means nothing to a server that has another one.
func TestNoAcknowledgementOfAnotherJournalIsTold(t *testing.T) {
	l := newLedger(10)
	l.connect(place{})
	old := l.hand(place{Position{"E", 9}, 0}, true)
	l.arrive(place{Position{"F", 3}, 1})
	l.ack(old)
	if seq, owed := l.tell(); owed {
		t.Errorf("told %d, with the cursor in the journal before", seq)
	}
	l.ack(l.hand(place{Position{"F", 3}, 1}, true))
	if seq, owed := l.tell(); !owed || seq != 3 {
		t.Errorf("told %d, %v; want 3", seq, owed)
	}
}

func TestTheCursorMovesOverWhatIsNotDelivered(t *testing.T) {
	l := newLedger(10)
	first := l.hand(place{Position: Position{"E", 1}}, true)
	l.skip(place{Position: Position{"E", 2}})
	l.skip(place{Position: Position{"E", 3}})
	if p, ok := l.position(); ok {
		t.Errorf("the cursor is %v while 1 is open", p)
	}
	l.ack(first)
	if p, _ := l.position(); p.Seq != 3 {
		t.Errorf("the cursor is %v, want 3", p)
	}
	l.skip(place{Position: Position{"E", 4}})
	l.ack(first) // twice is no harm
	if p, _ := l.position(); p.Seq != 4 || len(l.queue) != 0 {
		t.Errorf("the cursor is %v with %d open, want 4 and none", p, len(l.queue))
	}
}

func TestNothingFollowsTheGoodbye(t *testing.T) {
	conn := &tape{}
	l := newLink(conn, goodbyeTimeout, 1000)
	if err := l.write(ws.NewCloseFrame(nil), goodbyeTimeout); err != nil {
		t.Fatal(err)
	}
	said := conn.out.Len()
	if err := l.write(ws.NewTextFrame([]byte(`{"ack":1}`)), goodbyeTimeout); err == nil || conn.out.Len() != said {
		t.Errorf("%d bytes follow the close frame, error %v", conn.out.Len()-said, err)
	}
}
