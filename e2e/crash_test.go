package e2e

import "testing"

// TestAcknowledgedSurvivesKill kills the server at random under load, again
// and again on the same data. Batches whose outcome the crash left open are
// posted again with the same IDs.
func TestAcknowledgedSurvivesKill(t *testing.T) {
	rng := seeded(t)
	data, books := t.TempDir(), newLedger()
	var followers crowd
	s := start(t, data)
	consumer := s.createApp(t)
	for range rounds(5) {
		followers.join(t, s.signedURL(consumer), 3)
		halt := books.load(s, rng, 4)
		books.untilAcked(t, 1+rng.IntN(600))
		s.kill(t)
		halt()
		s = start(t, data)
	}
	cut := len(followers.all)
	followers.join(t, s.signedURL(consumer), 3)
	halt := books.load(s, rng, 1) // nothing may stay doubtful for ever
	books.until(t, "every doubtful batch is accepted", func() bool { return len(books.doubtful) == 0 })
	halt()
	s.stop(t)
	events := openJournal(t, data)
	books.check(t, events)
	followers.complete(cut, len(events))
	followers.check(t, events, nil)
}
