package device

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// crowd is a tracker with ten thousand devices that are silent for two days.
func crowd() (*Tracker, time.Time) {
	t := New(Parts{&journal{}, &journal{}, &servers{}}, Options{})
	now := time.Now()
	for i := range 10_000 {
		for h := range 3 * week {
			if i == 0 || h%(week/7) == 0 {
				ev := passage(fmt.Sprint("device-", i), "push", now.Add(time.Duration(h-3*week-48)*time.Hour))
				ev.Stored = ev.At
				t.take(&ev)
			}
		}
	}
	t.level = true
	return t, now
}

func BenchmarkTenThousandDevicesJudged(b *testing.B) {
	t, now := crowd()
	for b.Loop() {
		t.judgeAll(now)
	}
}

func BenchmarkTenThousandDevicesWritten(b *testing.B) {
	t, _ := crowd()
	for b.Loop() {
		var all []*device
		for _, d := range t.known.devices {
			all = append(all, d)
		}
		content, err := json.Marshal(memo{Devices: all})
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(content)))
	}
}

func BenchmarkAnEventTaken(b *testing.B) {
	t, now := crowd()
	n := 0
	for b.Loop() {
		ev := passage(fmt.Sprint("device-", n%10_000), "push", now)
		ev.Stored = now
		t.take(&ev)
		n++
	}
}
