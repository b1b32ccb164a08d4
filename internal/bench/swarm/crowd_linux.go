package swarm

import (
	"context"
	"sync"
)

// crowd is the workers.
type crowd struct {
	workers []*worker
	running sync.WaitGroup
}

func newCrowd(h Handler, o Options) (*crowd, error) {
	c := &crowd{}
	for place := range o.Workers {
		w, err := newWorker(h, o, place)
		if err != nil {
			c.close()
			return nil, err
		}
		c.workers = append(c.workers, w)
		c.running.Go(w.run)
	}
	return c, nil
}

// dial tells the workers. They hear of the context's end by abandon.
func (c *crowd) dial(_ context.Context, wave *wave, _, to int) {
	for _, w := range c.workers {
		w.mail.post(func() { w.enlist(wave, to) })
	}
}

func (c *crowd) abandon(wave *wave) {
	var done sync.WaitGroup
	for _, w := range c.workers {
		done.Add(1)
		if !w.mail.post(func() { w.abandon(wave); done.Done() }) {
			done.Done()
		}
	}
	done.Wait()
}

func (c *crowd) stats() (sum Stats) {
	for _, w := range c.workers {
		sum.Open += w.open.Load()
		sum.Retries += w.retries.Load()
		sum.Frames += w.shown[0].Load()
		sum.Bytes += w.shown[1].Load()
		sum.Pongs += w.shown[2].Load()
	}
	return sum
}

func (c *crowd) close() {
	for _, w := range c.workers {
		w.mail.post(func() { w.stopped = true })
	}
	c.running.Wait()
}
