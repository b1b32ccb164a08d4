package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bench/receiver"
)

// trouble is an endpoint that fails one time in four, in every way there is but
// one: it never refuses an event for itself.
func trouble(rng *rand.Rand) receiver.Behaviour {
	return receiver.Mix(
		rng.Uint64(),
		receiver.Share{P: 0.05, Do: receiver.Status(http.StatusInternalServerError)},
		receiver.Share{P: 0.03, Do: receiver.Status(http.StatusNoContent)}, // no success by the rule that is the default
		receiver.Share{P: 0.02, Do: receiver.Status(http.StatusTooManyRequests)},
		receiver.Share{P: 0.002, Do: receiver.Busy(time.Second)},
		receiver.Share{P: 0.01, Do: receiver.Cutting(receiver.Hang)},
		receiver.Share{P: 0.04, Do: receiver.Cutting(receiver.Reset)},
		receiver.Share{P: 0.03, Do: receiver.Cutting(receiver.MidHead)},
		receiver.Share{P: 0.03, Do: receiver.Cutting(receiver.MidBody)},
		receiver.Share{P: 0.04, Do: receiver.Slow(50*time.Millisecond, receiver.OK())},
	)
}

// orders subscribes one addressee for each promise there is. Its endpoint has to
// answer within timeout.
func orders(t *testing.T, s *server, r *receiver.Receiver, timeout string) []*addressee {
	t.Helper()
	return []*addressee{
		s.subscribe(t, "per device", r, 0, wants{"timeout": timeout}),
		s.subscribe(t, "strict", r, 1, wants{"timeout": timeout, "order": "strict"}),
		s.subscribe(t, "any order", r, 2, wants{"timeout": timeout, "order": "none"}),
		s.subscribe(t, "batches", r, 3, wants{"timeout": timeout, "batch": wants{"max": 20, "wait": "20ms"}}),
		s.subscribe(t, "one batch", r, 4, wants{"timeout": timeout, "order": "strict", "batch": wants{"max": 50}}),
	}
}

// TestDeliverySurvivesChaosAndKills is the promise: whatever endpoints do, and
// however often the server is killed meanwhile, every event that was stored
// comes to every subscriber, in the order that it was promised.
func TestDeliverySurvivesChaosAndKills(t *testing.T) {
	rng := seeded(t)
	data, books := t.TempDir(), newLedger()
	r := newReceiver(t, 5)
	s := start(t, data, lively...)
	all := orders(t, s, r, "300ms")
	for range rounds(3) {
		for _, sub := range all {
			sub.inbox.Behave(trouble(rng))
		}
		halt := books.trickle(s, rng, pace)
		books.untilAcked(t, 100+rng.IntN(900))
		s.kill(t)
		halt()
		s = start(t, data, lively...)
	}
	halt := books.trickle(s, rng, pace)
	books.untilAcked(t, 300)
	halt()
	books.resolve(t, s)
	for _, sub := range all {
		sub.inbox.Behave(receiver.OK())
		s.patch(t, sub, wants{"timeout": "30s"}) // it was for those who hang
	}
	for _, sub := range all {
		sub.untilReceived(t, len(books.acked))
		s.untilStanding(t, sub, "well and level", func(st standing) bool {
			return st.Status == gatecast.SubscriptionActive && st.LagEvents == 0 && st.DeadLetters == 0 && st.Lost == 0
		})
	}
	s.stop(t)
	events := openJournal(t, data)
	books.check(t, records(events))
	for _, sub := range all {
		sub.check(t, events)
		if k := sub.inbox.Books(); k.Requests < 50 {
			t.Errorf("%s had only %d requests, so this run proves little", sub.name, k.Requests)
		}
	}
}

// TestRefusalsByLotLoseNothing has endpoints refuse one request in five as if
// the event in it were at fault, another one each time. None is refused so often
// in a row that it is set aside; batches are taken apart and put together anew.
func TestRefusalsByLotLoseNothing(t *testing.T) {
	rng := seeded(t)
	data, books := t.TempDir(), newLedger()
	r := newReceiver(t, 5)
	s := start(t, data, append([]string{"--hooks.refused_tries=20"}, lively...)...)
	all := orders(t, s, r, "30s")
	for _, sub := range all {
		sub.inbox.Behave(receiver.Mix(
			rng.Uint64(),
			receiver.Share{P: 0.1, Do: receiver.Status(http.StatusBadRequest)},
			receiver.Share{P: 0.05, Do: receiver.Status(http.StatusRequestEntityTooLarge)},
			receiver.Share{P: 0.05, Do: receiver.Status(http.StatusUnprocessableEntity)},
			receiver.Share{P: 0.05, Do: receiver.Cutting(receiver.Reset)},
		))
	}
	halt := books.trickle(s, rng, pace)
	books.untilAcked(t, rounds(1500))
	halt()
	books.resolve(t, s)
	for _, sub := range all {
		sub.inbox.Behave(receiver.OK())
		sub.untilReceived(t, len(books.acked))
		s.untilStanding(t, sub, "without dead letters", func(st standing) bool { return st.LagEvents == 0 && st.DeadLetters == 0 && st.Lost == 0 })
	}
	s.stop(t)
	events := openJournal(t, data)
	for _, sub := range all {
		if repeated := sub.check(t, events); repeated > 0 {
			t.Errorf("%s accepted %d events and was sent them again", sub.name, repeated)
		}
	}
}

// TestStopUnderDeliveryLosesNothing sends SIGTERM while events are delivered. It
// waits for no endpoint that never answers, and the next start goes on.
func TestStopUnderDeliveryLosesNothing(t *testing.T) {
	rng := seeded(t)
	data, books := t.TempDir(), newLedger()
	r := newReceiver(t, 3)
	brisk := append([]string{"--server.shutdown_timeout=10s"}, lively...)
	s := start(t, data, brisk...)
	well := s.subscribe(t, "well", r, 0, wants{})
	slow := s.subscribe(t, "slow", r, 1, wants{"order": "strict"})
	stuck := s.subscribe(t, "stuck", r, 2, wants{"timeout": "1m"})
	slow.inbox.Behave(receiver.Slow(5*time.Millisecond, receiver.OK()))
	for range rounds(3) {
		stuck.inbox.Behave(receiver.Cutting(receiver.Hang))
		halt := books.trickle(s, rng, pace)
		books.untilAcked(t, 100+rng.IntN(300))
		begun := time.Now()
		s.stop(t)
		t.Logf("stopped in %v", time.Since(begun).Round(time.Millisecond))
		if took := time.Since(begun); took > 50*time.Second { // five times what it may take, less than the stuck one would
			t.Errorf("it took %v to stop", took)
		}
		halt()
		stuck.inbox.Behave(receiver.OK())
		s = start(t, data, brisk...)
	}
	books.resolve(t, s)
	for _, sub := range []*addressee{well, slow, stuck} {
		sub.untilReceived(t, len(books.acked))
	}
	s.stop(t)
	events := openJournal(t, data)
	books.check(t, records(events))
	for _, sub := range []*addressee{well, slow, stuck} {
		sub.check(t, events)
	}
}

// TestAnOrderlyStopRepeatsNothing stops the server while its endpoints answer:
// what has been answered is on disk before the end, and not sent again.
func TestAnOrderlyStopRepeatsNothing(t *testing.T) {
	data, books, rng := t.TempDir(), newLedger(), seeded(t)
	r := newReceiver(t, 5)
	s := start(t, data, lively...)
	all := orders(t, s, r, "30s")
	for range rounds(3) {
		halt := books.trickle(s, rng, pace)
		books.untilAcked(t, 100+rng.IntN(300))
		s.stop(t)
		halt()
		s = start(t, data, lively...)
	}
	books.resolve(t, s)
	for _, sub := range all {
		sub.untilReceived(t, len(books.acked))
	}
	s.stop(t)
	events := openJournal(t, data)
	for _, sub := range all {
		if repeated := sub.check(t, events); repeated > 0 {
			t.Errorf("%s accepted %d events again", sub.name, repeated)
		}
	}
}

// TestAnEndpointThatComesBackGetsEverythingInOrder has an endpoint refuse
// connections from before the first event on, over a restart and a crash.
func TestAnEndpointThatComesBackGetsEverythingInOrder(t *testing.T) {
	data := t.TempDir()
	r, other := newReceiver(t, 1), newReceiver(t, 1)
	s := start(t, data, lively...)
	away := s.subscribe(t, "away", r, 0, wants{"order": "strict", "concurrency": 4})
	there := s.subscribe(t, "there", other, 0, wants{})
	if err := r.Down(); err != nil {
		t.Fatal(err)
	}
	const part = 500
	for i := range int64(3) {
		s.postSamples(t, i*part, part)
		there.untilReceived(t, int(i+1)*part)
		s.untilStanding(t, away, "degraded", func(st standing) bool {
			return st.Status == gatecast.SubscriptionDegraded && st.Reason != "" && st.LagEvents >= uint64(i+1)*part
		})
		if i == 0 {
			s.kill(t)
		} else {
			s.stop(t)
		}
		s = start(t, data, lively...)
	}
	if n := away.inbox.Accepted(); n != 0 {
		t.Fatalf("%d events came to where nobody listens", n)
	}
	if err := r.Up(); err != nil {
		t.Fatal(err)
	}
	away.untilReceived(t, 3*part)
	s.untilStanding(t, away, "active", func(st standing) bool { return st.Status == gatecast.SubscriptionActive && st.LagEvents == 0 })
	s.stop(t)
	events := openJournal(t, data)
	away.check(t, events)
	there.check(t, events)
}

// TestGonePausesUntilSomebodyResumes answers 410, which says that nobody wants
// the events any more.
func TestGonePausesUntilSomebodyResumes(t *testing.T) {
	data := t.TempDir()
	r := newReceiver(t, 2)
	s := start(t, data, lively...)
	left := s.subscribe(t, "left", r, 0, wants{"concurrency": 1})
	stays := s.subscribe(t, "stays", r, 1, wants{})
	left.inbox.Behave(receiver.Status(http.StatusGone))
	s.postSamples(t, 0, 10)
	paused := func(st standing) bool {
		return st.Status == gatecast.SubscriptionPaused && strings.Contains(st.Reason, "410")
	}
	s.untilStanding(t, left, "paused", paused)
	left.inbox.Behave(receiver.OK())
	asked := left.inbox.Books().Requests
	s.kill(t) // it stays paused
	s = start(t, data, lively...)
	s.postSamples(t, 10, 10)
	stays.untilReceived(t, 20)
	s.untilStanding(t, left, "paused", paused)
	if k := left.inbox.Books(); k.Requests != asked || len(k.Order) != 0 {
		t.Errorf("%d requests to a receiver that has left, %d of them after it said so", k.Requests, k.Requests-asked)
	}
	s.must(t, http.MethodPost, "/api/v1/subscriptions/"+left.id+"/resume", nil)
	left.untilReceived(t, 20)
	s.stop(t)
	left.check(t, openJournal(t, data))
}

// TestARefusedEventIsSetAsideAndCanBeSentAgain refuses one event and takes the
// others.
func TestARefusedEventIsSetAsideAndCanBeSentAgain(t *testing.T) {
	const bad = 7
	data := t.TempDir()
	r := newReceiver(t, 2)
	args := append([]string{"--hooks.refused_tries=3"}, lively...)
	s := start(t, data, args...)
	sub := s.subscribe(t, "picky", r, 0, wants{})
	strict := s.subscribe(t, "strict", r, 1, wants{"order": "strict"})
	for _, one := range []*addressee{sub, strict} {
		one.inbox.Behave(receiver.Refusing(func(n uint64) bool { return n == bad }, receiver.OK()))
	}
	s.postSamples(t, 0, 50)
	for _, one := range []*addressee{sub, strict} {
		one.untilReceived(t, 49)
		s.untilStanding(t, one, "without event 7", func(st standing) bool { return st.DeadLetters == 1 && st.LagEvents == 0 })
	}
	s.kill(t) // it is kept
	s = start(t, data, args...)
	for _, one := range []*addressee{sub, strict} {
		s.resend(t, one, sample(bad))
		if k := one.inbox.Books(); k.Entries[bad].Accepted != 1 || k.Entries[bad].Tries < 4 {
			t.Errorf("%s: event %d: %+v", one.name, bad, k.Entries[bad])
		}
	}
}

// resend reads the only dead letter there is, which has to be of that event, and
// has it sent again to an endpoint that has changed its mind.
func (s *server) resend(t *testing.T, sub *addressee, e sent) {
	t.Helper()
	path := "/api/v1/subscriptions/" + sub.id + "/dead-letters"
	var list struct {
		DeadLetters []struct {
			Seq       uint64 `json:"seq"`
			MessageID string `json:"message_id"`
			Status    int    `json:"status"`
			Tries     int    `json:"tries"`
		} `json:"dead_letters"`
	}
	s.must(t, http.MethodGet, path, &list)
	if len(list.DeadLetters) != 1 || list.DeadLetters[0].MessageID != e.id() || list.DeadLetters[0].Status != 400 {
		t.Fatalf("the dead letters of %s: %+v", sub.name, list)
	}
	path += fmt.Sprintf("/%d", list.DeadLetters[0].Seq)
	var letter struct {
		Last struct {
			Body string `json:"body"`
		} `json:"last"`
	}
	s.must(t, http.MethodGet, path, &letter)
	if !strings.Contains(letter.Last.Body, e.data) {
		t.Errorf("the dead letter shows the request %s", letter.Last.Body)
	}
	sub.inbox.Behave(receiver.OK())
	var exchange struct {
		Outcome gatecast.Outcome `json:"outcome"`
	}
	s.must(t, http.MethodPost, path+"/resend", &exchange)
	if exchange.Outcome != gatecast.Delivered {
		t.Errorf("%s: sent again, it is %q", sub.name, exchange.Outcome)
	}
	s.untilStanding(t, sub, "without dead letters", func(st standing) bool { return st.DeadLetters == 0 })
}

// TestDeletingAnAppDeletesItsSubscription has an app with a subscription of its
// own beside one that stays.
func TestDeletingAnAppDeletesItsSubscription(t *testing.T) {
	data := t.TempDir()
	r := newReceiver(t, 2)
	s := start(t, data, lively...)
	consumer := s.createApp(t)
	its := s.take(t, "the app's", r.Inbox(0), http.MethodPut, "/api/v1/apps/"+consumer.Key+"/subscription", fmt.Appendf(nil, `{"url":%q}`, r.URL(0)))
	other := s.subscribe(t, "another", r, 1, wants{})
	s.postSamples(t, 0, 10)
	its.untilReceived(t, 10)
	s.must(t, http.MethodDelete, "/api/v1/apps/"+consumer.Key, nil)
	if status, answer, err := s.get(within(t), "/api/v1/subscriptions/"+its.id); err != nil || status != http.StatusNotFound {
		t.Errorf("the subscription is still there: %d %s (%v)", status, answer, err)
	}
	next := 10
	eventually(t, "nothing is posted for the app any more", func(context.Context) bool {
		before := its.inbox.Books().Requests
		s.postSamples(t, int64(next), 10)
		next += 10
		other.untilReceived(t, next)
		return its.inbox.Books().Requests == before
	})
	if next > 100 {
		t.Errorf("%d events were posted for an app that is gone", next-20)
	}
	before := its.inbox.Books().Requests
	s.kill(t)
	s = start(t, data, lively...)
	s.postSamples(t, int64(next), 10)
	other.untilReceived(t, next+10)
	if n := its.inbox.Books().Requests - before; n != 0 {
		t.Errorf("after a restart %d events were posted for an app that is gone", n)
	}
}
