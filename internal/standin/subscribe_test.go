package standin_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast/internal/standin"
)

// subscriber answers posts without a network: with 200, unless it is told
// otherwise.
type subscriber struct {
	bodies chan string
	status int
	after  time.Duration
}

func (b *subscriber) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(b.after):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	b.bodies <- string(body)
	return &http.Response{StatusCode: b.status, Header: http.Header{"Location": {"http://elsewhere/"}}, Body: http.NoBody, Request: r}, nil
}

// subscribed runs a test with a subscriber.
func subscribed(t *testing.T, test func(*world, *subscriber)) {
	b := &subscriber{bodies: make(chan string, 10_000), status: 200}
	inWorld(t, standin.Options{Posts: b}, func(w *world) {
		b.bodies = make(chan string, 10_000)
		if err := w.Subscribe("http://subscriber/secret"); err != nil {
			t.Fatal(err)
		}
		test(w, b)
	})
}

// expect wants these events to have been posted, in this order, and nothing more.
func (b *subscriber) expect(t *testing.T, events ...standin.Event) {
	t.Helper()
	synctest.Wait()
	for _, e := range events {
		select {
		case got := <-b.bodies:
			if got != string(e.Posted()) {
				t.Fatalf("got %s\nwant %s", got, e.Posted())
			}
		default:
			t.Fatalf("event %d was not posted", e.ID)
		}
	}
	select {
	case got := <-b.bodies:
		t.Fatalf("got %s, want nothing more", got)
	default:
	}
}

func TestASubscriberIsPostedWhatHappens(t *testing.T) {
	subscribed(t, func(w *world, b *subscriber) {
		b.expect(t, w.record(1), w.alarm(1, 1))
		if got := w.Subscription(); got.State != standin.Normal || got.Posted != 2 {
			t.Fatalf("got %+v", got)
		}
	})
}

// What the vendor's server does, and gatecast does not.
func TestOneFailureEndsTheSubscriptionUntilItIsSetAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		after  time.Duration
		reason string
	}{
		{"500", 500, 0, "answered 500"},
		{"204", 204, 0, "answered 204"},
		{"redirect", 302, 0, "answered 302"},
		{"late", 200, 5*time.Second + 1, "deadline exceeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			subscribed(t, func(w *world, b *subscriber) {
				b.status, b.after = c.status, c.after
				w.record(1)
				<-time.After(6 * time.Second)
				synctest.Wait()
				got := w.Subscription()
				if got.State != standin.Abnormal || !strings.Contains(got.Reason, c.reason) || strings.Contains(got.Reason, "secret") {
					t.Fatalf("got %+v", got)
				}
				b.status, b.after = 200, 0
				b.bodies = make(chan string, 10_000)
				for i := range 4200 { // more than ever wait
					w.record(i)
				}
				<-time.After(time.Hour)
				b.expect(t)
				if now := w.Subscription(); now != got {
					t.Fatalf("got %+v, want the reason to stay %q", now, got.Reason)
				}
				if err := w.Subscribe("http://subscriber/secret"); err != nil {
					t.Fatal(err)
				}
				b.expect(t, w.record(3))
			})
		})
	}
}

func TestAnAnswerJustInTimeIsGoodEnough(t *testing.T) {
	subscribed(t, func(w *world, b *subscriber) {
		b.after = 4*time.Second + 999*time.Millisecond
		e := w.record(1)
		<-time.After(5 * time.Second)
		b.expect(t, e)
		if got := w.Subscription(); got.State != standin.Normal {
			t.Fatalf("got %+v", got)
		}
	})
}

func TestASubscriberThatIsTooSlowIsGivenUp(t *testing.T) {
	subscribed(t, func(w *world, b *subscriber) {
		b.after = 4 * time.Second
		for i := range 4200 {
			w.record(i)
		}
		if got := w.Subscription(); got.State != standin.Abnormal || !strings.Contains(got.Reason, "too slow") {
			t.Fatalf("got %+v", got)
		}
	})
}

func TestMisbehaviourReachesTheSubscriber(t *testing.T) {
	subscribed(t, func(w *world, b *subscriber) {
		w.misbehave(standin.Misbehaviour{Mode: standin.Twice})
		e := w.record(1)
		b.expect(t, e, e)
		w.Behave()
		w.misbehave(standin.Misbehaviour{Mode: standin.Stall})
		w.record(2)
		b.expect(t)
		w.Behave()
		b.expect(t, w.record(3))
		w.misbehave(standin.Misbehaviour{Mode: standin.Restart, For: time.Second})
		w.record(4)
		<-time.After(time.Second)
		b.expect(t, w.record(5))
	})
}

func TestTheSubscriptionIsSetBySignedRequests(t *testing.T) {
	subscribed(t, func(w *world, b *subscriber) {
		post := func(body string, signed bool) []byte {
			r := w.question("/api/v3/event/updateSub", nil, false)
			r.Method, r.Body = http.MethodPost, io.NopCloser(strings.NewReader(body))
			if !signed {
				r.URL.RawQuery = ""
			}
			resp, err := w.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			answer, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
		if got := post(`{"url":"http://other/"}`, true); !bytes.Contains(got, []byte(`"code":200`)) {
			t.Fatalf("got %s", got)
		}
		_, body := w.get("/api/v3/event/querySub", nil, true)
		if want := `{"code":200,"message":"OK","data":{"url":"http://other/","state":"normal","posted":0}}`; string(body) != want {
			t.Fatalf("got %s, want %s", body, want)
		}
		for body, signed := range map[string]bool{
			`{"url":"http://evil/"}`: false, `{"url":"ftp://other/"}`: true, `{"url":"/path"}`: true, `{}`: true, `{`: true,
		} {
			if got := post(body, signed); !bytes.Contains(got, []byte(`"code":30001`)) {
				t.Errorf("%s was answered %s", body, got)
			}
		}
		if got := w.Subscription().URL; got != "http://other/" {
			t.Errorf("the URL is %s now", got)
		}
		if post(`{"url":""}`, true); w.Subscription() != (standin.Subscription{}) {
			t.Error("the subscription did not end")
		}
	})
}

func TestFeedAddsWhatIsDue(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		start, n := time.Now(), 0
		next := func() ([]byte, time.Time) {
			n++
			if n > 3 {
				return []byte(`{"code":1}`), start.Add(time.Hour)
			}
			return fmt.Appendf(nil, `{"code":30000,"data":{"userId":%d}}`, n), start.Add(time.Duration(n) * time.Minute)
		}
		if err := w.Feed(w.t.Context(), next); err == nil {
			t.Fatal("Feed went on after what is no event")
		}
		if events := w.Events(); len(events) != 3 || !events[2].Added.Equal(start.Add(3*time.Minute)) {
			t.Fatalf("got %+v", events)
		}
	})
}
