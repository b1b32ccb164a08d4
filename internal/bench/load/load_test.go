package load

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
	"github.com/gatecast/gatecast/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTheServerMakesOfAnEventThePushThatTheBareLoopSends holds the two sides of
// a comparison to the same bytes.
func TestTheServerMakesOfAnEventThePushThatTheBareLoopSends(t *testing.T) {
	for _, size := range []int{MinSize, DefaultSize, 20_000} {
		e := NewEvents(size)
		events, err := decode(string(e.Append(nil, 7)))
		if err != nil || len(events) != 1 {
			t.Fatalf("the server refuses the event: %v", err)
		}
		push := senselink.AppendPush(nil, &events[0])
		if string(push) != string(e.Push(7)) {
			t.Errorf("the server pushes\n%s, the bare loop sends\n%s", push, e.Push(7))
		}
		if got := len(push) + 4; got != size { // RFC 6455, section 5.2: two bytes and the length in two more
			t.Errorf("a frame has %d bytes, want %d", got, size)
		}
	}
}

// TestTheServerPostsOfAnEventTheBodyThatTheBareLoopSends does the same for
// webhooks.
func TestTheServerPostsOfAnEventTheBodyThatTheBareLoopSends(t *testing.T) {
	e := NewEvents(DefaultSize).Devices(1000)
	devices := make(map[string]uint64)
	for n := range uint64(2000) {
		events, err := decode(string(e.Append(nil, n)))
		if err != nil || len(events) != 1 {
			t.Fatalf("the server refuses the event: %v", err)
		}
		if body := webhook.AppendBody(nil, &events[0], webhook.Form{}); string(body) != string(e.Webhook(n)) {
			t.Fatalf("the server posts\n%s, the bare loop sends\n%s", body, e.Webhook(n))
		}
		if is, ours := e.NumberOf([]byte(events[0].ID)); !ours || is != n {
			t.Fatalf("event %d has number %d (%v)", n, is, ours)
		}
		device, known := devices[events[0].Device]
		if known && device != e.Device(n) || len(events[0].Device) != 37 {
			t.Fatalf("event %d comes from device %s, which is number %d and %d", n, events[0].Device, device, e.Device(n))
		}
		devices[events[0].Device] = e.Device(n)
	}
	if len(devices) != 1000 {
		t.Errorf("the events come from %d devices, want 1000", len(devices))
	}
	for _, foreign := range []string{"", "bench-", "bench-123", "bench-x", "xbench-" + strconv.FormatUint(e.run*span, 10)} {
		if n, ours := e.NumberOf([]byte(foreign)); ours {
			t.Errorf("%q is taken for event %d", foreign, n)
		}
	}
}

func decode(body string) ([]gatecast.Event, error) {
	return senselink.NewDecoder(senselink.Options{}).Decode(strings.NewReader(body), senselink.JSON, time.Now())
}

func TestABatchIsItsEventsInOrder(t *testing.T) {
	e := NewEvents(DefaultSize)
	events, err := decode(string(e.Batch(5, 9)))
	if err != nil || len(events) != 5 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	seen := make(map[string]bool)
	for i := range events {
		if n, ours := e.Number(senselink.AppendPush(nil, &events[i])); !ours || n != uint64(5+i) {
			t.Errorf("event %d has number %d (%v)", i, n, ours)
		}
		seen[events[i].ID] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d different IDs of 5", len(seen))
	}
}

func TestPushesOfOthersAreNotCounted(t *testing.T) {
	e := NewEvents(DefaultSize)
	other := NewEvents(DefaultSize)
	for other.run == e.run {
		other = NewEvents(DefaultSize)
	}
	torn := e.Push(1)
	torn[len(prefix)+3] = 'x'
	for _, push := range [][]byte{
		other.Push(1), nil, []byte(senselink.Connected), []byte(senselink.HeartBeat), e.Push(1)[:HeadSize-1],
		torn, make([]byte, HeadSize),
	} {
		if n, ours := e.Number(push); ours {
			t.Errorf("%.80q is taken for event %d", push, n)
		}
	}
	if n, ours := e.Number(e.Push(123_456_789)[:HeadSize]); !ours || n != 123_456_789 {
		t.Errorf("number %d (%v)", n, ours)
	}
}

func TestAPosterTellsWhatTheServerAnswered(t *testing.T) {
	answers := map[string]int{"fine": 200, "busy": 503, "slow down": 429, "wrong": 422}
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Header.Get("Authorization")+" "+r.URL.Path+" "+string(body))
		w.WriteHeader(answers[string(body)])
		fmt.Fprint(w, strings.Repeat("so ", 1000)[:2000]) // short enough to come with a length
	}))
	defer srv.Close()
	p, err := Dial(t.Context(), Target{Host: strings.TrimPrefix(srv.URL, "http://"), Token: "token"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, test := range []struct {
		body      string
		busy, bad bool
	}{{body: "fine"}, {body: "busy", busy: true}, {body: "wrong", bad: true}, {body: "slow down", busy: true}, {body: "fine"}} {
		err := p.Post([]byte(test.body))
		if busy := gatecast.CodeOf(err) == gatecast.TooMany; (err != nil) != (test.busy || test.bad) || busy != test.busy {
			t.Errorf("%s: %v", test.body, err)
		}
	}
	if len(got) != 5 || got[0] != "Bearer token /api/v1/events fine" {
		t.Errorf("the server got %q", got)
	}
}

func TestATimetableDoesNotWaitForWhatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := Timetable{Start: time.Now().Add(time.Second), Every: 100 * time.Millisecond, Nap: time.Sleep}
		for n := uint64(1); n <= 5; n++ {
			if err := table.Wait(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			if n == 2 {
				<-time.After(250 * time.Millisecond) // simulated: a server that takes its time
			}
			if late := time.Since(table.Due(n)); n == 3 && late != 150*time.Millisecond || n == 5 && late != 0 {
				t.Errorf("event %d is sent %v after it was due", n, late)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := table.Wait(ctx, 1000); err == nil {
			t.Error("waits on after its context has ended")
		}
	})
}

func TestAnEventIsNeverSentBeforeItIsDue(t *testing.T) {
	table := Timetable{Start: time.Now(), Every: 300 * time.Microsecond}
	for n := uint64(1); n <= 50; n++ {
		if err := table.Wait(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		if early := time.Until(table.Due(n)); early > 0 {
			t.Errorf("event %d is sent %v early", n, early)
		}
	}
}

func TestEventsAreValidJSON(t *testing.T) {
	var v any
	if err := json.Unmarshal(NewEvents(DefaultSize).Batch(1, 3), &v); err != nil {
		t.Fatal(err)
	}
}
