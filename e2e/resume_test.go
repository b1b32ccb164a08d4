package e2e

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"
)

// The ways in which a connection ends here. Nobody kills a client: a library
// may have answered the Ping for messages that its program has not seen yet,
// and what such a program loses with its memory no server can know.
const (
	byReset  = iota // RST to both sides
	byFIN           // FIN to both sides, no Close frame
	byClient        // the program closes; see stock.leaves
	byFreeze        // the program is stopped until the server takes it for dead
	byCrash         // the server is killed, and starts again
	ways
)

// pace is the load of the tests that go on for long: about 600 events a second.
// stroll is that of those with stock clients: half of it, which the slowest
// can print on a busy machine.
const pace, stroll = 25 * time.Millisecond, 50 * time.Millisecond

// impatient is a server that soon notices who is dead.
var impatient = []string{"--websocket.heartbeat=1s", "--websocket.dead_after=10s", "--server.drain_spread=100ms"}

// TestNothingMissedSurvivesCuts is the promise: clients that know nothing of
// resume, and are started again whenever they have ended, print every event
// from their first connection on. Under a load without pause they are cut in
// every way there is, each in turn; what comes twice had not been confirmed.
func TestNothingMissedSurvivesCuts(t *testing.T) {
	t.Run("as the server comes", func(t *testing.T) { surviveCuts(t) })
	t.Run("confirming often", func(t *testing.T) {
		surviveCuts(t, "--resume.confirm_interval=50ms", "--resume.commit_interval=50ms")
	})
}

func surviveCuts(t *testing.T, args ...string) {
	w := newWard(t, append(args, impatient...)...)
	for range rounds(1) {
		for _, way := range w.rng.Perm(ways) {
			w.untilPrinted(t, 1+w.rng.IntN(450))
			switch way {
			case byFreeze:
				w.freeze(t)
			case byCrash:
				w.crash(t)
			default:
				for i, p := range w.patients {
					w.cut(t, p, (way+i)%byFreeze) // in each of three rounds in another way
				}
			}
			ended(t, w.patients)
			begin(t, w.server, w.patients)
		}
	}
	w.settle(t)
	w.server.stop(t)
	w.check(t)
}

// TestOrderlyStopRepeatsNothing stops the server while the load pauses, again
// and again: each client has all of it by then, says so when it is asked before
// it is told to come back, and is sent none of it again.
func TestOrderlyStopRepeatsNothing(t *testing.T) {
	w := newWard(t, "--server.drain_spread=100ms", "--resume.farewell=1m")
	for i := range rounds(3) {
		if i > 0 {
			w.restart(t)
			begin(t, w.server, w.patients)
		}
		w.untilPrinted(t, 1+w.rng.IntN(450))
		w.settle(t)
		w.server.stop(t)
		ended(t, w.patients)
	}
	if repeated := w.check(t); repeated != 0 {
		t.Errorf("%d events were sent twice over stops in good order", repeated)
	}
}

// ward is the patients of one test, their server, and the load.
type ward struct {
	rng      *rand.Rand
	data     string
	args     []string
	server   *server
	books    *ledger
	patients []*patient
	head     int    // events that were there before any patient
	halt     func() // ends the load
}

// newWard starts a server that has some events already, connects the patients,
// and begins with the load.
func newWard(t *testing.T, args ...string) *ward {
	t.Helper()
	w := &ward{rng: seeded(t), data: t.TempDir(), args: args, books: newLedger()}
	w.server = start(t, w.data, args...)
	w.halt = w.books.load(w.server, w.rng, 1)
	w.books.untilAcked(t, 50)
	w.halt()
	w.books.resolve(t, w.server)
	w.head = len(w.books.acked)
	w.patients = admit(t, w.server)
	w.halt = w.books.trickle(w.server, w.rng, stroll)
	return w
}

// untilPrinted waits until each patient has printed so many events in its life.
// The order is random, so that the others are met at any moment.
func (w *ward) untilPrinted(t *testing.T, n int) {
	t.Helper()
	for _, i := range w.rng.Perm(len(w.patients)) {
		w.patients[i].await(t, w.server, "sent events", func(l *life) bool { return len(l.printed) >= n })
	}
}

// cut ends a patient's connection.
func (w *ward) cut(t *testing.T, p *patient, way int) {
	t.Helper()
	p.note(within(t), t, w.server)
	switch {
	case way == byReset:
		p.net.reset()
	case way == byClient && p.leaves:
		p.now().leave()
	default:
		p.net.part()
	}
}

// freeze stops every client until the server has given it up.
func (w *ward) freeze(t *testing.T) {
	t.Helper()
	for _, p := range w.patients {
		defer p.now().freeze()()
	}
	ctx := within(t)
	for _, p := range w.patients {
		p.note(ctx, t, w.server)
	}
	for _, p := range w.patients {
		eventually(t, "the server gives up "+p.name, func(ctx context.Context) bool {
			n, err := w.server.connections(ctx, p.app)
			return err == nil && n == 0
		})
	}
}

// crash kills the server at some moment after what is confirmed now has come
// to its disk, and starts it again.
func (w *ward) crash(t *testing.T) {
	t.Helper()
	ctx := within(t)
	for _, p := range w.patients {
		p.note(ctx, t, w.server)
	}
	w.server.untilCommitted(t)
	w.books.untilAcked(t, 1+w.rng.IntN(300))
	w.server.kill(t)
	w.restart(t)
}

// restart starts the server, which has ended, and the load anew.
func (w *ward) restart(t *testing.T) {
	t.Helper()
	w.halt()
	w.server = start(t, w.data, w.args...)
	w.halt = w.books.trickle(w.server, w.rng, stroll)
}

// settle ends the load and waits until every patient has printed all of it.
func (w *ward) settle(t *testing.T) {
	t.Helper()
	w.halt()
	w.books.resolve(t, w.server)
	for _, p := range w.patients {
		p.await(t, w.server, "sent everything", func(l *life) bool {
			return len(l.printed) > 0 && l.printed[len(l.printed)-1] == w.books.next-1
		})
	}
}

// check compares what each patient has seen with the journal of the server,
// which has ended. It returns how many events came twice.
func (w *ward) check(t *testing.T) (repeated int) {
	t.Helper()
	ended(t, w.patients)
	events := openJournal(t, w.data)
	w.books.check(t, events)
	for _, p := range w.patients {
		repeated += p.check(t, events, w.head)
	}
	return repeated
}
