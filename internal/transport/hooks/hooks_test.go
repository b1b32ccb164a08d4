package hooks

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/egress"
	"github.com/gatecast/gatecast/webhook"
)

func TestEveryEventIsPostedOnceInTheVendorsBodyAndSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.record("d1", "d2")
		s.put(subA, func(*gatecast.Subscription) {})
		server, _ := s.start(r, Options{})
		s.record("d1")
		pass(time.Second)
		got := r.got()
		slices.Sort(got)
		if diff := cmp.Diff(seqs(1, 3), got); diff != "" {
			t.Error(diff)
		}
		sub, _ := s.Subscription(subA)
		v, err := webhook.NewVerifier(sub.Secrets[0].Value)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range r.requests() {
			// The clock of a bubble stands in the year 2000.
			if err := v.Verify(c.header, c.body); err != nil {
				t.Error(err)
			}
			if c.url != sub.Settings.URL || c.header.Get("Content-Type") != "application/json" {
				t.Errorf("posted to %s as %s", c.url, c.header.Get("Content-Type"))
			}
		}
		if st := server.State(subA); st.Status != gatecast.SubscriptionActive || st.LagEvents != 0 || st.Delivered != 3 || st.Pending != 0 {
			t.Errorf("the state is %+v", st)
		}
	})
}

func TestAnEndpointThatIsDownGetsEverythingInOrderWhenItIsBack(t *testing.T) {
	for _, order := range []gatecast.Order{gatecast.OrderDevice, gatecast.OrderStrict, gatecast.OrderNone} {
		t.Run(string(order), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, r := newSite(t), newReceiver()
				s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.Order = order })
				r.answers(refuses)
				server, _ := s.start(r, Options{})
				for i := range 500 {
					s.record("d" + strconv.Itoa(i%7))
					pass(time.Second)
				}
				pass(time.Hour)
				if st := server.State(subA); st.Status != gatecast.SubscriptionDegraded || st.LagEvents != 500 || st.Lag < time.Hour {
					t.Errorf("while it is down the state is %+v", st)
				}
				if n := len(r.requests()); n > 40 {
					t.Errorf("an endpoint that is down got %d requests in an hour", n)
				}
				r.answers(nil)
				pass(5 * time.Minute)
				got := r.got()
				if order != gatecast.OrderStrict {
					assertOrderPerDevice(t, order, got, 7)
					slices.Sort(got)
				}
				if diff := cmp.Diff(seqs(1, 500), got); diff != "" {
					t.Error(diff)
				}
				if told := s.told(); told != "degraded recovered" {
					t.Errorf("told: %s", told)
				}
				if st := server.State(subA); st.Status != gatecast.SubscriptionActive || st.LagEvents != 0 {
					t.Errorf("afterwards the state is %+v", st)
				}
			})
		})
	}
}

// assertOrderPerDevice checks events whose devices take turns.
func assertOrderPerDevice(t *testing.T, order gatecast.Order, got []gatecast.Seq, devices int) {
	t.Helper()
	if order == gatecast.OrderNone {
		return
	}
	last := map[gatecast.Seq]gatecast.Seq{}
	for _, seq := range got {
		d := (seq - 1) % gatecast.Seq(devices)
		if seq <= last[d] {
			t.Errorf("%d of device %d came after %d", seq, d, last[d])
		}
		last[d] = seq
	}
}

func TestPausesBetweenTriesDoubleUpToTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.Order = gatecast.OrderStrict })
		r.answers(always(503))
		s.start(r, Options{})
		s.record("d")
		pass(30 * time.Minute)
		var pauses []string
		calls := r.requests()
		for i := 1; i < len(calls); i++ {
			pauses = append(pauses, calls[i].at.Sub(calls[i-1].at).String())
		}
		// Two strikes with pauses of the event's own, then the breaker's.
		want := []string{"1s", "2s", "1s", "2s", "4s", "8s", "16s", "32s", "1m4s", "2m8s", "4m16s", "5m0s", "5m0s", "5m0s"}
		if diff := cmp.Diff(want, pauses[:len(want)]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRetryAfterIsHonouredUpToAnHour(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{90 * time.Second: 90 * time.Second, 24 * time.Hour: time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s, r := newSite(t), newReceiver()
			s.put(subA, func(*gatecast.Subscription) {})
			r.answers(func(c *call) egress.Answer {
				if c.nth == 1 {
					return egress.Answer{Status: 429, RetryAfter: asked}
				}
				return egress.Answer{Status: 200}
			})
			s.start(r, Options{})
			s.record("d")
			pass(2 * time.Hour)
			calls := r.requests()
			if len(calls) != 2 || calls[1].at.Sub(calls[0].at) != want {
				t.Errorf("asked for %v: %d requests, the second after %v", asked, len(calls), calls[len(calls)-1].at.Sub(calls[0].at))
			}
		})
	}
}

func TestARefusedEventIsSetAsideAndItsDeviceGoesOn(t *testing.T) {
	for _, order := range []gatecast.Order{gatecast.OrderDevice, gatecast.OrderStrict, gatecast.OrderNone} {
		t.Run(string(order), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, r := newSite(t), newReceiver()
				s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.Order = order })
				r.answers(func(c *call) egress.Answer {
					if c.seqs[0] == 3 {
						return egress.Answer{Status: 422, Body: []byte("no such person")}
					}
					return egress.Answer{Status: 200}
				})
				server, _ := s.start(r, Options{})
				for range 4 {
					s.record("a", "b")
				}
				pass(10 * time.Second)
				want := map[gatecast.Order][]gatecast.Seq{
					gatecast.OrderDevice: {1, 2, 4, 6, 8}, // a waits
					gatecast.OrderStrict: {1, 2},
					gatecast.OrderNone:   {1, 2, 4, 5, 6, 7, 8},
				}
				got := r.got()
				slices.Sort(got)
				if diff := cmp.Diff(want[order], got); diff != "" {
					t.Errorf("while it is tried again: %s", diff)
				}
				pass(time.Hour)
				got = r.got()
				slices.Sort(got)
				if diff := cmp.Diff([]gatecast.Seq{1, 2, 4, 5, 6, 7, 8}, got); diff != "" {
					t.Error(diff)
				}
				dead := s.dead[subA]
				if len(dead) != 1 || dead[0].Seq != 3 || dead[0].Tries != 5 || string(dead[0].Last.Answer) != "no such person" || dead[0].Event.ID != "e3" {
					t.Fatalf("dead letters: %+v", dead)
				}
				if told := s.told(); told != "dead_letter" {
					t.Errorf("told: %s", told)
				}
				if st := server.State(subA); st.LagEvents != 0 || st.Dead != 1 {
					t.Errorf("the state is %+v", st)
				}
			})
		})
	}
}

func TestAnEndpointThatRefusesEverythingLosesNothing(t *testing.T) {
	for _, order := range []gatecast.Order{gatecast.OrderDevice, gatecast.OrderStrict, gatecast.OrderNone} {
		t.Run(string(order), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, r := newSite(t), newReceiver()
				s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.Order = order })
				s.start(r, Options{})
				s.record("a", "b", "c")
				pass(time.Second)
				r.answers(always(400))
				for range 10 {
					s.record("a", "b", "c")
					pass(time.Minute)
				}
				pass(24 * time.Hour)
				if n := len(s.dead[subA]); n > 0 {
					t.Errorf("%d events were set aside, though no other passed", n)
				}
				if n := len(r.requests()); n > (doubts+1)*24*12+100 {
					t.Errorf("%d requests in a day", n)
				}
				r.answers(nil)
				pass(15 * time.Minute)
				got := r.got()
				if order == gatecast.OrderDevice {
					assertOrderPerDevice(t, order, got, 3)
				}
				if order == gatecast.OrderStrict && !slices.IsSorted(got) {
					t.Errorf("out of order: %v", got)
				}
				slices.Sort(got)
				if diff := cmp.Diff(seqs(1, 33), got); diff != "" {
					t.Error(diff)
				}
				if told := s.told(); told != "degraded recovered" {
					t.Errorf("told: %s", told)
				}
			})
		})
	}
}

func TestTwoPoisonedEventsInARowDoNotStopAStrictSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.Order = gatecast.OrderStrict })
		r.answers(func(c *call) egress.Answer {
			if c.seqs[0] == 1 || c.seqs[0] == 2 {
				return egress.Answer{Status: 413}
			}
			return egress.Answer{Status: 200}
		})
		s.start(r, Options{})
		s.record("a", "a", "a", "a")
		pass(6 * time.Hour)
		if diff := cmp.Diff([]gatecast.Seq{3, 4}, r.got()); diff != "" {
			t.Error(diff)
		}
		if len(s.dead[subA]) != 2 {
			t.Errorf("dead letters: %+v", s.dead[subA])
		}
	})
}

func TestGonePausesUntilSomebodyResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(*gatecast.Subscription) {})
		r.answers(always(410))
		server, _ := s.start(r, Options{})
		s.record("a")
		pass(time.Hour)
		if n := len(r.requests()); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
		if st := server.State(subA); st.Status != gatecast.SubscriptionPaused || st.Reason == "" {
			t.Errorf("the state is %+v", st)
		}
		s.record("a")
		r.answers(nil)
		s.put(subA, func(sub *gatecast.Subscription) { sub.Paused = "" })
		pass(time.Minute)
		if diff := cmp.Diff(seqs(1, 2), r.got()); diff != "" {
			t.Error(diff)
		}
		if told := s.told(); told != "paused resumed" {
			t.Errorf("told: %s", told)
		}
	})
}

func TestWhatWasDeliveredIsNotSentAgainAfterAGentleStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		r.took = 100 * time.Millisecond
		s.put(subA, func(*gatecast.Subscription) {})
		server, stop := s.start(r, Options{})
		for range 20 {
			s.record("a", "b", "c")
		}
		pass(250 * time.Millisecond)
		server.Drain(t.Context())
		stop()
		sent := len(r.requests())
		if got := len(r.got()); sent == 0 || sent != got {
			t.Errorf("%d requests, %d accepted: some were broken off", sent, got)
		}
		s.start(r, Options{})
		pass(time.Minute)
		got := r.got()
		slices.Sort(got)
		if diff := cmp.Diff(seqs(1, 60), got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestARateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.Rate = 10 })
		s.start(r, Options{})
		for i := range 200 {
			s.record("d" + strconv.Itoa(i))
		}
		pass(10 * time.Second)
		if n := len(r.got()); n < 99 || n > 102 {
			t.Errorf("%d events in 10 s at 10 a second", n)
		}
	})
}

func TestWhatIsLateHasARateOfItsOwnAndAMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		for range 20 {
			s.record("d")
		}
		s.put(subA, func(sub *gatecast.Subscription) {
			sub.Settings.CatchUpRate, sub.Settings.MarkReplay = 2, true
		})
		s.start(r, Options{})
		pass(10100 * time.Millisecond)
		s.record("d")
		pass(time.Minute)
		calls := r.requests()
		if took := calls[19].at.Sub(calls[0].at); took < 9*time.Second || took > 10*time.Second {
			t.Errorf("20 late events at 2 a second took %v", took)
		}
		if calls[0].header.Get("gatecast-replay") != "true" || calls[20].header.Get("gatecast-replay") != "" {
			t.Errorf("marks: %q, %q", calls[0].header.Get("gatecast-replay"), calls[20].header.Get("gatecast-replay"))
		}
	})
}

func TestABatchHoldsUpToItsSizeOrWhatCameInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(sub *gatecast.Subscription) {
			sub.Settings.Batch = gatecast.Batch{Max: 10, Wait: 2 * time.Second}
		})
		s.start(r, Options{})
		for i := range 25 {
			s.record("d" + strconv.Itoa(i%3))
		}
		pass(time.Second)
		first := len(r.got())
		pass(2 * time.Second)
		var sizes []int
		for _, c := range r.requests() {
			sizes = append(sizes, len(c.seqs))
		}
		if first != 20 || !slices.Equal(sizes, []int{10, 10, 5}) {
			t.Errorf("%d before the wait was over; batches of %v", first, sizes)
		}
	})
}

func TestARefusedBatchIsTakenApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.Batch.Max = 10 })
		r.answers(func(c *call) egress.Answer {
			if slices.Contains(c.seqs, 4) {
				return egress.Answer{Status: 400}
			}
			return egress.Answer{Status: 200}
		})
		s.start(r, Options{})
		for range 10 {
			s.record("a")
		}
		pass(time.Hour)
		if diff := cmp.Diff([]gatecast.Seq{1, 2, 3, 5, 6, 7, 8, 9, 10}, r.got()); diff != "" {
			t.Error(diff)
		}
		if len(s.dead[subA]) != 1 || s.dead[subA][0].Seq != 4 {
			t.Errorf("dead letters: %+v", s.dead[subA])
		}
	})
}

func TestADeadEndpointDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(*gatecast.Subscription) {})
		s.put(subB, func(sub *gatecast.Subscription) { sub.Settings.URL = "http://dead.example/" })
		r.answers(func(c *call) egress.Answer {
			if c.url == "http://dead.example/" {
				return refuses(c)
			}
			return egress.Answer{Status: 200}
		})
		s.start(r, Options{MaxInFlight: 4})
		for range 100 {
			s.record("a")
			before := time.Now()
			pass(time.Second)
			for _, c := range r.requests() {
				if c.url != "http://dead.example/" && c.at.After(before) && c.at.Sub(before) > time.Millisecond {
					t.Errorf("an event waited %v", c.at.Sub(before))
				}
			}
		}
		if n := len(r.got()); n != 100 {
			t.Errorf("%d of 100 events arrived", n)
		}
	})
}

func TestWhatRetentionRemovedIsCountedAndTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		for range 10 {
			s.record("a")
		}
		s.first, s.floor = 6, 10
		s.put(subA, func(*gatecast.Subscription) {})
		server, _ := s.start(r, Options{})
		pass(time.Minute)
		if diff := cmp.Diff(seqs(6, 10), r.got()); diff != "" {
			t.Error(diff)
		}
		if st := server.State(subA); st.Lost != 5 {
			t.Errorf("lost: %d", st.Lost)
		}
		if told := s.told(); told != "gap" {
			t.Errorf("told: %s", told)
		}
	})
}

func TestAReplayReachesOneSubscriptionBesideWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.MarkReplay = true })
		server, _ := s.start(r, Options{})
		for range 30 {
			s.record("a", "b")
		}
		pass(time.Second)
		if n, exact, err := server.Count(t.Context(), subA, 10, 20); n != 10 || !exact || err != nil {
			t.Errorf("counted %d (exact: %v), %v", n, exact, err)
		}
		if _, err := server.StartReplay(t.Context(), subA, 10, 20); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		got := r.got()[60:]
		slices.Sort(got)
		if diff := cmp.Diff(seqs(11, 20), got); diff != "" {
			t.Error(diff)
		}
		if c := r.requests()[65]; c.header.Get("gatecast-replay") != "true" {
			t.Error("a replayed event has no mark")
		}
		st := server.State(subA)
		if st.Replay == nil || st.Replay.Ended.IsZero() || st.Replay.Sent != 10 || st.Replay.Canceled {
			t.Errorf("the replay stands at %+v", st.Replay)
		}
	})
}

func TestATestOfAnEndpointShowsWhatCrossedTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(sub *gatecast.Subscription) {
			sub.Settings.Auth.Bearer = "very-secret"
			sub.Settings.Headers = map[string]string{"x-key": "very-secret"}
		})
		r.answers(func(c *call) egress.Answer { // shows the request, as some error pages do
			said := c.header.Get("Authorization") + " " + c.header.Get("X-Key")
			return egress.Answer{Status: 204, Body: []byte(said), Header: http.Header{"X-Debug": {said}}}
		})
		server, _ := s.start(r, Options{})
		x, err := server.Test(t.Context(), subA)
		if strings.Contains(fmt.Sprintf("%s %v", x.Answer, x.AnswerHeaders), "very-secret") {
			t.Errorf("the answer shows %s, %v", x.Answer, x.AnswerHeaders)
		}
		if err != nil || x.Status != 204 || x.Outcome != gatecast.Unreachable || x.Error == "" {
			t.Errorf("%+v, %v", x, err)
		}
		if x.Headers["Authorization"] != "***" || x.Headers["X-Key"] != "***" {
			t.Errorf("the exchange shows %v", x.Headers)
		}
		h := r.requests()[0].header
		if h.Get("Authorization") != "Bearer very-secret" || h.Get("X-Key") != "very-secret" {
			t.Errorf("sent: %v", h)
		}
	})
}

func TestAPausedSubscriptionNeverClaimsToBeComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(*gatecast.Subscription) {})
		server, _ := s.start(r, Options{})
		s.record("a")
		pass(time.Second)
		s.put(subA, func(sub *gatecast.Subscription) { sub.Paused = "moving house" })
		if st := server.State(subA); st.Status != gatecast.SubscriptionPaused || st.Reason != "moving house" {
			t.Errorf("right after the pause the state is %+v", st)
		}
		pass(time.Second)
		missed := time.Now()
		s.record("a", "a")
		pass(10 * time.Second)
		if st := server.State(subA); st.LagEvents != 2 || st.Through.After(missed) {
			t.Errorf("with two events missed the state is %+v", st)
		}
		s.put(subA, func(sub *gatecast.Subscription) { sub.Paused = "" })
		if st := server.State(subA); st.Status != gatecast.SubscriptionActive || st.Reason != "" {
			t.Errorf("right after the end of the pause the state is %+v", st)
		}
	})
}

func TestARedirectIsNotFollowedAndSaysWhereItLeads(t *testing.T) {
	outcome, why := judge(egress.Answer{Status: 301, Header: http.Header{"Location": {"https://other.example/hook?key=secret"}}}, gatecast.SuccessOK)
	if want := "answered 301 Moved Permanently; redirects are not followed, this one leads to https://other.example/hook"; outcome != gatecast.Unreachable || why != want {
		t.Errorf("%v: %s", outcome, why)
	}
}
