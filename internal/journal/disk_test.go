package journal_test

import (
	"cmp"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast/internal/journal"
	"github.com/gatecast/gatecast/internal/journal/journaltest"
)

func TestEmbeddedKeepsTheContract(t *testing.T) {
	base := t.TempDir()
	journaltest.Run(t, journaltest.Subject{
		Durable: true,
		Open: func(t *testing.T, name string, l journaltest.Limits) journaltest.Journal {
			return mustOpen(t, journal.Options{
				Dir: filepath.Join(base, strings.ReplaceAll(name, "/", "_")), MaxBytes: l.MaxBytes,
				Check: journal.Check{Ring: l.Ring, LowDisk: -1},
			})
		},
	})
}

// mustOpen opens a journal; the caller closes it.
func mustOpen(t *testing.T, o journal.Options) *journal.Journal {
	t.Helper()
	o.Commit.Wait = cmp.Or(o.Commit.Wait, time.Minute) // whatever the disk is doing for others
	j, err := journal.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return j
}
