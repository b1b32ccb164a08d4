package api

import (
	"context"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
)

// Subscriptions is where subscriptions are kept. Errors carry codes, and places
// as JSON Pointers into the request's body.
type Subscriptions interface {
	CreateSubscription(ctx context.Context, spec gatecast.SubscriptionSpec) (*gatecast.Subscription, error)
	Subscription(id string) (*gatecast.Subscription, bool)
	Subscriptions() []*gatecast.Subscription
	// UpdateSubscription may call change several times, each time with the
	// settings as they are then.
	UpdateSubscription(ctx context.Context, id string, change func(*gatecast.SubscriptionSettings) error) (*gatecast.Subscription, error)
	PauseSubscription(ctx context.Context, id, reason string) (*gatecast.Subscription, error)
	ResumeSubscription(ctx context.Context, id string) (*gatecast.Subscription, error)
	RotateSubscription(ctx context.Context, id string, overlap time.Duration) (*gatecast.Subscription, error)
	DeleteSubscription(ctx context.Context, id string) error
}

// Deliveries sends events to subscriptions' URLs.
type Deliveries interface {
	State(id string) gatecast.SubscriptionState
	// Check returns a Forbidden error if nothing may be sent to a URL's address.
	Check(ctx context.Context, url string) error
	// Test sends an event that nobody has seen, and tells what came of it.
	Test(ctx context.Context, id string) (gatecast.Exchange, error)
	// Count tells how many events after from, up to and with to, a subscription
	// would be sent; exact is false if that is an estimate.
	Count(ctx context.Context, id string, from, to gatecast.Seq) (events uint64, exact bool, err error)
	StartReplay(ctx context.Context, id string, from, to gatecast.Seq) (gatecast.Replay, error)
	CancelReplay(ctx context.Context, id string) (gatecast.Replay, error)
	// Resend sends a dead letter once more. If it is delivered, it is one no more.
	Resend(ctx context.Context, id string, seq gatecast.Seq) (gatecast.Exchange, error)
}

// DeadLetters is where the events lie that a receiver refused.
type DeadLetters interface {
	// DeadLetters returns up to limit of them after a position, in order.
	DeadLetters(ctx context.Context, id string, after gatecast.Seq, limit int) ([]gatecast.DeadLetter, error)
	DeadLetter(ctx context.Context, id string, seq gatecast.Seq) (gatecast.DeadLetter, error)
	Discard(ctx context.Context, id string, seq gatecast.Seq) error
}

// DeliveryLog is the record of what was tried.
type DeliveryLog interface {
	// Attempts returns up to limit of them, newest first, of one outcome or, if
	// that is empty, of all; before and next are places between pages.
	Attempts(ctx context.Context, id string, outcome gatecast.Outcome, before string, limit int) (attempts []gatecast.Attempt, next string, err error)
}

// Positions finds places in the journal.
type Positions interface {
	Extent(ctx context.Context) (gatecast.Extent, error)
	// Since returns the position after which everything was stored at t or later.
	Since(ctx context.Context, t time.Time) (gatecast.Seq, error)
}

// Hooks is what the routes about subscriptions work on. All are required.
type Hooks struct {
	Subscriptions Subscriptions
	Deliveries    Deliveries
	DeadLetters   DeadLetters
	Log           DeliveryLog
	Positions     Positions
}

// subscriptionRoutes is the part of the route table that is about
// subscriptions. What shows an event needs no more than reading events does.
func (s *server) subscriptionRoutes() []route {
	const all = "/api/v1/subscriptions"
	const one = all + "/{id}"
	const dead = one + "/dead-letters"
	return []route{
		line(auth.Admin, "POST", all, "create-subscription", "Have events posted to a URL", 201, to(s, s.createSubscription)),
		line(auth.Read, "GET", all, "list-subscriptions", "List the subscriptions, of every app or of one", 200, to(s, s.listSubscriptions)),
		line(auth.Read, "GET", one, "get-subscription", "Show a subscription and how its deliveries stand", 200, to(s, s.getSubscription)),
		line(auth.Admin, "PATCH", one, "update-subscription", "Change what is named of a subscription; null means the default", 200, to(s, s.updateSubscription)),
		line(auth.Admin, "DELETE", one, "delete-subscription", "Delete a subscription, its log and its dead letters", 204, to(s, s.deleteSubscription)),
		line(auth.Admin, "GET", one+"/secret", "reveal-subscription-secret", "Show a subscription's secret; this is logged", 200, to(s, s.revealSubscriptionSecret)),
		line(auth.Admin, "POST", one+"/rotate", "rotate-subscription", "Give a subscription a new secret", 200, to(s, s.rotateSubscription)),
		line(auth.Admin, "POST", one+"/pause", "pause-subscription", "Send a subscription nothing until it is resumed", 200, to(s, s.pauseSubscription)),
		line(auth.Admin, "POST", one+"/resume", "resume-subscription", "Go on with a paused subscription", 200, to(s, s.resumeSubscription)),
		line(auth.Admin, "POST", one+"/test", "test-subscription", "Send a test event and show what came of it", 200, to(s, s.testSubscription)),
		line(auth.Admin, "POST", one+"/replay", "start-replay", "Send a window of the journal once more, or count what that would be", 202, to(s, s.startReplay)),
		line(auth.Read, "GET", one+"/replay", "get-replay", "Show the running replay, or the last one", 200, to(s, s.getReplay)),
		line(auth.Admin, "DELETE", one+"/replay", "cancel-replay", "End the running replay", 200, to(s, s.cancelReplay)),
		line(auth.Read, "GET", one+"/deliveries", "list-deliveries", "List what was tried, newest first", 200, to(s, s.listDeliveries)),
		line(auth.Read, "GET", dead, "list-dead-letters", "List the events that were set aside, oldest first", 200, to(s, s.listDeadLetters)),
		line(auth.Read, "GET", dead+"/{seq}", "get-dead-letter", "Show an event that was set aside, with its last request and answer", 200, to(s, s.getDeadLetter)),
		line(auth.Admin, "POST", dead+"/{seq}/resend", "resend-dead-letter", "Send an event that was set aside once more", 200, to(s, s.resendDeadLetter)),
		line(auth.Admin, "DELETE", dead+"/{seq}", "discard-dead-letter", "Forget an event that was set aside", 204, to(s, s.discardDeadLetter)),
		line(auth.Admin, "PUT", "/api/v1/apps/{app_key}/subscription", "put-app-subscription", "Make an app's own subscription, or replace its settings", 201, to(s, s.putAppSubscription)),
	}
}
