package senselink

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// steps drives s through simulated time, telling it of the peer's bytes at the
// times given, and returns what it asked for and when.
func steps(s *Session, start time.Time, heard []time.Duration, end time.Duration) map[string][]time.Duration {
	got := map[string][]time.Duration{}
	for now := start; now.Sub(start) <= end; {
		for len(heard) > 0 && !start.Add(heard[0]).After(now) {
			s.Heard(start.Add(heard[0]))
			heard = heard[1:]
		}
		action, next := s.Next(now)
		if action != Wait {
			got[action.String()] = append(got[action.String()], now.Sub(start))
			if action == CloseDead {
				return got
			}
			continue
		}
		if len(heard) > 0 && start.Add(heard[0]).Before(next) {
			next = start.Add(heard[0])
		}
		now = next
	}
	return got
}

func TestSessionGreetsBeatsAndBuriesTheDead(t *testing.T) {
	s := NewSession(testNow, SessionOptions{})
	got := steps(s, testNow, []time.Duration{40 * time.Second}, time.Hour)
	want := map[string][]time.Duration{
		"send connected": {0},
		"send heartbeat": {30 * time.Second, 60 * time.Second, 90 * time.Second, 120 * time.Second},
		"close dead":     {130 * time.Second},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnySignOfLifeKeepsASessionOpen(t *testing.T) {
	var heard []time.Duration
	for d := time.Duration(0); d < time.Hour; d += 89 * time.Second {
		heard = append(heard, d)
	}
	got := steps(NewSession(testNow, SessionOptions{}), testNow, heard, time.Hour)
	if len(got["close dead"]) != 0 || len(got["send heartbeat"]) != 120 {
		t.Errorf("closed at %v after %d heartbeats, want 120 in an hour", got["close dead"], len(got["send heartbeat"]))
	}
}

func TestASessionCanBeToldNeverToGiveUp(t *testing.T) {
	got := steps(NewSession(testNow, SessionOptions{DeadAfter: -1}), testNow, nil, 24*time.Hour)
	if len(got["close dead"]) != 0 {
		t.Errorf("closed at %v", got["close dead"])
	}
}

func TestALateDriverSkipsHeartbeatsInsteadOfCatchingUp(t *testing.T) {
	s := NewSession(testNow, SessionOptions{DeadAfter: -1})
	s.Next(testNow)
	late := testNow.Add(10 * time.Minute)
	if a, _ := s.Next(late); a != SendHeartBeat {
		t.Fatalf("got %v, want a heartbeat", a)
	}
	if a, at := s.Next(late); a != Wait || !at.Equal(late.Add(30*time.Second)) {
		t.Errorf("got %v until %v", a, at)
	}
}

func TestHeartbeatsStayWithinTheirJitter(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		jitter := rapid.Float64Range(0, 0.5).Draw(r, "jitter")
		s := NewSession(testNow, SessionOptions{
			Jitter: jitter, DeadAfter: -1,
			Rand: func() float64 { return rapid.Float64Range(0, 0.999999).Draw(r, "rand") },
		})
		beats := steps(s, testNow, nil, 5*time.Minute)["send heartbeat"]
		last := time.Duration(0)
		for _, b := range beats {
			// A nanosecond for rounding.
			if off := (b - last - 30*time.Second).Abs(); off > time.Duration(jitter*float64(30*time.Second))+1 {
				r.Fatalf("a beat %v after the last, %v off", b-last, off)
			}
			last = b
		}
		if len(beats) < 6 {
			r.Fatalf("only %d beats", len(beats))
		}
	})
}
