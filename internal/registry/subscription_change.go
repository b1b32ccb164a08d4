package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/webhook"
)

// UpdateSubscription lets change work on a copy of a subscription's settings,
// and returns the subscription as it then is. If somebody else changes it at
// the same moment, change is called again with what they made of it. A setting
// left at zero goes back to its default. Errors: those of change, Invalid with
// the field, NotFound.
func (r *Registry) UpdateSubscription(ctx context.Context, id string, change func(*gatecast.SubscriptionSettings) error) (*gatecast.Subscription, error) {
	return r.changeSubscription(ctx, id, func(s *gatecast.Subscription) error {
		if err := change(&s.Settings); err != nil {
			return err
		}
		s.Settings = s.Settings.WithDefaults()
		if err := s.Settings.Validate(); err != nil {
			return err
		}
		return checkNotices(s.App, &s.Settings)
	})
}

// checkNotices refuses what would never be sent: notices tell of every
// subscription there is, and no app sees them.
func checkNotices(app string, s *gatecast.SubscriptionSettings) error {
	i := slices.Index(s.Filter.Kinds, gatecast.Notice)
	if app == "" || i < 0 {
		return nil
	}
	const want = "30000 (record) or 30100 (alarm) for a subscription of an app"
	return &gatecast.Error{
		Code: gatecast.Invalid, Message: "an app does not see notices", Remedy: "leave the app out, or give " + want,
		At: &gatecast.Place{Index: -1, Path: "/kinds/" + strconv.Itoa(i), Found: "50000", Expected: want},
	}
}

// PauseSubscription stops the deliveries of a subscription until
// [Registry.ResumeSubscription]. The reason is for people: one line, cut to 300
// bytes; empty means that somebody paused it by hand. A subscription that is
// paused already keeps its first reason. Error: NotFound.
func (r *Registry) PauseSubscription(ctx context.Context, id, reason string) (*gatecast.Subscription, error) {
	return r.changeSubscription(ctx, id, func(s *gatecast.Subscription) error {
		if s.Paused != "" {
			return errSame
		}
		s.Paused = cmp.Or(oneLine(reason), "paused by hand")
		return nil
	})
}

// ResumeSubscription lets the deliveries of a paused subscription go on. Error:
// NotFound.
func (r *Registry) ResumeSubscription(ctx context.Context, id string) (*gatecast.Subscription, error) {
	return r.changeSubscription(ctx, id, func(s *gatecast.Subscription) error {
		if s.Paused == "" {
			return errSame
		}
		s.Paused = ""
		return nil
	})
}

// RotateSubscription gives the subscription a new secret and a new key, by the
// rules of [Registry.RotateApp]. Errors: Invalid, NotFound.
func (r *Registry) RotateSubscription(ctx context.Context, id string, overlap time.Duration) (*gatecast.Subscription, error) {
	if err := r.checkOverlap(overlap); err != nil {
		return nil, err
	}
	return r.changeSubscription(ctx, id, func(s *gatecast.Subscription) error {
		now := r.now()
		private, _ := webhook.NewKey()
		s.Secrets = rotated(s.Secrets, webhook.NewSecret(), now, overlap)
		s.Keys = rotated(s.Keys, private, now, overlap)
		return nil
	})
}

// DeleteSubscription removes a subscription for good; its ID is free again.
// Error: NotFound.
func (r *Registry) DeleteSubscription(ctx context.Context, id string) error {
	if !gatecast.ValidSubscriptionID(id) {
		return noSubscription(id)
	}
	_, err := r.remove(ctx, subscriptionEntry+id)
	if errors.Is(err, bucket.ErrMissing) {
		return noSubscription(id)
	}
	if err != nil {
		return fmt.Errorf("delete subscription %s: %w", id, err)
	}
	return nil
}

// changeSubscription lets change work on a subscription, writes it (see
// rewrite) and returns it.
func (r *Registry) changeSubscription(ctx context.Context, id string, change func(*gatecast.Subscription) error) (*gatecast.Subscription, error) {
	if !gatecast.ValidSubscriptionID(id) {
		return nil, noSubscription(id)
	}
	err := r.rewrite(ctx, subscriptionEntry+id, func(value []byte) ([]byte, error) {
		s, err := decodeSubscription(value, r.seal)
		if err != nil {
			return nil, fmt.Errorf("read subscription %s: %w", id, err)
		}
		if err := change(s); err != nil {
			return nil, err
		}
		return encodeSubscription(validSubscription(s, r.opts.Now()), r.seal)
	})
	if errors.Is(err, bucket.ErrMissing) {
		return nil, noSubscription(id)
	}
	if err != nil {
		return nil, err
	}
	return r.subscription(id)
}

const maxReason = 300 // bytes

// oneLine makes a reason fit for a line of a list: an endpoint's answer may be
// part of it.
func oneLine(reason string) string {
	reason = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, strings.ToValidUTF8(reason, " "))
	return strings.TrimSpace(cut(strings.TrimSpace(reason), maxReason))
}

// cut shortens s to at most n bytes, and leaves no half character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
