package api

import (
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/webhook"
)

// subscriptionBody is a subscription as the API shows it.
type subscriptionBody struct {
	ID          string `json:"id" example:"sub_0123456789abcdef"`
	App         string `json:"app_key" doc:"Of the app whose view it has; empty if it may see everything"`
	URL         string `json:"url"`
	Description string `json:"description"`
	ShownChoice
	ShownPace
	ShownForm
	Created   time.Time         `json:"created"`
	Paused    string            `json:"paused" doc:"Why nothing is sent until somebody resumes it; empty if it is not paused"`
	Secrets   []shownSecret     `json:"secrets" nullable:"false" doc:"The valid secrets, newest first"`
	PublicKey string            `json:"public_key,omitempty" doc:"Verifies v1a signatures, if ed25519 is on"`
	State     subscriptionState `json:"state"`
	Freshness FreshnessBody     `json:"freshness" doc:"The same in the words for devices: live, quiet, stale, dead"`
}

// ShownChoice is which events it is sent.
type ShownChoice struct {
	Kinds         []gatecast.Kind `json:"kinds" nullable:"false" doc:"Empty means record and alarm"`
	Devices       []string        `json:"devices" nullable:"false"`
	Groups        []int64         `json:"groups" nullable:"false"`
	UserTypes     []int           `json:"user_types" nullable:"false"`
	AbnormalTypes []int           `json:"abnormal_types" nullable:"false"`
	AlarmCodes    []int           `json:"alarm_codes" nullable:"false"`
	AlarmLevels   []int           `json:"alarm_levels" nullable:"false"`
}

// ShownPace is how fast and in what order it is sent them.
type ShownPace struct {
	Order       gatecast.Order   `json:"order" doc:"per-device, strict, none"`
	Concurrency int              `json:"concurrency" doc:"Requests at once"`
	Rate        int              `json:"rate" doc:"Requests per second; 0 for no limit"`
	CatchUpRate int              `json:"catch_up_rate"`
	Timeout     string           `json:"timeout" example:"5s"`
	Success     gatecast.Success `json:"success" doc:"200, 2xx"`
	Batch       shownBatch       `json:"batch"`
}

type shownBatch struct {
	Max  int    `json:"max" doc:"Events of a body; 0 and 1 for no batches"`
	Wait string `json:"wait" example:"200ms"`
}

// ShownForm is what its requests look like.
type ShownForm struct {
	Headers    map[string]string      `json:"headers" doc:"With \"***\" for each value"`
	Auth       shownAuth              `json:"auth"`
	EventType  gatecast.EventTypeForm `json:"event_type" doc:"number, string"`
	OwnFields  bool                   `json:"own_fields"`
	MarkReplay bool                   `json:"mark_replay"`
	Ed25519    bool                   `json:"ed25519"`
}

type shownAuth struct {
	Type     string `json:"type" doc:"basic, bearer, none"`
	Username string `json:"username,omitempty"`
}

type shownSecret struct {
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty" doc:"Absent: never"`
	Secret  string     `json:"secret,omitempty" doc:"The secret itself; only after create and rotate"`
}

// show is a subscription without any secret's value.
func (s *server) show(sub *gatecast.Subscription) (subscriptionBody, error) {
	set, state := sub.Settings, s.state(sub)
	b := subscriptionBody{
		ID: sub.ID, App: sub.App, URL: set.URL, Description: set.Description,
		ShownChoice: ShownChoice{
			Kinds: list(set.Filter.Kinds), Devices: list(set.Filter.Devices), Groups: list(set.Filter.Groups),
			UserTypes: list(set.Traits.UserTypes), AbnormalTypes: list(set.Traits.AbnormalTypes),
			AlarmCodes: list(set.Traits.AlarmCodes), AlarmLevels: list(set.Traits.AlarmLevels),
		},
		ShownPace: ShownPace{
			Order: set.Order, Concurrency: set.Concurrency, Rate: set.Rate, CatchUpRate: set.CatchUpRate,
			Timeout: set.Timeout.String(), Success: set.Success,
			Batch: shownBatch{Max: set.Batch.Max, Wait: set.Batch.Wait.String()},
		},
		ShownForm: ShownForm{
			Headers: map[string]string{}, Auth: showAuth(set.Auth), EventType: set.EventType,
			OwnFields: set.OwnFields, MarkReplay: set.MarkReplay, Ed25519: set.Ed25519,
		},
		Created: sub.Created, Paused: sub.Paused, Secrets: make([]shownSecret, len(sub.Secrets)),
		State: showState(state), Freshness: showFreshness(subscriptionFreshness(state, time.Now())),
	}
	for name := range set.Headers {
		b.Headers[name] = hidden
	}
	for i, secret := range sub.Secrets {
		b.Secrets[i] = shownSecret{Created: secret.Created, Expires: unlessZero(secret.Expires)}
	}
	var err error
	if set.Ed25519 {
		b.PublicKey, err = publicKey(sub)
	}
	return b, err
}

// state is how the deliveries stand, also before whoever sends has heard of the
// subscription, of its pause, or of that pause's end.
func (s *server) state(sub *gatecast.Subscription) gatecast.SubscriptionState {
	st := s.opts.Hooks.Deliveries.State(sub.ID)
	if st.Status == "" {
		st.Position = sub.After
	}
	if heard := st.Status == gatecast.SubscriptionPaused; st.Status == "" || heard != (sub.Paused != "") {
		st.Status, st.Since, st.Reason, st.NextTry = gatecast.SubscriptionActive, time.Time{}, "", time.Time{}
	}
	if sub.Paused != "" {
		st.Status, st.Reason = gatecast.SubscriptionPaused, sub.Paused
	}
	return st
}

// showSecrets is show with the values of the secrets, for whoever must tell the
// receiver.
func (s *server) showSecrets(sub *gatecast.Subscription) (subscriptionBody, error) {
	b, err := s.show(sub)
	for i, secret := range sub.Secrets {
		b.Secrets[i].Secret = secret.Value
	}
	return b, err
}

// publicKey is the newest one, or nothing if there is none.
func publicKey(sub *gatecast.Subscription) (string, error) {
	if len(sub.Keys) == 0 {
		return "", nil
	}
	return webhook.PublicKey(sub.Keys[0].Value)
}

func showAuth(a gatecast.ReceiverAuth) shownAuth {
	switch {
	case a.Bearer != "":
		return shownAuth{Type: "bearer"}
	case a.Username != "":
		return shownAuth{Type: "basic", Username: a.Username}
	}
	return shownAuth{Type: "none"}
}

// list is never null in JSON.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
