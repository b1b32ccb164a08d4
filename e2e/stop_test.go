package e2e

import (
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// serviceRestart is close code 1012: come back, we are only restarting.
const serviceRestart = ws.StatusCode(1012)

// TestStopUnderLoadLosesNothing sends SIGTERM while senders post and clients
// listen. Each client connects before the senders begin, so each must be
// pushed every event of its round before it is told to come back.
func TestStopUnderLoadLosesNothing(t *testing.T) {
	const clients = 20
	rng := seeded(t)
	data, books := t.TempDir(), newLedger()
	var followers crowd
	var consumer app
	for i := range rounds(2) {
		s := start(t, data, "--server.drain_spread=500ms")
		if i == 0 {
			consumer = s.createApp(t)
		}
		followers.join(t, s.signedURL(consumer), clients)
		halt := books.load(s, rng, 4)
		books.untilAcked(t, 200+rng.IntN(400))
		s.stop(t)
		halt()
		followers.complete(i*clients, len(openJournal(t, data)))
	}
	events := openJournal(t, data)
	books.check(t, events)
	if pushed := followers.check(t, events, nil); pushed != clients*len(events) {
		t.Errorf("%d events were pushed, want each of %d to %d clients", pushed, len(events), clients)
	}
	for i, f := range followers.all {
		if f.code != serviceRestart {
			t.Errorf("connection %d was closed with code %d, want %d", i, f.code, serviceRestart)
		}
	}
	if books.refused != nil && !strings.Contains(books.refused.Error(), "503") {
		t.Errorf("a sender was refused during the stop, but not with 503: %v", books.refused)
	}
}

// TestSecondServerOnTheSameDataIsRefused starts a second process on the data
// directory of a running one.
func TestSecondServerOnTheSameDataIsRefused(t *testing.T) {
	data := t.TempDir()
	first := start(t, data)
	second := spawn(t, data)
	second.wait(t)
	if second.cmd.ProcessState.ExitCode() == 0 {
		t.Error("the second server ended with status 0, as if all were well")
	}
	message := second.output.String()
	if !strings.Contains(message, data) || !strings.Contains(message, "use") {
		t.Errorf("the second server does not say that %s is in use: %s", data, message)
	}
	consumer := first.createApp(t) // the first one is unharmed
	follow(t, first.signedURL(consumer))
}
