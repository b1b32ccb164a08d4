package ws

import (
	"fmt"
	"sync"
	"testing"

	"github.com/gatecast/gatecast"
)

// TestSwitchFromReplayToLiveHasNoGapAndNoOverlapUnderLoad lets clients come
// back, from the ring and from the journal, while events are published without
// a pause, and has each read on past the switch.
func TestSwitchFromReplayToLiveHasNoGapAndNoOverlapUnderLoad(t *testing.T) {
	const clients, beyond = 40, 400
	s := newSite(t, 512, quick())
	s.publish(1, 3000, 0, gatecast.Record)
	s.awaitHead(3000)
	var load, readers sync.WaitGroup
	stop := make(chan struct{})
	load.Go(func() {
		for n := 3001; ; n += 20 {
			select {
			case <-stop:
				return
			default:
				s.publish(n, 20, 100, gatecast.Record)
				s.awaitHead(gatecast.Seq(n + 19))
			}
		}
	})
	for i := range clients {
		head := int(s.hub.Head())
		from := head - []int{0, 10, 300, 2500}[i%4] // level, near, in the ring, in the journal
		p := s.ask(fmt.Sprintf("since=%d", from))
		expectResumed(t, p.text(), gatecast.Seq(from))
		born := int(s.hub.Head())
		readers.Go(func() {
			for want := from + 1; want <= born+beyond; want++ {
				if got := eventID(t, p.text()); got != want {
					t.Errorf("after a start at %d with the head at about %d: got event %d, want %d", from, born, got, want)
					break
				}
			}
			p.cut()
		})
	}
	readers.Wait()
	close(stop)
	load.Wait()
}
