package e2e

import (
	"path/filepath"
	"testing"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/journal"
)

// openJournal opens the journal of a stopped server without the server.
func openJournal(t *testing.T, data string) []gatecast.Event {
	t.Helper()
	ctx := within(t)
	j, err := journal.Open(ctx, journal.Options{Dir: filepath.Join(data, "journal"), MaxBytes: 1 << 50, Check: journal.Check{LowDisk: -1}})
	if err != nil {
		t.Fatalf("open the journal of the stopped server: %v", err)
	}
	defer func() {
		if err := j.Close(ctx); err != nil {
			t.Errorf("close the journal: %v", err)
		}
	}()
	var events []gatecast.Event
	for after := gatecast.Seq(0); ; {
		page, err := j.Read(ctx, after, 1000)
		if err != nil {
			t.Fatalf("read the journal after %d: %v", after, err)
		}
		if len(page) == 0 {
			return events
		}
		events = append(events, page...)
		after = page[len(page)-1].Seq
	}
}
