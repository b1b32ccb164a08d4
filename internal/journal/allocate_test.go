package journal

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// nowhere is a store that takes everything at once, so that only our own side
// of it is measured.
type nowhere struct{ last gatecast.Seq }

func (n *nowhere) batch(_ context.Context, items []*item) verdict {
	for _, it := range items {
		n.last++
		it.seq = n.last
	}
	return verdict{}
}

func (n *nowhere) singles(ctx context.Context, items []*item) verdict { return n.batch(ctx, items) }
func (n *nowhere) idle(context.Context) error                         { return nil }
func (n *nowhere) close()                                             {}

// body returns what a sender sends: n events of about 1,000 bytes, new each time.
func body(round, n int) []byte {
	b := []byte("[")
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"eventType":30000,"messageId":"%d-%d","data":{"id":%d,"groups":[{"id":7,"name":"staff","type":1}],`, round, i, i+1)
		b = fmt.Appendf(b, `"sn":"SPS-0001","signTime":1583726626,"signDate":"2020-03-09","remark":%q}}`, bytes.Repeat([]byte("r"), 850))
	}
	return append(b, ']')
}

// TestAnEventOfABatchAllocatesLittle bounds what decoding and appending cost
// the garbage collector: of each event three things live on by themselves, its
// ID, its groups and its data. Everything else is shared by the batch, or grows
// now and then.
func TestAnEventOfABatchAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const size, perEvent = 1000, 3.25
	j := openOver(t, &nowhere{}, Commit{})
	decoder := senselink.NewDecoder(senselink.Options{})
	round := 0
	var bodies [][]byte
	for i := range 22 {
		bodies = append(bodies, body(i, size))
	}
	got := testing.AllocsPerRun(20, func() {
		events, err := decoder.Decode(bytes.NewReader(bodies[round]), senselink.JSON, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if r, err := j.Append(context.Background(), events); err != nil || r.Accepted != size {
			t.Fatal(r, err)
		}
		round++
	})
	if got/size > perEvent {
		t.Errorf("%.2f allocations for each event, at most %v are needed", got/size, float64(perEvent))
	}
	t.Logf("%.2f allocations for each event of a batch of %d", got/size, size)
}

// BenchmarkOurSide is an append but for the store: what gatecast itself costs.
func BenchmarkOurSide(b *testing.B) {
	for _, size := range []int{1, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			j := openOver(b, &nowhere{}, Commit{})
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if _, err := j.Append(context.Background(), events(fmt.Sprint(n), size)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/event")
		})
	}
}
