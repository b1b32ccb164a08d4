package bench

import (
	"bytes"
	"compress/flate"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast/internal/bench/load"
)

// get has a client of the audience get pushes.
func get(a *audience, client int, numbers ...uint64) {
	for _, n := range numbers {
		a.Frame(client, a.events.Push(n), load.DefaultSize-4)
	}
}

func TestAnAudienceIsLevelWhenEveryClientHasTheEvent(t *testing.T) {
	a := newAudience(load.NewEvents(load.DefaultSize), 2, 0)
	a.expect(2)
	get(a, 0, 1, 2)
	get(a, 1, 1)
	if len(a.level) != 0 {
		t.Error("level while a client waits for an event")
	}
	get(a, 1, 2)
	if err := a.await(t.Context(), time.Minute); err != nil {
		t.Error(err)
	}
	a.expect(3)
	get(a, 0, 3)
	if len(a.level) != 0 {
		t.Error("level by what was there before")
	}
}

func TestAnEventThatAClientDidNotGetFailsTheMeasurement(t *testing.T) {
	a := newAudience(load.NewEvents(load.DefaultSize), 1, 0)
	a.expect(3)
	get(a, 0, 1, 3)
	if err := a.await(t.Context(), time.Minute); err == nil || !strings.Contains(err.Error(), "missed 1") {
		t.Errorf("got %v", err)
	}
}

func TestARepeatedEventIsCountedOnceMore(t *testing.T) {
	a := newAudience(load.NewEvents(load.DefaultSize), 1, 4)
	a.expect(6)
	get(a, 0, 5, 4, 5, 6, 6)
	a.mayRepeat = true
	if err := a.await(t.Context(), time.Minute); err != nil || a.repeated.Load() != 3 || a.reached.Load() != 1 {
		t.Errorf("%v, %d repeated, %d reached", err, a.repeated.Load(), a.reached.Load())
	}
}

func TestWhatOthersSendIsNotCounted(t *testing.T) {
	a := newAudience(load.NewEvents(load.DefaultSize), 1, 0)
	a.expect(1)
	a.Frame(0, []byte(`{"code":20000,"message":"Connected!","desc":"Connected!"}`), 60)
	a.Frame(0, []byte(`{"code":30000,"desc":"","message":"push record","data":{"id":1,"userId":1,"name":"someone else"}}`), 1000)
	if len(a.level) != 0 || a.first.Load() != 0 {
		t.Error("an event of somebody else was counted")
	}
}

func TestACompressedPushIsCounted(t *testing.T) {
	a := newAudience(load.NewEvents(20_000), 1, 0)
	a.expect(2)
	for n := uint64(1); n <= 2; n++ {
		var b bytes.Buffer
		z, err := flate.NewWriter(&b, flate.BestSpeed)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = z.Write(a.events.Push(n)) // to memory
		_ = z.Flush()
		a.Frame(0, b.Bytes()[:min(b.Len(), deflatedHead)], b.Len())
	}
	a.Frame(0, []byte("\x01rubbish"), 8)
	if err := a.await(t.Context(), time.Minute); err != nil {
		t.Error(err)
	}
}

func TestLatencyCountsFromWhenAnEventWasDue(t *testing.T) {
	a := newAudience(load.NewEvents(load.DefaultSize), 1, 0)
	table := load.Timetable{Start: time.Now().Add(-3 * time.Second), Every: time.Second}
	took := a.time(table, 1, 3)
	get(a, 0, 2, 1, 2, 3) // over several connections, in any order
	if err := a.await(t.Context(), time.Minute); err == nil || !strings.Contains(err.Error(), "1 events again") {
		t.Fatalf("an event came twice: %v", err)
	}
	if most, least := took.Max(), took.Min(); took.TotalCount() != 3 || most < 3_000_000 || least < 999_000 || least > 2_900_000 {
		t.Errorf("%d latencies from %d to %d µs", took.TotalCount(), least, most)
	}
}

func TestAnAudienceThatIsNeverServedSaysHowManyAreMissing(t *testing.T) {
	a := newAudience(load.NewEvents(load.DefaultSize), 3, 0)
	a.expect(1)
	get(a, 0, 1)
	if err := a.await(t.Context(), time.Millisecond); err == nil || !strings.Contains(err.Error(), "only 1 of 3") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.await(ctx, time.Minute); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}
