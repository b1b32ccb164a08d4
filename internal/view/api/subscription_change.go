package api

import (
	"context"
	"errors"

	"github.com/gatecast/gatecast"
)

type patchSubscriptionInput struct {
	ID   string `path:"id"`
	Body SettingsBody
}

func (s *server) updateSubscription(ctx context.Context, in *patchSubscriptionInput) (*subscriptionOutput, error) {
	sub, err := s.opts.Hooks.Subscriptions.UpdateSubscription(ctx, in.ID, func(set *gatecast.SubscriptionSettings) error {
		before := set.URL
		if err := in.Body.apply(set, set.Headers); err != nil || set.URL == before {
			return err // what was allowed once may go on, and anything else of it be changed
		}
		return s.checkURL(ctx, *set)
	})
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "subscription changed", "subscription", sub.ID, "app", sub.App)
	return s.subscriptionOutput(sub)
}

// refusedURL says of an address that the guard refuses where it came from.
func refusedURL(err error) error {
	told := gatecast.Error{Code: gatecast.Invalid, Message: "nothing may be sent to this address", Cause: err}
	var e *gatecast.Error
	if errors.As(err, &e) {
		told.Message, told.Remedy = e.Message, e.Remedy
	}
	told.At = &gatecast.Place{Index: -1, Path: "/url"}
	return &told
}

type putAppSubscriptionInput struct {
	Key  string `path:"app_key"`
	Body createSubscriptionBody
}

// putAppSubscription is for whoever thinks of an app as having one URL, as the
// vendor's server does. Asked twice for the same it does nothing the second
// time.
func (s *server) putAppSubscription(ctx context.Context, in *putAppSubscriptionInput) (*madeSubscriptionOutput, error) {
	if _, err := s.find(in.Key); err != nil {
		return nil, err
	}
	if in.Body.App != "" && in.Body.App != in.Key {
		return nil, invalid("/app_key", in.Body.App, "the key of the path, or none", "this is the key of another app")
	}
	id := gatecast.DefaultSubscriptionID(in.Key)
	if sub, ok := s.opts.Hooks.Subscriptions.Subscription(id); ok {
		return s.replaceSubscription(ctx, sub, &in.Body)
	}
	return s.makeSubscription(ctx, gatecast.SubscriptionSpec{ID: id, App: in.Key, Secret: in.Body.Secret}, &in.Body)
}

// replaceSubscription gives a subscription the settings of a request; what that
// leaves out gets its default. Where it has got, and its secret, stay.
func (s *server) replaceSubscription(ctx context.Context, sub *gatecast.Subscription, b *createSubscriptionBody) (*madeSubscriptionOutput, error) {
	if b.Secret != "" && b.Secret != newest(sub.Secrets) {
		err := gatecast.Errorf(gatecast.Conflict, "the subscription has a secret already")
		err.Remedy = "leave the secret out; for a new one rotate it"
		err.At = &gatecast.Place{Index: -1, Path: "/secret"}
		return nil, err
	}
	sub, err := s.opts.Hooks.Subscriptions.UpdateSubscription(ctx, sub.ID, func(set *gatecast.SubscriptionSettings) error {
		next := gatecast.SubscriptionSettings{}
		if err := b.apply(&next, set.Headers); err != nil {
			return err
		}
		before := set.URL
		*set = next
		if set.URL == before {
			return nil
		}
		return s.checkURL(ctx, next)
	})
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "subscription changed", "subscription", sub.ID, "app", sub.App)
	shown, err := s.show(sub)
	return &madeSubscriptionOutput{Status: 200, Location: subscriptionsPath + sub.ID, Body: shown}, err
}

type pauseSubscriptionInput struct {
	ID   string `path:"id"`
	Body *struct {
		Reason string `json:"reason,omitempty" doc:"For people, at most 300 bytes"`
	}
}

func (s *server) pauseSubscription(ctx context.Context, in *pauseSubscriptionInput) (*subscriptionOutput, error) {
	reason := ""
	if in.Body != nil {
		reason = in.Body.Reason
	}
	sub, err := s.opts.Hooks.Subscriptions.PauseSubscription(ctx, in.ID, reason)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "subscription paused", "subscription", sub.ID, "reason", sub.Paused)
	return s.subscriptionOutput(sub)
}

func (s *server) resumeSubscription(ctx context.Context, in *subscriptionInput) (*subscriptionOutput, error) {
	sub, err := s.opts.Hooks.Subscriptions.ResumeSubscription(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "subscription resumed", "subscription", sub.ID)
	return s.subscriptionOutput(sub)
}

type subscriptionSecretOutput struct {
	Body struct {
		ID        string `json:"id"`
		Secret    string `json:"secret" doc:"The newest one"`
		PublicKey string `json:"public_key" doc:"Verifies v1a signatures, which are made if ed25519 is on"`
	}
}

func (s *server) revealSubscriptionSecret(ctx context.Context, in *subscriptionInput) (*subscriptionSecretOutput, error) {
	sub, err := s.subscription(in.ID)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "subscription secret revealed", "subscription", sub.ID)
	out := &subscriptionSecretOutput{}
	out.Body.ID, out.Body.Secret = sub.ID, newest(sub.Secrets)
	out.Body.PublicKey, err = publicKey(sub)
	return out, err
}

type rotateSubscriptionInput struct {
	ID   string `path:"id"`
	Body *struct {
		Overlap string `json:"overlap,omitempty" doc:"How long the old secret signs too; default 24h, 0s ends it at once" example:"24h"`
	}
}

func (s *server) rotateSubscription(ctx context.Context, in *rotateSubscriptionInput) (*subscriptionOutput, error) {
	overlap := defaultOverlap
	if in.Body != nil && in.Body.Overlap != "" {
		var err error
		if overlap, err = gatecast.ParseDuration(in.Body.Overlap); err != nil {
			return nil, invalid("/overlap", in.Body.Overlap, `a duration such as "24h"`, "the overlap is not a duration")
		}
	}
	sub, err := s.opts.Hooks.Subscriptions.RotateSubscription(ctx, in.ID, overlap)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "subscription secret rotated", "subscription", sub.ID, "overlap", overlap)
	shown, err := s.showSecrets(sub)
	return &subscriptionOutput{shown}, err
}

// newest is the value of the first secret, or nothing.
func newest(secrets []gatecast.Secret) string {
	if len(secrets) == 0 {
		return ""
	}
	return secrets[0].Value
}
