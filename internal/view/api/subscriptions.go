package api

import (
	"cmp"
	"context"
	"slices"

	"github.com/gatecast/gatecast"
)

const subscriptionsPath = "/api/v1/subscriptions/"

type subscriptionInput struct {
	ID string `path:"id"`
}

type subscriptionOutput struct {
	Body subscriptionBody
}

type madeSubscriptionOutput struct {
	Status   int
	Location string `header:"Location"`
	Body     subscriptionBody
}

// createSubscriptionBody is settings, and what can be said only at the
// beginning.
type createSubscriptionBody struct {
	SettingsBody
	App    string `json:"app_key,omitempty" doc:"Of the app whose view it has; without one it may see everything"`
	Start  place  `json:"start,omitzero" doc:"Send what comes after this position, or what was stored at this time or later: \"latest\" (default), \"earliest\", a seq, or a time by RFC 3339"`
	Secret string `json:"secret,omitempty" doc:"To sign with, for a receiver that has one already: \"whsec_\" and base64 of 24 to 64 bytes"`
}

type createSubscriptionInput struct {
	Body createSubscriptionBody
}

func (s *server) createSubscription(ctx context.Context, in *createSubscriptionInput) (*madeSubscriptionOutput, error) {
	return s.makeSubscription(ctx, gatecast.SubscriptionSpec{App: in.Body.App, Secret: in.Body.Secret}, &in.Body)
}

// makeSubscription completes a spec by what the request says. Where it starts
// is found before it exists, so that whatever is accepted after the answer is
// sent to it.
func (s *server) makeSubscription(ctx context.Context, spec gatecast.SubscriptionSpec, b *createSubscriptionBody) (*madeSubscriptionOutput, error) {
	if err := b.apply(&spec.Settings, nil); err != nil {
		return nil, err
	}
	if err := s.checkURL(ctx, spec.Settings); err != nil {
		return nil, err
	}
	now, err := s.opts.Hooks.Positions.Extent(ctx)
	if err != nil {
		return nil, err
	}
	spec.Epoch = now.Epoch
	if spec.After, err = s.position(ctx, "/start", cmp.Or(b.Start, "latest"), now); err != nil {
		return nil, err
	}
	sub, err := s.opts.Hooks.Subscriptions.CreateSubscription(ctx, spec)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "subscription created", "subscription", sub.ID, "app", sub.App, "after", sub.After, "imported", b.Secret != "")
	shown, err := s.showSecrets(sub)
	return &madeSubscriptionOutput{Status: 201, Location: subscriptionsPath + sub.ID, Body: shown}, err
}

// checkURL refuses a URL whose address nothing may be sent to. What the URL
// itself must look like is told first.
func (s *server) checkURL(ctx context.Context, set gatecast.SubscriptionSettings) error {
	if err := set.WithDefaults().Validate(); err != nil {
		return err
	}
	err := s.opts.Hooks.Deliveries.Check(ctx, set.URL)
	if err == nil || gatecast.CodeOf(err) != gatecast.Forbidden {
		return err
	}
	// It is the request that cannot stand: 403 would say that the caller may not.
	return refusedURL(err)
}

type listSubscriptionsInput struct {
	App string `query:"app" doc:"Only subscriptions of the app with this key"`
}

type listSubscriptionsOutput struct {
	Body struct {
		Subscriptions []subscriptionBody `json:"subscriptions" nullable:"false" doc:"By when they were made"`
	}
}

func (s *server) listSubscriptions(_ context.Context, in *listSubscriptionsInput) (*listSubscriptionsOutput, error) {
	subs := s.opts.Hooks.Subscriptions.Subscriptions()
	if in.App != "" {
		if _, err := s.find(in.App); err != nil { // a mistyped key is not an app without subscriptions
			return nil, err
		}
		subs = slices.DeleteFunc(slices.Clone(subs), func(sub *gatecast.Subscription) bool { return sub.App != in.App })
	}
	out := &listSubscriptionsOutput{}
	out.Body.Subscriptions = make([]subscriptionBody, len(subs))
	for i, sub := range subs {
		var err error
		if out.Body.Subscriptions[i], err = s.show(sub); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *server) getSubscription(_ context.Context, in *subscriptionInput) (*subscriptionOutput, error) {
	sub, err := s.subscription(in.ID)
	if err != nil {
		return nil, err
	}
	return s.subscriptionOutput(sub)
}

// subscription finds a subscription by its ID.
func (s *server) subscription(id string) (*gatecast.Subscription, error) {
	sub, ok := s.opts.Hooks.Subscriptions.Subscription(id)
	if !ok {
		err := gatecast.Errorf(gatecast.NotFound, "there is no subscription with the ID %q", shorten(id))
		err.Remedy = "list them with: gatecast sub list"
		return nil, err
	}
	return sub, nil
}

func (s *server) subscriptionOutput(sub *gatecast.Subscription) (*subscriptionOutput, error) {
	shown, err := s.show(sub)
	if err != nil {
		return nil, err
	}
	return &subscriptionOutput{shown}, nil
}

func (s *server) deleteSubscription(ctx context.Context, in *subscriptionInput) (*struct{}, error) {
	if err := s.opts.Hooks.Subscriptions.DeleteSubscription(ctx, in.ID); err != nil {
		return nil, err
	}
	s.logChange(ctx, "subscription deleted", "subscription", in.ID)
	return nil, nil
}
