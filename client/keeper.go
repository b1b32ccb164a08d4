package client

import "time"

// keeper carries the cursor to where it is kept: soon after it has moved, and
// not for every step of it. One goroutine does so until stop.
type keeper struct {
	moved  <-chan struct{}
	delay  time.Duration // between a move and its flush
	urgent func() bool   // it must not wait so long
	flush  func() error
	failed func(error) // a flush failed, and the keeper rests

	quit chan struct{}
	done chan struct{}
}

func (k *keeper) start() {
	k.quit, k.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(k.done)
		k.run()
	}()
}

func (k *keeper) run() {
	var due <-chan time.Time
	for {
		select {
		case <-k.quit:
			return
		case <-due:
		case <-k.moved:
			if !k.urgent() {
				if due == nil {
					due = time.After(k.delay)
				}
				continue
			}
		}
		due = nil
		if err := k.flush(); err != nil {
			k.failed(err)
			return
		}
	}
}

// stop ends the goroutine and flushes what is left.
func (k *keeper) stop() error {
	close(k.quit)
	<-k.done
	return k.flush()
}
