package journal

import (
	"context"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats.go/jetstream"
)

// watch hears of events that other nodes store in the same stream. It moves the
// end only; readers then read for themselves. It owns one ordered consumer, and
// makes a new one when that has failed.
func (j *Journal) watch(ctx context.Context) {
	for {
		err := j.watchOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		j.opts.Log.Warn("the watch over other nodes' events was lost; beginning anew", "err", err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
	}
}

func (j *Journal) watchOnce(ctx context.Context) error {
	last, _ := j.tail.end()
	c, err := j.link.js.OrderedConsumer(ctx, streamName, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: uint64(last) + 1, HeadersOnly: true,
	})
	if err != nil {
		return err
	}
	msgs, err := c.Messages()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, msgs.Stop)
	defer stop()
	defer msgs.Stop()
	for {
		m, err := msgs.Next()
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		j.tail.advance(gatecast.Seq(meta.Sequence.Stream))
	}
}
