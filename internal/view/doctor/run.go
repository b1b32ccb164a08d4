package doctor

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

// mostAtOnce bounds the checks that run at the same moment.
const mostAtOnce = 16

// check is one thing to look at.
type check struct {
	name    string // of its findings
	subject string
	run     func(ctx context.Context) []gatecast.Finding
}

// examine runs checks side by side, and returns what they have found within
// limit, worst first; done is closed when the last of them has returned, which a
// hanging system call may put off.
func examine(ctx context.Context, limit time.Duration, checks []check) (found []gatecast.Finding, done <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	type result struct {
		i        int
		findings []gatecast.Finding
	}
	results := make(chan result, len(checks)) // no check waits for whoever reads
	room := make(chan struct{}, mostAtOnce)
	var group sync.WaitGroup
	for i, c := range checks {
		group.Go(func() {
			select {
			case room <- struct{}{}:
				defer func() { <-room }()
				results <- result{i, c.run(ctx)}
			case <-ctx.Done():
			}
		})
	}
	ended := make(chan struct{})
	go func() { group.Wait(); close(ended) }()
	missing := make(map[int]bool)
	for i := range checks {
		missing[i] = true
	}
	// A moment more than the checks have, for those that notice the end by ctx.
	late := time.NewTimer(limit + time.Second)
	defer late.Stop()
	for over := false; len(missing) > 0 && !over; {
		select {
		case r := <-results:
			delete(missing, r.i)
			found = append(found, r.findings...)
		case <-late.C:
			over = true
		case <-ended:
			over = len(results) == 0
		}
	}
	cancel()
	if len(missing) == 0 {
		<-ended // it is about to be
	}
	for i := range checks {
		if missing[i] {
			found = append(found, gatecast.Finding{
				Check: checks[i].name, Level: gatecast.FindingWarn, Subject: checks[i].subject,
				Text: "this could not be looked at within " + limit.String(), Remedy: "look at the machine's load and its disks, then try again",
			})
		}
	}
	return ordered(found), ended
}

// ordered puts the worst first, and leaves what belongs together together. What
// two checks have found alike, such as a clock, is told once.
func ordered(found []gatecast.Finding) []gatecast.Finding {
	slices.SortStableFunc(found, func(a, b gatecast.Finding) int {
		return cmp.Or(b.Level.Rank()-a.Level.Rank(), cmp.Compare(a.Check, b.Check), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(found)
}

func ok(check, subject, text string) gatecast.Finding {
	return gatecast.Finding{Check: check, Level: gatecast.FindingOK, Subject: subject, Text: text}
}

func note(check, subject, text, remedy string) gatecast.Finding {
	return gatecast.Finding{Check: check, Level: gatecast.FindingNote, Subject: subject, Text: text, Remedy: remedy}
}

func warn(check, subject, text, remedy string) gatecast.Finding {
	return gatecast.Finding{Check: check, Level: gatecast.FindingWarn, Subject: subject, Text: text, Remedy: remedy}
}

func bad(check, subject, text, remedy string) gatecast.Finding {
	return gatecast.Finding{Check: check, Level: gatecast.FindingBad, Subject: subject, Text: text, Remedy: remedy}
}
