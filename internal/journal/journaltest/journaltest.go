// Package journaltest holds the contract of a journal as one suite of tests,
// which every implementation passes. It owns no journal. Start at [Run].
package journaltest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

// Journal is what the suite asks of a journal.
type Journal interface {
	Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error)
	Read(ctx context.Context, after gatecast.Seq, limit int) ([]gatecast.Event, error)
	Follow(ctx context.Context, after gatecast.Seq) gatecast.Stream
	Since(ctx context.Context, t time.Time) (gatecast.Seq, error)
	Extent(ctx context.Context) (gatecast.Extent, error)
	Healthy() error
	Close(ctx context.Context) error
}

// Limits are the settings that the suite needs of a journal. Zero means the
// implementation's default.
type Limits struct {
	MaxBytes int64 // space for events
	Ring     int   // events held in memory for readers
}

// Subject is an implementation under test.
type Subject struct {
	// Open opens the journal called name, and makes it when it does not exist.
	// Journals of the same name are the same only if Durable is set; the suite
	// has at most one open at a time.
	Open func(t *testing.T, name string, l Limits) Journal
	// Durable journals are still there after Close and Open.
	Durable bool
}

// Run holds a journal to the contract.
func Run(t *testing.T, s Subject) {
	tests := []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"StoredEventsComeBackByteForByte", storedEventsComeBack},
		{"DuplicatesAreDroppedAndCounted", duplicatesAreDropped},
		{"WhatCannotBeStoredIsRefusedWhole", refusedWhole},
		{"ReadTellsTheEndFromAGap", readTellsTheEnd},
		{"CallsStayWholeAndInOrderUnderLoad", callsStayWhole},
		{"OneOfManySendersOfAnIDIsAccepted", oneOfManySenders},
		{"FollowersSeeEverythingExactlyOnceUnderLoad", followersSeeEverything},
		{"FollowWaitsAndEndsWithItsContext", followWaits},
		{"CloseEndsFollowersAndRefusesAppends", closeEndsFollowers},
		{"RetentionIsToldAsAGap", retentionIsTold},
		{"SinceFindsTheFirstEventStoredAtATime", sinceFinds},
		{"SinceNeverLiesBeforeWhatRetentionHasLeft", sinceAfterRetention},
		{"SincePassesOverNothingUnderLoad", sinceUnderLoad},
		{"AnythingGoesAsTheModelSays", modelAgrees},
		{"ARestartForgetsNothing", restartForgetsNothing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, s) })
	}
}

// Patience is how long the suite waits for what must happen.
const Patience = 5 * time.Minute

// Event makes a test event with a given ID.
func Event(id string) gatecast.Event {
	return gatecast.Event{ID: id, Kind: gatecast.Record, Device: "SPS-1", Source: "push", Data: fmt.Appendf(nil, `{"id":%q}`, id)}
}

// Events makes n test events with IDs of a prefix, counted from one.
func Events(prefix string, n int) []gatecast.Event {
	out := make([]gatecast.Event, n)
	for i := range out {
		out[i] = Event(fmt.Sprintf("%s-%d", prefix, i+1))
	}
	return out
}

// bounded returns a context that ends a test that hangs.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// open opens a journal of the test's own and closes it after the test.
func open(t *testing.T, s Subject, l Limits) Journal {
	t.Helper()
	j := s.Open(t, t.Name(), l)
	t.Cleanup(func() { closeJournal(t, j) })
	return j
}

func closeJournal(t *testing.T, j Journal) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := j.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func mustAppend(t *testing.T, j Journal, events ...gatecast.Event) gatecast.Receipt {
	t.Helper()
	r, err := j.Append(bounded(t), events)
	if err != nil {
		t.Fatalf("Append: %v", err)
	}
	return r
}

func extent(t *testing.T, j Journal) gatecast.Extent {
	t.Helper()
	x, err := j.Extent(bounded(t))
	if err != nil {
		t.Fatalf("Extent: %v", err)
	}
	return x
}

// readAll reads everything after a cursor in steps.
func readAll(t *testing.T, j Journal, after gatecast.Seq, step int) []gatecast.Event {
	t.Helper()
	var out []gatecast.Event
	for {
		events, err := j.Read(bounded(t), after, step)
		if err != nil {
			t.Fatalf("Read(%d, %d): %v", after, step, err)
		}
		if len(events) == 0 {
			return out
		}
		if len(events) > step {
			t.Fatalf("Read(%d, %d) returned %d events", after, step, len(events))
		}
		out = append(out, events...)
		after = events[len(events)-1].Seq
	}
}
