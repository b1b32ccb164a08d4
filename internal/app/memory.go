package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// memory is what the runtime tells of the heap, in bytes.
type memory struct {
	wasted    uint64 // taken from the system and not in use: free, or garbage already
	allocated uint64 // ever
}

func readMemory() memory {
	names := []string{
		"/memory/classes/heap/free:bytes", "/memory/classes/heap/unused:bytes", "/memory/classes/heap/objects:bytes",
		"/gc/heap/live:bytes", "/gc/heap/allocs:bytes",
	}
	samples := make([]metrics.Sample, len(names))
	for i, name := range names {
		samples[i].Name = name
	}
	metrics.Read(samples)
	value := func(i int) uint64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0 // a runtime that does not know the name
		}
		return samples[i].Value.Uint64()
	}
	free, unused, objects, live := value(0), value(1), value(2), value(3)
	return memory{
		wasted:    free + unused + objects - min(objects, live),
		allocated: value(4),
	}
}

// Thrift: how often the heap is looked at, how little is allocated in between
// when nothing goes on, and how much has to be gained.
const (
	thriftEvery = 5 * time.Second
	thriftQuiet = 4 << 20
	thriftGain  = 8 << 20
)

// thrift gives memory back to the system when a storm is over. The runtime would
// do so too, in minutes: it collects no garbage where nothing is allocated, and
// ten thousand handshakes leave as much of it as the connections take.
func thrift(ctx context.Context, read func() memory, giveBack func()) {
	tick := time.NewTicker(thriftEvery)
	defer tick.Stop()
	last, freedAt := read(), uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := read()
		quiet := now.allocated-last.allocated < thriftQuiet
		// What little use has left behind since the last time is not worth it.
		if used := now.allocated - freedAt; quiet && now.wasted >= thriftGain && used >= now.wasted {
			giveBack()
			now = read()
			freedAt = now.allocated
		}
		last = now
	}
}

func giveBackMemory() { debug.FreeOSMemory() }
