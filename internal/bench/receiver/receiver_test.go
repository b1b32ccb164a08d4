package receiver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen opens an endpoint for a test.
func listen(t *testing.T, o Options) *Receiver {
	t.Helper()
	r, err := Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// caller posts webhooks, each over a connection of its own.
func caller(t *testing.T) *http.Client {
	t.Helper()
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       2 * time.Minute,
	}
}

func event(n int) string {
	return fmt.Sprintf(`{"eventType":30000,"messageId":"bench-%d","sendTime":1,"data":{"id":%d,"note":"\"messageId\":\"x-9\""}}`, n, n)
}

// post sends a body and returns the answer, whose body has been read.
func post(t *testing.T, c *http.Client, url, id, body string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("webhook-id", id)
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res, err
}

func mustPost(t *testing.T, url, id, body string, status int) *http.Response {
	t.Helper()
	res, err := post(t, caller(t), url, id, body)
	if err != nil || res.StatusCode != status {
		t.Fatalf("post %s: %v, %v, want status %d", id, res, err, status)
	}
	return res
}

func TestEveryEventIsCountedWithItsTries(t *testing.T) {
	r := listen(t, Options{Inboxes: 2})
	mustPost(t, r.URL(0), "a", event(1), 200)
	mustPost(t, r.URL(0), "a", event(1), 200)
	r.Inbox(0).Behave(Status(500))
	mustPost(t, r.URL(0), "b", event(2), 500)
	mustPost(t, r.URL(1), "b", event(2), 200)
	k := r.Inbox(0).Books()
	if k.Requests != 3 || len(k.Entries) != 3 || k.Entries[0].Tries != 0 || k.Foreign != 0 {
		t.Errorf("the books: %+v", k)
	}
	if e := k.Entries[1]; e.Tries != 2 || e.Accepted != 2 || e.First <= 0 || e.Taken < e.First {
		t.Errorf("event 1: %+v", e)
	}
	if e := k.Entries[2]; e.Tries != 1 || e.Accepted != 0 || e.Taken != 0 {
		t.Errorf("event 2, which was answered 500: %+v", e)
	}
	if r.Events() != 2 || r.Requests() != 4 {
		t.Errorf("%d events accepted in %d requests, want 2 in 4", r.Events(), r.Requests())
	}
	if !slices.Equal(k.Order, []uint64{1}) {
		t.Errorf("accepted in the order %v", k.Order)
	}
}

func TestTheEventsOfAnArrayAreAllCounted(t *testing.T) {
	r := listen(t, Options{Most: 10})
	mustPost(t, r.URL(0), "batch", "["+event(3)+",\n"+event(1)+","+event(11)+`,{"messageId":"no number"}]`, 200)
	k := r.Inbox(0).Books()
	if !slices.Equal(k.Order, []uint64{3, 1}) || k.Foreign != 2 || k.Requests != 1 {
		t.Errorf("the books: %+v", k)
	}
}

func TestAPathThatIsNoInboxIsNotFound(t *testing.T) {
	r := listen(t, Options{})
	for _, path := range []string{"/1", "/-1", "/x", "/"} {
		mustPost(t, "http://"+r.Address()+path, "a", event(1), 404)
	}
}

func TestARetryWithAnotherBodyIsAFault(t *testing.T) {
	r := listen(t, Options{})
	r.Inbox(0).Behave(Status(503))
	mustPost(t, r.URL(0), "a", event(1), 503)
	mustPost(t, r.URL(0), "a", event(1), 503)
	if k := r.Inbox(0).Books(); k.Faulty != 0 {
		t.Errorf("the same body: %v", k.Faults)
	}
	mustPost(t, r.URL(0), "a", event(1)+" ", 503)
	if k := r.Inbox(0).Books(); k.Faulty != 1 || !strings.Contains(k.Faults[0], "another body") {
		t.Errorf("another body: %v", k.Faults)
	}
}

func TestWhatACheckFindsIsInTheBooks(t *testing.T) {
	r := listen(t, Options{})
	r.Inbox(0).Check(func(h http.Header, body []byte) error {
		if h.Get("webhook-id") == "good" && bytes.Contains(body, []byte("bench-1")) {
			return nil
		}
		return errors.New("not signed")
	})
	mustPost(t, r.URL(0), "good", event(1), 200)
	for i := range 30 {
		mustPost(t, r.URL(0), "bad", event(2), 200)
		if i == 0 {
			if k := r.Inbox(0).Books(); len(k.Faults) != 1 || !strings.Contains(k.Faults[0], "not signed") {
				t.Errorf("faults %q", k.Faults)
			}
		}
	}
	if k := r.Inbox(0).Books(); k.Faulty != 30 || len(k.Faults) != mostFaults {
		t.Errorf("%d faults, %d of them told", k.Faulty, len(k.Faults))
	}
	r.Inbox(0).Check(nil)
	mustPost(t, r.URL(0), "bad", event(2), 200)
	if k := r.Inbox(0).Books(); k.Faulty != 30 {
		t.Error("it is checked still")
	}
}

func TestAnswersAreAsAsked(t *testing.T) {
	r := listen(t, Options{})
	r.Inbox(0).Behave(Busy(1500 * time.Millisecond))
	if res := mustPost(t, r.URL(0), "a", event(1), 429); res.Header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After %q", res.Header.Get("Retry-After"))
	}
	r.Inbox(0).Behave(Always(Answer{Status: 302, Location: "http://127.0.0.1:1/"}))
	if res := mustPost(t, r.URL(0), "a", event(1), 302); res.Header.Get("Location") != "http://127.0.0.1:1/" {
		t.Errorf("Location %q", res.Header.Get("Location"))
	}
	r.Inbox(0).Behave(Refusing(func(n uint64) bool { return n == 3 }, OK()))
	mustPost(t, r.URL(0), "b", "["+event(2)+","+event(3)+"]", 400)
	mustPost(t, r.URL(0), "c", event(2), 200)
}

func TestConnectionsEndInEveryWay(t *testing.T) {
	r := listen(t, Options{})
	for c, want := range map[Cut]string{Reset: "reset by peer", MidHead: "malformed", MidBody: "unexpected EOF"} {
		r.Inbox(0).Behave(Cutting(c))
		if _, err := post(t, caller(t), r.URL(0), fmt.Sprint(c), event(int(c))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("cut %d: %v, want %s", c, err, want)
		}
	}
	k := r.Inbox(0).Books()
	if k.Entries[Reset].Accepted+k.Entries[MidHead].Accepted != 0 || k.Entries[MidBody].Accepted != 1 {
		t.Errorf("only the one that said 200 counts as accepted: %+v", k.Entries)
	}
}

func TestWhatHangsHangsUntilTheCallerHasHadEnough(t *testing.T) {
	r := listen(t, Options{})
	r.Inbox(0).Behave(Cutting(Hang))
	hasty := caller(t)
	hasty.Timeout = 50 * time.Millisecond
	if _, err := post(t, hasty, r.URL(0), "a", event(1)); err == nil || !strings.Contains(err.Error(), "Timeout") {
		t.Errorf("got %v", err)
	}
	r.Inbox(0).Behave(Slow(time.Hour, OK()))
	if _, err := post(t, hasty, r.URL(0), "b", event(2)); err == nil || !strings.Contains(err.Error(), "Timeout") {
		t.Errorf("got %v", err)
	}
	r.Inbox(0).Behave(Slow(time.Millisecond, OK()))
	mustPost(t, r.URL(0), "c", event(3), 200)
	if k := r.Inbox(0).Books(); !slices.Equal(k.Order, []uint64{3}) {
		t.Errorf("nobody heard that %v are accepted", k.Order)
	}
}

func TestWhatHangsEndsWithTheEndpoint(t *testing.T) {
	r := listen(t, Options{})
	r.Inbox(0).Behave(Cutting(Hang))
	came, ended := make(chan struct{}), make(chan error)
	r.Inbox(0).Check(func(http.Header, []byte) error { close(came); return nil })
	go func() {
		_, err := post(t, caller(t), r.URL(0), "a", event(1))
		ended <- err
	}()
	<-came
	r.Close()
	if err := <-ended; err == nil || strings.Contains(err.Error(), "Timeout") {
		t.Errorf("got %v", err)
	}
}

func TestAnEndpointGoesDownAndComesBackWhereItWas(t *testing.T) {
	r := listen(t, Options{})
	mustPost(t, r.URL(0), "a", event(1), 200)
	for range 3 {
		if err := r.Down(); err != nil {
			t.Fatal(err)
		}
		if _, err := post(t, caller(t), r.URL(0), "a", event(1)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("while it is down: %v", err)
		}
		if err := r.Up(); err != nil {
			t.Fatal(err)
		}
		mustPost(t, r.URL(0), "a", event(1), 200)
	}
	if k := r.Inbox(0).Books(); k.Entries[1].Accepted != 4 {
		t.Errorf("the books: %+v", k)
	}
}

func TestARefusingAddressRefusesAndIsHeld(t *testing.T) {
	r, err := Refuse("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := post(t, caller(t), r.URL(), "a", event(1)); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
	r.Close()
	if _, err := Refuse("here"); err == nil {
		t.Error("an address that is none was held")
	}
}

func TestASilentEndpointAcceptsAndSaysNothing(t *testing.T) {
	s, err := Silent()
	if err != nil {
		t.Fatal(err)
	}
	hasty := caller(t)
	for hasty.Timeout = 50 * time.Millisecond; s.Connections() < 1; hasty.Timeout *= 10 { // a busy machine may need longer to connect
		if _, err := post(t, hasty, s.URL(), "a", event(1)); err == nil || !strings.Contains(err.Error(), "Timeout") {
			t.Fatalf("got %v", err)
		}
	}
	if s.Connections() != 1 {
		t.Errorf("%d connections", s.Connections())
	}
	s.Close()
}

func TestAMixDrawsEachShareAsOftenAsItSays(t *testing.T) {
	const calls = 10_000
	draw := func() (all []int) {
		m := Mix(7, Share{0.2, Status(500)}, Share{0.3, Status(429)})
		for range calls {
			all = append(all, m(Call{}).Status)
		}
		return all
	}
	first := draw()
	for status, share := range map[int]float64{500: 0.2, 429: 0.3, 200: 0.5} {
		n := 0
		for _, s := range first {
			if s == status {
				n++
			}
		}
		if is := float64(n) / calls; is < share-0.02 || is > share+0.02 {
			t.Errorf("%d was drawn %.3f of the time, want %.3f", status, is, share)
		}
	}
	if !slices.Equal(first, draw()) {
		t.Error("the same seed draws other lots")
	}
}

func TestDisorderIsFoundWithinALineOnly(t *testing.T) {
	where := func(n uint64) (string, uint64, bool) { return fmt.Sprint(n % 2), n, n < 100 }
	for _, test := range []struct {
		order []uint64
		fine  bool
	}{
		{[]uint64{2, 4, 1, 3, 5, 6}, true},
		{[]uint64{102, 2, 100}, true},
		{[]uint64{2, 6, 4}, false},
		{nil, true},
	} {
		k := Books{Order: test.order}
		if err := k.Disorder(where); (err == nil) != test.fine {
			t.Errorf("%v: %v", test.order, err)
		}
	}
}

func TestManyCallersAtOnceAreAllInTheBooks(t *testing.T) {
	const callers, each = 8, 50
	r := listen(t, Options{})
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			client := &http.Client{}
			defer client.CloseIdleConnections()
			for i := range each {
				n := c*each + i
				if _, err := post(t, client, r.URL(0), fmt.Sprint(n), event(n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if k := r.Inbox(0).Books(); len(k.Order) != callers*each || k.Faulty != 0 || r.Events() != callers*each {
		t.Errorf("%d events in the books, %d counted; faults %v", len(k.Order), r.Events(), k.Faults)
	}
}

// BenchmarkReceive is what a request costs that is answered at once, client and
// endpoint together.
func BenchmarkReceive(b *testing.B) {
	r, err := Listen("127.0.0.1:0", Options{Most: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	client := &http.Client{}
	defer client.CloseIdleConnections()
	body := strings.Repeat(" ", 900) + event(1)
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequest(http.MethodPost, r.URL(0), strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_ = res.Body.Close()
	}
}
