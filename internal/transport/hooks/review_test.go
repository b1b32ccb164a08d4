package hooks

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/egress"
)

// refusesOnly refuses some events and takes all others.
func refusesOnly(bad ...gatecast.Seq) func(*call) egress.Answer {
	return func(c *call) egress.Answer {
		if slices.ContainsFunc(c.seqs, func(n gatecast.Seq) bool { return slices.Contains(bad, n) }) {
			return egress.Answer{Status: 400}
		}
		return egress.Answer{Status: 200}
	}
}

func (s *site) failReads(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readErr = err
}

func sorted(list []gatecast.Seq) []gatecast.Seq {
	slices.Sort(list)
	return list
}

func TestAnEventThatComesJustAsItsWorkerLiesDownIsSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for n := range 12 { // one of them is the look that the worker takes before it sleeps
			s, r := newSite(t), newReceiver()
			s.put(subA, func(*gatecast.Subscription) {})
			_, stop := s.start(r, Options{})
			s.record("a")
			pass(time.Second)
			left := n
			var again func()
			again = func() {
				if left--; left >= 0 {
					s.mu.Lock()
					s.onHead = again
					s.mu.Unlock()
					return
				}
				s.record("b")
			}
			s.mu.Lock()
			s.onHead = again
			s.mu.Unlock()
			s.record("a")
			pass(100 * time.Millisecond)
			left = 0
			if got, want := sorted(r.got()), seqs(1, gatecast.Seq(len(s.events))); !slices.Equal(got, want) {
				t.Errorf("look %d: %v, want %v", n, got, want)
			}
			stop()
		}
	})
}

func TestAJournalThatFailedIsAskedAgainWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		for range 5 {
			s.record("a")
		}
		s.floor = 5
		s.put(subA, func(*gatecast.Subscription) {})
		s.failReads(errors.New("no disk"))
		s.start(r, Options{})
		pass(10 * time.Second)
		s.failReads(nil)
		pass(time.Second)
		if diff := cmp.Diff(seqs(1, 5), r.got()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAStopWhileTheOrderChangesLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(*gatecast.Subscription) {})
		r.answers(refuses)
		_, stop := s.start(r, Options{})
		s.record("a", "b", "a", "b")
		pass(time.Minute)
		s.failReads(errors.New("no disk"))
		s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.Order = gatecast.OrderStrict })
		pass(10 * time.Minute)
		stop()
		s.failReads(nil)
		r.answers(nil)
		s.start(r, Options{})
		pass(10 * time.Minute)
		if diff := cmp.Diff(seqs(1, 4), r.got()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestANodeWhoseRingIsBehindCountsNothingAsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.record("a", "b", "c", "d")
		s.ahead, s.floor = 3, 0
		s.kept[subA] = gatecast.Progress{Epoch: epoch, Head: 4, Pending: []gatecast.Seq{2, 4}, Status: gatecast.SubscriptionActive}
		s.put(subA, func(*gatecast.Subscription) {})
		s.start(r, Options{})
		pass(time.Minute)
		s.mu.Lock()
		s.ahead = 0
		s.mu.Unlock()
		pass(time.Minute)
		if diff := cmp.Diff([]gatecast.Seq{2, 4}, sorted(r.got())); diff != "" {
			t.Error(diff)
		}
		if s.kept[subA].Lost != 0 {
			t.Errorf("lost: %d", s.kept[subA].Lost)
		}
	})
}

func TestASubscriptionBeyondTheEndOfTheJournalIsBroughtBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.record("a")
		s.put(subA, func(sub *gatecast.Subscription) { sub.After = 10 })
		s.start(r, Options{})
		s.record("a", "a")
		pass(time.Minute)
		if diff := cmp.Diff(seqs(2, 3), r.got()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnEventInDoubtIsTriedAgainThoughNoOtherComes(t *testing.T) {
	for _, order := range []gatecast.Order{gatecast.OrderDevice, gatecast.OrderStrict, gatecast.OrderNone} {
		for _, events := range []int{1, 2, 5} {
			t.Run(string(order)+" "+strconv.Itoa(events), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s, r := newSite(t), newReceiver()
					s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.Order = order })
					r.answers(always(400))
					s.start(r, Options{})
					for range events {
						s.record("a")
					}
					pass(6 * time.Hour)
					r.answers(nil)
					pass(11 * time.Minute)
					if diff := cmp.Diff(seqs(1, gatecast.Seq(events)), sorted(r.got())); diff != "" {
						t.Error(diff)
					}
					if n := len(s.dead[subA]); n > 0 {
						t.Errorf("%d were set aside", n)
					}
				})
			})
		}
	}
}

func TestAnEventIsNotConvictedByWhatPassesHoursLater(t *testing.T) {
	for name, repair := range map[string]func(*site){
		"a repair": func(*site) {},
		"a new URL": func(s *site) {
			s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.URL = "http://new.example/" })
		},
		"a pause": func(s *site) {
			s.put(subA, func(sub *gatecast.Subscription) { sub.Paused = "repair" })
			pass(time.Second)
			s.put(subA, func(sub *gatecast.Subscription) { sub.Paused = "" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, r := newSite(t), newReceiver()
				s.put(subA, func(*gatecast.Subscription) {})
				r.answers(always(422))
				s.start(r, Options{})
				s.record("a")
				pass(6 * time.Hour)
				r.answers(nil)
				repair(s)
				s.record("a", "b")
				pass(10 * time.Minute)
				if diff := cmp.Diff(seqs(1, 3), sorted(r.got())); diff != "" {
					t.Error(diff)
				}
				if n := len(s.dead[subA]); n > 0 {
					t.Errorf("%d were set aside", n)
				}
			})
		})
	}
}

func TestABatchWithOtherEventsHasAnotherName(t *testing.T) {
	s := newSite(t)
	s.record("a", "b", "c", "d")
	sub := &gatecast.Subscription{Settings: gatecast.SubscriptionSettings{Batch: gatecast.Batch{Max: 3}}}
	id := func(events ...*gatecast.Event) string {
		r := request{events: events, terms: terms{sub: sub}}
		return r.messageID()
	}
	e := s.events
	if a, b := id(e[0], e[1], e[3]), id(e[0], e[2], e[3]); a == b {
		t.Errorf("both are %s", a)
	}
	if a, b := id(e[0], e[1]), id(e[0], e[1]); a != b {
		t.Errorf("the same batch is %s and %s", a, b)
	}
}

func TestWhatAPausedOrSickNodeHasNotSentIsNotCalledComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(*gatecast.Subscription) {})
		server, _ := s.start(r, Options{})
		s.record("a")
		pass(time.Minute)
		if st := server.State(subA); time.Since(st.Through) > 2*time.Second || st.LagEvents != 0 {
			t.Errorf("level: %+v", st)
		}
		s.sick = errors.New("the journal cannot be followed")
		stuck := time.Now()
		pass(time.Minute)
		if st := server.State(subA); st.Through.After(stuck) {
			t.Errorf("blind: complete through %v", st.Through)
		}
	})
}

func TestASubscriptionMadeAgainBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(sub *gatecast.Subscription) { sub.Created = time.Now() })
		s.start(r, Options{})
		s.record("a", "a", "a")
		pass(time.Second)
		s.mu.Lock()
		delete(s.subs, subA)
		s.mu.Unlock()
		s.put(subA, func(sub *gatecast.Subscription) { sub.Created, sub.After = time.Now(), 1 })
		pass(time.Minute)
		if diff := cmp.Diff([]gatecast.Seq{1, 2, 3, 2, 3}, r.got()); diff != "" {
			t.Error(diff)
		}
	})
}

// deaf is a ledger that never leads.
type deaf struct{ ledger }

func (deaf) Lead(context.Context) error { return errors.New("written by a newer gatecast") }

func TestALedgerThatCannotLeadEndsTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		server := New(Parts{Settings: s, Ring: s, History: s, Ledger: deaf{ledger{s}}, Log: attemptLog{s}, Poster: newReceiver()}, Options{Epoch: epoch})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := server.Run(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("%v, %v", err, ctx.Err())
		}
	})
}

func TestManyRefusedAtOnceMakeOnePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		r.took = 10 * time.Millisecond
		s.put(subA, func(*gatecast.Subscription) {})
		s.start(r, Options{})
		for i := range 40 {
			s.record("d" + strconv.Itoa(i))
		}
		pass(time.Second)
		r.answers(always(400))
		for i := range 40 {
			s.record("e" + strconv.Itoa(i))
		}
		pass(1500 * time.Millisecond)
		if told := s.told(); told != "" {
			t.Errorf("told after a second: %s", told)
		}
	})
}

func TestADeadLetterOfANoticeIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(sub *gatecast.Subscription) {
			sub.Settings.Filter.Kinds = []gatecast.Kind{gatecast.Record, gatecast.Notice}
		})
		r.answers(refusesOnly(1))
		s.start(r, Options{})
		s.store(gatecast.Event{Kind: gatecast.Notice, Device: subB, Data: []byte(`{}`)})
		s.record("a", "b")
		pass(time.Hour)
		if len(s.dead[subA]) != 1 || s.told() != "" {
			t.Errorf("%d dead letters, told: %q", len(s.dead[subA]), s.told())
		}
	})
}

func TestAReplayOfWhatIsGoneIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(*gatecast.Subscription) {})
		server, _ := s.start(r, Options{})
		for range 10 {
			s.record("a")
		}
		pass(time.Second)
		s.mu.Lock()
		s.first, s.floor = 6, 10
		s.mu.Unlock()
		if _, err := server.StartReplay(t.Context(), subA, 0, 10); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		st := server.State(subA)
		if st.Lost != 0 || st.Replay.Sent != 5 || st.Replay.Ended.IsZero() || s.told() != "" {
			t.Errorf("%+v, %+v, told %q", st, st.Replay, s.told())
		}
	})
}

func TestAnAnswerOfAFormerURLPausesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		r.took = time.Second
		s.put(subA, func(*gatecast.Subscription) {})
		r.answers(func(c *call) egress.Answer {
			if c.url == "http://new.example/" {
				return egress.Answer{Status: 200}
			}
			return egress.Answer{Status: 410}
		})
		s.start(r, Options{})
		s.record("a")
		pass(500 * time.Millisecond)
		s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.URL = "http://new.example/" })
		pass(time.Minute)
		if diff := cmp.Diff(seqs(1, 1), r.got()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhatWasRefusedInCompanyIsSentByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.Batch.Max = 3 })
		r.answers(refusesOnly(3))
		s.start(r, Options{})
		s.record("a", "a", "a", "a", "a")
		pass(time.Second)
		for _, c := range r.requests()[1:] {
			if len(c.seqs) > 1 && slices.Contains(c.seqs, 3) {
				t.Errorf("sent together again: %v", c.seqs)
			}
		}
	})
}

func TestADeletionBreaksOffWhatIsUnderWayAndLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		r.took = 3 * time.Second
		s.put(subA, func(*gatecast.Subscription) {})
		s.start(r, Options{})
		s.record("a", "b", "c")
		pass(time.Second)
		s.remove(subA)
		pass(time.Second)
		if r.flying != 0 || len(s.kept) != 0 {
			t.Errorf("%d requests are under way, the ledger holds %v", r.flying, s.kept)
		}
		pass(time.Hour)
		if n := len(r.requests()); n != 1 || len(s.kept) != 0 {
			t.Errorf("%d requests, the ledger holds %v", n, s.kept)
		}
	})
}

func TestWhatComesRightAfterAFilterWasWidenedIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.Filter.Devices = []string{"a"} })
		s.start(r, Options{})
		s.record("b", "a", "b")
		pass(time.Second)
		s.put(subA, func(sub *gatecast.Subscription) { sub.Settings.Filter.Devices = nil })
		synctest.Wait()
		s.record("b", "c")
		pass(time.Second)
		if diff := cmp.Diff([]gatecast.Seq{2, 4, 5}, sorted(r.got())); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhatWaitsForAnEndpointIsBoundedAndNothingIsLeftOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(*gatecast.Subscription) {})
		r.answers(refuses)
		server, _ := s.start(r, Options{MaxPending: 500})
		for i := range 1500 {
			s.record("d" + strconv.Itoa(i%50))
		}
		s.shrinkRing(100)
		pass(6 * time.Hour)
		var size, held, lanes int
		look := func() { // in the worker's own goroutine
			w := server.worker(subA)
			_, _ = w.order(t.Context(), func() error {
				size, held, lanes = w.main.size(), w.main.held, len(w.main.lanes)
				return nil
			})
		}
		if look(); size == 0 || size > 500+page || held > page {
			t.Errorf("%d events wait, %d are in memory", size, held)
		}
		r.answers(nil)
		pass(time.Hour)
		look()
		if n := len(r.got()); n != 1500 || held != 0 || lanes != 0 {
			t.Errorf("%d delivered, %d held, %d lanes", n, held, lanes)
		}
	})
}

// TestAReceiverThatClosedIdleConnectionsHasNotFailed is about what Node does
// after five seconds without a request.
func TestAReceiverThatClosedIdleConnectionsHasNotFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(*gatecast.Subscription) {})
		r.answers(func(c *call) egress.Answer {
			if c.nth == 1 {
				return egress.Answer{Err: errors.New("connection reset"), Stale: true}
			}
			return egress.Answer{Status: 200}
		})
		server, _ := s.start(r, Options{})
		began := time.Now()
		for _, d := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			s.record(d)
		}
		pass(0)
		if got := len(r.got()); got != 8 || time.Since(began) > 0 {
			t.Errorf("%d of 8 arrived at once", got)
		}
		if st := server.State(subA); st.Status != gatecast.SubscriptionActive {
			t.Errorf("the state is %+v", st)
		}
		r.answers(func(*call) egress.Answer { return egress.Answer{Err: errors.New("connection reset"), Stale: true} })
		s.record("a")
		pass(time.Hour)
		if n := len(r.requests()); n > 16+40 {
			t.Errorf("%d requests to an endpoint that closes every connection", n)
		}
	})
}

func TestAPausedSubscriptionKnowsAfterARestartHowFarItIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := newSite(t), newReceiver()
		s.put(subA, func(*gatecast.Subscription) {})
		_, stop := s.start(r, Options{})
		s.record("a")
		pass(time.Second)
		s.put(subA, func(sub *gatecast.Subscription) { sub.Paused = "moving house" })
		pass(time.Second)
		s.record("a", "a")
		missed := time.Now()
		pass(time.Hour)
		stop()
		server, _ := s.start(r, Options{})
		if st := server.State(subA); st.LagEvents != 2 || !st.Through.Equal(missed) || st.Lag < time.Hour {
			t.Errorf("the state is %+v", st)
		}
	})
}
