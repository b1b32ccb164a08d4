package journal_test

import (
	"testing"

	"github.com/gatecast/gatecast/internal/journal"
	"github.com/gatecast/gatecast/internal/journal/journaltest"
)

func TestMemKeepsTheContract(t *testing.T) {
	journaltest.Run(t, journaltest.Subject{
		Open: func(_ *testing.T, _ string, l journaltest.Limits) journaltest.Journal {
			return journal.OpenMem(journal.MemOptions{MaxBytes: l.MaxBytes})
		},
	})
}
