package registry

import (
	"slices"
	"time"

	"github.com/gatecast/gatecast"
)

// checkOverlap returns an Invalid error if two secrets may not be valid beside
// each other for so long.
func (r *Registry) checkOverlap(overlap time.Duration) error {
	if overlap >= 0 && overlap <= r.opts.MaxOverlap {
		return nil
	}
	want := "0s to " + r.opts.MaxOverlap.String()
	return &gatecast.Error{
		Code:    gatecast.Invalid,
		Message: "the overlap of the two secrets is out of range",
		Remedy:  "give " + want,
		At:      &gatecast.Place{Index: -1, Path: "/overlap", Found: overlap.String(), Expected: want},
	}
}

// rotated returns a new secret, and behind it the newest of the old ones if it
// stays valid for a while. Any other goes at once.
func rotated(secrets []gatecast.Secret, value string, now time.Time, overlap time.Duration) []gatecast.Secret {
	next := []gatecast.Secret{{Value: value, Created: now}}
	if len(secrets) > 0 && overlap > 0 {
		old := secrets[0]
		old.Expires = now.Add(overlap)
		next = append(next, old)
	}
	return next
}

func anyExpired(secrets []gatecast.Secret, now time.Time) bool {
	return slices.ContainsFunc(secrets, func(s gatecast.Secret) bool { return !s.ValidAt(now) })
}

// unexpired returns a copy of secrets without those that have expired.
func unexpired(secrets []gatecast.Secret, now time.Time) []gatecast.Secret {
	return slices.DeleteFunc(slices.Clone(secrets), func(s gatecast.Secret) bool { return !s.ValidAt(now) })
}
