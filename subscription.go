package gatecast

import (
	"maps"
	"slices"
	"time"
)

// Subscription is a consumer that is called: events are posted to its URL.
type Subscription struct {
	ID       string // "sub_" and 16 lower-case hexadecimal characters
	App      string // key of the app it belongs to and whose view it has; empty: it may see everything
	Settings SubscriptionSettings
	Secrets  []Secret // as Standard Webhooks writes them, "whsec_...", newest first; two while a rotation lasts
	Keys     []Secret // ed25519 private keys, "whsk_...", newest first; made with the secrets, used only if Settings.Ed25519
	After    Seq      // it is sent what comes after this position
	Epoch    string   // of the journal that After is a place in
	Paused   string   // why nothing is sent until somebody resumes it; empty: it is not paused
	Created  time.Time
}

// SubscriptionSettings is what can be changed of a subscription at any time. The
// zero value of a field means its default.
type SubscriptionSettings struct {
	URL         string            // http or https, without user and fragment, at most 2048 bytes
	Description string            // for people, at most 200 characters
	Filter      Filter            // what it is sent, within its app's view
	Traits      TraitFilter       // the same, by what stands in an event's data
	Order       Order             // default OrderDevice
	Concurrency int               // requests at once, 1 to 256; default 8. OrderStrict has one at a time whatever stands here
	Rate        int               // requests per second, up to 100,000; 0: no limit
	CatchUpRate int               // the same for what was stored before the endpoint came back, and for replays; 0: only Rate
	Timeout     time.Duration     // of one request, 100 ms to 1 min; default 5 s
	Success     Success           // default SuccessOK
	Headers     map[string]string // sent with each request, at most 32; values are secrets
	Auth        ReceiverAuth
	EventType   EventTypeForm // default EventTypeNumber
	OwnFields   bool          // the body carries "seq", "epoch" and, of a late event, "late" too
	MarkReplay  bool          // what is sent late carries the header gatecast-replay
	Ed25519     bool          // requests are signed by v1a too
	Batch       Batch
}

// Order is what a subscription is promised about the order of its requests.
type Order string

// The orders there are.
const (
	OrderDevice Order = "per-device" // events of one device one after the other; devices side by side
	OrderStrict Order = "strict"     // all events one after the other
	OrderNone   Order = "none"       // as they come
)

// Success is which status says that an event has been received.
type Success string

// The rules there are.
const (
	SuccessOK  Success = "200" // that one and no other, as the vendor has it
	SuccessAny Success = "2xx"
)

// EventTypeForm is how eventType stands in a body. The vendor's manual says one
// and its server does the other.
type EventTypeForm string

// The forms there are.
const (
	EventTypeNumber EventTypeForm = "number"
	EventTypeString EventTypeForm = "string"
)

// ReceiverAuth is what a receiver is told to let gatecast in: a user with a
// password, or a bearer token, or nothing.
type ReceiverAuth struct {
	Username string
	Password string
	Bearer   string
}

// Batch puts several events into one body, a JSON array.
type Batch struct {
	Max  int           // events of a body, up to 1000; 0 and 1: no batches
	Wait time.Duration // how long the first event waits for others, up to 1 min; 0: no longer than until it can be sent
}

// On reports whether bodies are arrays.
func (b Batch) On() bool { return b.Max > 1 }

// WithDefaults returns s with what is zero replaced.
func (s SubscriptionSettings) WithDefaults() SubscriptionSettings {
	if s.Order == "" {
		s.Order = OrderDevice
	}
	if s.Concurrency == 0 {
		s.Concurrency = 8
	}
	if s.Timeout == 0 {
		s.Timeout = 5 * time.Second
	}
	if s.Success == "" {
		s.Success = SuccessOK
	}
	if s.EventType == "" {
		s.EventType = EventTypeNumber
	}
	return s
}

// Clone returns a copy that shares nothing with s.
func (s SubscriptionSettings) Clone() SubscriptionSettings {
	s.Filter = s.Filter.Clone()
	s.Traits = TraitFilter{
		UserTypes: slices.Clone(s.Traits.UserTypes), AbnormalTypes: slices.Clone(s.Traits.AbnormalTypes),
		AlarmCodes: slices.Clone(s.Traits.AlarmCodes), AlarmLevels: slices.Clone(s.Traits.AlarmLevels),
	}
	s.Headers = maps.Clone(s.Headers)
	return s
}

// SubscriptionSpec is what somebody asks for who wants a new subscription.
type SubscriptionSpec struct {
	ID       string // empty: a new random one
	App      string // see [Subscription.App]
	Settings SubscriptionSettings
	Secret   string // "whsec_" and base64 of 24 to 64 bytes; empty: a new random one
	After    Seq
	Epoch    string
}

// DefaultSubscriptionID is the ID of an app's own subscription, of which there
// is one at most.
func DefaultSubscriptionID(app string) string { return subscriptionPrefix + app }

const subscriptionPrefix = "sub_"

// SubscriptionState is how the deliveries of a subscription stand.
type SubscriptionState struct {
	ID        string
	Status    SubscriptionStatus
	Since     time.Time // when Status became so
	Reason    string    // why it is retrying, degraded or paused
	NextTry   time.Time // when the endpoint is tried again; zero if it is not waiting
	Position  Seq       // everything up to here has been delivered, set aside or filtered out
	LagEvents uint64    // positions between Position and the newest event
	Lag       time.Duration
	Through   time.Time // complete through: everything stored before has been delivered, set aside or filtered out
	Pending   int       // events read and not yet delivered
	InFlight  int       // requests at this moment
	Delivered uint64    // events, ever
	Failed    uint64    // attempts, ever
	Dead      int       // dead letters kept
	Lost      uint64    // positions that retention removed before they could be sent, ever
	Recent    Recent
	Replay    *Replay // the running one, or the last one; nil if there was none
}

// SubscriptionStatus is what a subscription is doing.
type SubscriptionStatus string

// The statuses there are.
const (
	SubscriptionActive   SubscriptionStatus = "active"   // its endpoint takes what it is sent
	SubscriptionRetrying SubscriptionStatus = "retrying" // its endpoint failed a moment ago
	SubscriptionDegraded SubscriptionStatus = "degraded" // its endpoint fails, and is probed until it comes back
	SubscriptionPaused   SubscriptionStatus = "paused"   // nothing is sent until somebody resumes it
)

// Recent is how the latest attempts went, up to some hundred of them.
type Recent struct {
	Attempts  int
	Succeeded int
	P50       time.Duration // of the answers
	P99       time.Duration
}

// Replay sends a window of the journal to one subscription once more.
type Replay struct {
	ID       string
	From     Seq // after this position
	To       Seq // up to and with this one
	Position Seq // everything up to here is done
	Sent     uint64
	Started  time.Time
	Ended    time.Time // zero while it runs
	Canceled bool
}

// Progress is how far a subscription has got, as it is kept on disk.
type Progress struct {
	Epoch     string
	Head      Seq   // everything up to here has been read, and was delivered, set aside or filtered out, but for Pending
	Pending   []Seq // ascending, none beyond Head
	Delivered uint64
	Failed    uint64
	Lost      uint64
	Status    SubscriptionStatus
	Since     time.Time
	Reason    string
	Replay    *Replay
	Again     []Seq // events of Replay up to its Position that are not delivered yet, ascending
}

// Attempt is one request to a subscription's URL and what came of it.
type Attempt struct {
	Time    time.Time     // when it was sent
	Seq     Seq           // of its event, or the first of its events
	Events  int           // how many
	Message string        // webhook-id
	Try     int           // 1 for the first
	Status  int           // of the answer; 0: there was none
	Took    time.Duration // until the answer's headers, or until it failed
	Outcome Outcome
	Error   string // why it failed, in a sentence; empty if it did not
	Answer  []byte // the first KiB of the answer's body
	Replay  bool   // it was sent late, or once more
}

// Outcome is what an attempt means for its event.
type Outcome string

// The outcomes there are.
const (
	Delivered   Outcome = "delivered"
	Refused     Outcome = "refused" // the event itself: 400, 413, 422
	Unreachable Outcome = "failed"  // the endpoint: no answer, or any other status
	Gone        Outcome = "gone"    // 410: nobody wants this any more
)

// Exchange is an attempt with everything that crossed the wire.
type Exchange struct {
	Attempt
	URL           string
	Headers       map[string]string // of the request, without what lets gatecast in
	Body          []byte            // of the request
	AnswerHeaders map[string]string
}

// DeadLetter is an event that a subscription's receiver refused again and again
// and that was set aside.
type DeadLetter struct {
	Subscription string // ID
	Seq          Seq
	Event        Event     // as it was, also when retention has removed it from the journal
	First        time.Time // when it was first tried
	Tries        int
	Last         Exchange // the latest attempt
	SetAside     time.Time
}
