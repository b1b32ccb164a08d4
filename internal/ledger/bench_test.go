package ledger

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// BenchmarkCommit commits a change of each of 1,000 subscriptions, on a disk
// that is forced each time, with so many pending events each.
func BenchmarkCommit(b *testing.B) {
	for _, pending := range []int{0, 100, 1000, 10_000} {
		b.Run(fmt.Sprintf("pending=%d", pending), func(b *testing.B) {
			s, err := Open(b.Context(), buckettest.Connect(b, buckettest.Server(b, b.TempDir(), 8<<20)), Options{Epoch: "e1", Timeout: time.Minute})
			if err != nil {
				b.Fatal(err)
			}
			ids := subscriptions(1000)
			for n := 0; b.Loop(); n++ {
				for _, id := range ids {
					s.Save(id, progressOf(n, pending))
				}
				if err := s.commit(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkKeys is what the same would cost with a key for each subscription:
// one write after the other, and all at once.
func BenchmarkKeys(b *testing.B) {
	for _, form := range []string{"sequential", "pipelined"} {
		b.Run(form, func(b *testing.B) {
			js := buckettest.Connect(b, buckettest.Server(b, b.TempDir(), 8<<20))
			kv, err := js.CreateKeyValue(b.Context(), jetstream.KeyValueConfig{Bucket: "keys", History: 1})
			if err != nil {
				b.Fatal(err)
			}
			ids := subscriptions(1000)
			for n := 0; b.Loop(); n++ {
				for _, id := range ids {
					raw, _, err := encodeRecord(id, progressOf(n, 0), limit)
					if err != nil {
						b.Fatal(err)
					}
					if form == "sequential" {
						_, err = kv.Put(b.Context(), id, raw)
					} else {
						_, err = js.PublishMsgAsync(&nats.Msg{Subject: "$KV.keys." + id, Data: raw})
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				await(b, js)
			}
		})
	}
}

func await(b *testing.B, js jetstream.JetStream) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	select {
	case <-js.PublishAsyncComplete():
	case <-ctx.Done():
		b.Fatal("the server does not answer")
	}
}

func subscriptions(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = subscription(i)
	}
	return ids
}

func subscription(i int) string { return fmt.Sprintf("sub_%016x", uint64(i)*0x9e3779b97f4a7c15) }

// progressOf is progress as it may look at step n: every third event is pending.
func progressOf(n, pending int) gatecast.Progress {
	p := gatecast.Progress{
		Epoch: "ABCDEFGHIJKLMNOPQRSTUV", Head: gatecast.Seq(1_000_000 + n*1000 + 3*pending), Delivered: uint64(900_000 + n*1000),
		Status: gatecast.SubscriptionActive, Since: time.UnixMilli(1767323045678).UTC(),
	}
	for i := range pending {
		p.Pending = append(p.Pending, gatecast.Seq(1_000_000+n*1000+3*i))
	}
	return p
}
