package absence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is devices that are away, the journal, and who leads.
type world struct {
	mu      sync.Mutex
	outages []gatecast.Outage
	events  []gatecast.Event
	fail    error
	follows bool
}

func (w *world) Outages() []gatecast.Outage {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.outages
}

func (w *world) Append(_ context.Context, events []gatecast.Event) (r gatecast.Receipt, _ error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return r, w.fail
	}
next:
	for _, e := range events {
		for _, old := range w.events {
			if old.ID == e.ID {
				r.Duplicates++
				continue next
			}
		}
		w.events = append(w.events, e)
		r.Accepted++
	}
	return r, nil
}

func (w *world) Leads() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.follows
}

func (w *world) set(change func()) {
	w.mu.Lock()
	change()
	w.mu.Unlock()
	<-time.After(time.Minute)
	synctest.Wait()
}

func (w *world) ids() (ids string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		ids += " " + e.ID
	}
	return strings.TrimSpace(ids)
}

func run(t *testing.T, w *world, o Options) {
	t.Helper()
	r := New(Parts{w, w, w}, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

func away(sn string, since time.Time) gatecast.Outage {
	return gatecast.Outage{
		ID: 1561, Trace: "offline-" + sn, Since: since,
		Device: gatecast.Device{SN: sn, Name: "東門 <1>", Place: "1F"},
	}
}

func TestAnAlarmIsRaisedAndReleasedInTheVendorsShape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zone, err := time.LoadLocation("Asia/Tokyo")
		if err != nil {
			t.Fatal(err)
		}
		w := &world{}
		run(t, w, Options{Raise: true, Zone: zone})
		since := time.Now()
		w.set(func() { w.outages = []gatecast.Outage{away("A", since)} })
		if w.ids() != "" {
			t.Error("raised at once")
		}
		<-time.After(10 * time.Minute)
		w.set(func() {}) // the view has not read it yet: it is tried again
		w.set(func() {
			o := away("A", since)
			o.Raised, o.Ended = true, time.Now()
			w.outages = []gatecast.Outage{o}
		})
		if got := w.ids(); got != "gatecast:alarm:offline-A:1 gatecast:alarm:offline-A:3" {
			t.Fatalf("stored: %s", got)
		}
		if len(w.events) != 2 {
			t.Fatal("not two events")
		}
		const shape = `{"id":%v,"level":1,"code":30001,"description":%q,"status":%d,"traceId":"offline-A","deviceId":1561,` +
			`"deviceName":"東門 <1>","deviceSn":"A","deviceLocation":"1F","alarmTime":"2000-01-01 09:00:00","releaseTime":%q,"alarmPhoto":"","resloveOption":0}`
		var first struct{ ID json.Number }
		if err := json.Unmarshal(w.events[0].Data, &first); err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{
			fmt.Sprintf(shape, first.ID, "device offline", 1, ""),
			fmt.Sprintf(shape, first.ID, "device online again", 3, "2000-01-01 09:12:00"),
		} {
			if diff := cmp.Diff(want, string(w.events[i].Data)); diff != "" {
				t.Error(diff)
			}
			e := w.events[i]
			if e.Kind != gatecast.Alarm || e.Device != "A" || e.Source != "gatecast" || e.At.IsZero() {
				t.Errorf("%+v", e)
			}
		}
		if n, err := first.ID.Int64(); err != nil || n <= 0 || n >= 1<<53 {
			t.Errorf("number %v", first.ID)
		}
		// Whoever decodes the vendor's events understands it.
		body := fmt.Sprintf(`{"eventType":30100,"data":%s}`, w.events[1].Data)
		if _, err := senselink.NewDecoder(senselink.Options{}).Decode(strings.NewReader(body), senselink.JSON, time.Now()); err != nil {
			t.Error(err)
		}
	})
}

func TestNothingIsRaisedUnlessAskedForAndWhatWasIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		run(t, w, Options{})
		back := away("B", time.Now())
		w.set(func() { w.outages = []gatecast.Outage{away("A", time.Now().Add(-time.Hour))} })
		w.set(func() {
			back.Raised, back.Ended = true, time.Now()
			w.outages = append(w.outages, back)
		})
		if got := w.ids(); got != "gatecast:alarm:offline-B:3" {
			t.Errorf("stored: %s", got)
		}
	})
}

func TestWhatTheJournalDoesNotTakeIsTriedAgainByTheNodeThatLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{fail: gatecast.Errorf(gatecast.Unavailable, "no disk")}
		run(t, w, Options{Raise: true})
		w.set(func() {
			for i := range 250 {
				w.outages = append(w.outages, away(fmt.Sprint(i), time.Now().Add(-time.Hour)))
			}
		})
		w.set(func() { w.follows, w.fail = true, nil })
		if w.ids() != "" {
			t.Error("stored by a node that does not lead")
		}
		w.set(func() { w.follows = false })
		if n := len(strings.Fields(w.ids())); n != 250 {
			t.Errorf("%d alarms of 250", n)
		}
	})
}
