package cursor

import (
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

func TestALossThatOthersMadeGoodIsNone(t *testing.T) {
	s := OpenMem(Options{Epoch: "e1", Last: ends(100)})
	stop := run(t, s)
	defer stop()
	begin(t, s, gate, 10)
	s.Confirm(gate, 90)
	before, _ := s.Cursor(gate)
	// A second connection of the same consumer, further behind, is overtaken by retention.
	s.Lose(gate, gatecast.GapNotice{From: 20, To: 50, Reason: gatecast.GapRetention}, before.Complete.Add(time.Hour))
	if cur, _ := s.Cursor(gate); cur.Lost != 0 || !cur.Complete.Equal(before.Complete) {
		t.Errorf("lost %d, complete since %v; the consumer has confirmed all of it", cur.Lost, cur.Complete)
	}
	s.Lose(gate, gatecast.GapNotice{From: 70, To: 95, Reason: gatecast.GapRetention}, before.Complete.Add(time.Hour))
	if cur, _ := s.Cursor(gate); cur.Lost != 5 || cur.Seq != 95 {
		t.Errorf("lost %d and at %d; want 5, for it has confirmed 90, and 95", cur.Lost, cur.Seq)
	}
}

func TestALossThatIsToldLateMakesNothingCompleteAgain(t *testing.T) {
	s := OpenMem(Options{Epoch: "e1", Last: ends(100)})
	stop := run(t, s)
	defer stop()
	begin(t, s, gate, 10)
	late := s.now().Add(2 * time.Hour)
	s.Lose(gate, gatecast.GapNotice{From: 10, To: 50, Reason: gatecast.GapWindow}, late)
	s.Lose(gate, gatecast.GapNotice{From: 10, To: 60, Reason: gatecast.GapRetention}, late.Add(-time.Hour))
	if cur, _ := s.Cursor(gate); !cur.Complete.Equal(late) {
		t.Errorf("complete since %v, want %v: what was accepted in between was withheld", cur.Complete, late)
	}
}

func TestAConsumerThatIsHereIsNotIdleThoughNothingHappens(t *testing.T) {
	clk := newClock()
	s := OpenMem(Options{Epoch: "e1", Last: ends(100), MaxPerApp: 2, Now: clk.Now})
	stop := run(t, s)
	defer stop()
	here, away := gatecast.NamedConsumer(gate.App, "here"), gatecast.NamedConsumer(gate.App, "away")
	begin(t, s, here, 7)
	clk.pass(time.Second)
	begin(t, s, away, 7)
	clk.pass(time.Second)
	s.Pass(here, 7) // as with each heartbeat of a connection that has everything
	clk.pass(time.Second)
	begin(t, s, gate, 7)
	if _, there := s.Cursor(here); !there {
		t.Error("the cursor of a consumer that is connected was forgotten before that of one that is not")
	}
}
