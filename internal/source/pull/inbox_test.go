package pull

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/gatecast/gatecast"
)

func TestWhatMayWaitIsBoundedByNumberAndBySize(t *testing.T) {
	for name, test := range map[string]struct{ size, most int }{
		"small events": {100, maxWaiting},
		"large events": {1 << 20, maxWaitingBytes >> 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newInbox()
				ctx, cancel := context.WithCancel(t.Context())
				put, last := 0, make(chan bool)
				go func() {
					room := true
					for ; room; put++ {
						room = b.put(ctx, gatecast.Event{Data: make([]byte, test.size)})
					}
					last <- room
				}()
				for range 3 {
					synctest.Wait()
					if n := b.waiting(); n != test.most {
						t.Errorf("%d wait, want %d", n, test.most)
					}
					if n := len(b.take()); n != test.most {
						t.Errorf("took %d, want %d", n, test.most)
					}
				}
				synctest.Wait()
				cancel()
				if room := <-last; room || put != 4*test.most+1 {
					t.Errorf("%v after %d", room, put)
				}
				b.end()
				if n := len(b.take()); n != test.most+1 { // who had one in hand has put it
					t.Errorf("took %d at the end", n)
				}
				if n := len(b.take()); n != 0 {
					t.Errorf("took %d after the end", n)
				}
			})
		})
	}
}
