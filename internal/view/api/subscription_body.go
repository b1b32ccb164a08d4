package api

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
)

// SettingsBody is a subscription's settings as a request writes them. Their
// limits are left to gatecast.SubscriptionSettings, so that every way in refuses
// them in the same words.
//
// It is exported, as everything is that another body has as its part: huma
// leaves parts out whose names are not.
type SettingsBody struct {
	URL         change[string] `json:"url,omitzero" doc:"Where events are posted to: http or https, without user and fragment, at most 2048 bytes" example:"https://host.example/events"`
	Description change[string] `json:"description,omitzero" doc:"For people, at most 200 characters"`
	ChoiceBody
	PaceBody
	FormBody
}

// ChoiceBody is which events a subscription is sent.
type ChoiceBody struct {
	Kinds         change[[]gatecast.Kind] `json:"kinds,omitzero" doc:"30000 (record), 30100 (alarm), 50000 (notice); empty means record and alarm"`
	Devices       change[[]string]        `json:"devices,omitzero" doc:"LDIDs; empty means every device"`
	Groups        change[[]int64]         `json:"groups,omitzero" doc:"IDs of groups of persons; alarms have none"`
	UserTypes     change[[]int]           `json:"user_types,omitzero" doc:"Of records: 1 employee, 2 visitor, 3 stranger"`
	AbnormalTypes change[[]int]           `json:"abnormal_types,omitzero" doc:"Of records: 0 none, else the vendor's code"`
	AlarmCodes    change[[]int]           `json:"alarm_codes,omitzero" doc:"Of alarms"`
	AlarmLevels   change[[]int]           `json:"alarm_levels,omitzero" doc:"Of alarms: 1 alert, 2 abnormality"`
}

// PaceBody is how fast and in what order it is sent them.
type PaceBody struct {
	Order       change[gatecast.Order]   `json:"order,omitzero" doc:"\"per-device\" (default), \"strict\" or \"none\""`
	Concurrency change[int]              `json:"concurrency,omitzero" doc:"Requests at once, 1 to 256; default 8"`
	Rate        change[int]              `json:"rate,omitzero" doc:"Requests per second; 0 for no limit"`
	CatchUpRate change[int]              `json:"catch_up_rate,omitzero" doc:"The same for what was stored before the endpoint came back, and for replays; 0 for no limit but rate"`
	Timeout     change[string]           `json:"timeout,omitzero" doc:"Of one request, 100ms to 1m; default 5s" example:"5s"`
	Success     change[gatecast.Success] `json:"success,omitzero" doc:"Which status says that an event has been received: \"200\" (default) or \"2xx\""`
	Batch       change[batchBody]        `json:"batch,omitzero" doc:"Several events in one body, a JSON array"`
}

type batchBody struct {
	Max  int    `json:"max,omitempty" doc:"Events of a body, up to 1000; 0 and 1 for no batches"`
	Wait string `json:"wait,omitempty" doc:"How long the first event waits for others, up to 1m" example:"200ms"`
}

// FormBody is what its requests look like.
type FormBody struct {
	Headers   change[map[string]string]      `json:"headers,omitzero" doc:"Sent with each request; \"***\" keeps the value that a header has"`
	Auth      change[authBody]               `json:"auth,omitzero" doc:"What lets gatecast in: username and password, or bearer"`
	EventType change[gatecast.EventTypeForm] `json:"event_type,omitzero" doc:"How eventType stands in the body: \"number\" (default) or \"string\""`
	OwnFields change[bool]                   `json:"own_fields,omitzero" doc:"The body carries seq, epoch and, where it is true, late too"`
	Replay    change[bool]                   `json:"mark_replay,omitzero" doc:"What is sent late carries the header gatecast-replay"`
	Ed25519   change[bool]                   `json:"ed25519,omitzero" doc:"Requests are signed by v1a too"`
}

type authBody struct {
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	Bearer   string `json:"bearer,omitempty"`
}

// hidden stands in an answer for the value of a header, and in a request for
// the value that the header has already.
const hidden = "***"

// apply changes s by what is given; known are the headers that hidden may stand
// for. It does not validate.
func (b *SettingsBody) apply(s *gatecast.SubscriptionSettings, known map[string]string) error {
	b.URL.to(&s.URL)
	b.Description.to(&s.Description)
	b.ChoiceBody.apply(s)
	if err := b.PaceBody.apply(s); err != nil {
		return err
	}
	return b.FormBody.apply(s, known)
}

func (b *ChoiceBody) apply(s *gatecast.SubscriptionSettings) {
	b.Kinds.to(&s.Filter.Kinds)
	b.Devices.to(&s.Filter.Devices)
	b.Groups.to(&s.Filter.Groups)
	b.UserTypes.to(&s.Traits.UserTypes)
	b.AbnormalTypes.to(&s.Traits.AbnormalTypes)
	b.AlarmCodes.to(&s.Traits.AlarmCodes)
	b.AlarmLevels.to(&s.Traits.AlarmLevels)
}

func (b *PaceBody) apply(s *gatecast.SubscriptionSettings) error {
	b.Order.to(&s.Order)
	b.Concurrency.to(&s.Concurrency)
	b.Rate.to(&s.Rate)
	b.CatchUpRate.to(&s.CatchUpRate)
	b.Success.to(&s.Success)
	if b.Timeout.given {
		var err error
		if s.Timeout, err = span("/timeout", b.Timeout.value); err != nil {
			return err
		}
	}
	if b.Batch.given {
		wait, err := span("/batch/wait", b.Batch.value.Wait)
		if err != nil {
			return err
		}
		s.Batch = gatecast.Batch{Max: b.Batch.value.Max, Wait: wait}
	}
	return nil
}

func (b *FormBody) apply(s *gatecast.SubscriptionSettings, known map[string]string) error {
	b.EventType.to(&s.EventType)
	b.OwnFields.to(&s.OwnFields)
	b.Replay.to(&s.MarkReplay)
	b.Ed25519.to(&s.Ed25519)
	if b.Auth.given {
		s.Auth = gatecast.ReceiverAuth(b.Auth.value)
	}
	if !b.Headers.given {
		return nil
	}
	var err error
	s.Headers, err = headers(b.Headers.value, known)
	return err
}

// headers returns what a request asks for, with the values it does not say. Two
// spellings of one name are refused: which of them is sent would be chance.
func headers(asked, known map[string]string) (map[string]string, error) {
	told := map[string]string{} // by canonical name
	for name, value := range known {
		told[http.CanonicalHeaderKey(name)] = value
	}
	seen := map[string]bool{}
	all := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		canonical := http.CanonicalHeaderKey(name)
		if seen[canonical] {
			return nil, invalid("/headers/"+shorten(name), canonical, "every header once", "the header is listed twice")
		}
		seen[canonical] = true
		all[name] = asked[name]
		if asked[name] != hidden {
			continue
		}
		value, ok := told[canonical]
		if !ok {
			return nil, invalid("/headers/"+shorten(name), "", "its value", "there is no such header yet whose value could stay")
		}
		all[name] = value
	}
	return all, nil
}

// span reads a duration; nothing is none.
func span(path, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := gatecast.ParseDuration(text)
	if err != nil {
		return 0, invalid(path, text, `a duration such as "5s"`, "this is not a duration")
	}
	return d, nil
}
