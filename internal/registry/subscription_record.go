package registry

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
)

// subscriptionRecord is how a subscription lies in the store.
type subscriptionRecord struct {
	V        int            `json:"v"`
	ID       string         `json:"id"`
	App      string         `json:"app_key,omitempty"`
	Settings settingsRecord `json:"settings"`
	Private  []byte         `json:"private"` // a privateRecord: nonce and ciphertext; see sealer
	Secrets  []sealedSecret `json:"secrets"` // newest first
	Keys     []sealedSecret `json:"keys"`    // newest first
	After    gatecast.Seq   `json:"after"`
	Epoch    string         `json:"epoch"`
	Paused   string         `json:"paused,omitempty"`
	Created  time.Time      `json:"created"`
}

// settingsRecord holds of the settings what anybody may read who may read the
// bucket.
type settingsRecord struct {
	URL         string           `json:"url"`
	Description string           `json:"description,omitempty"`
	Filter      filterRecord     `json:"filter,omitzero"`
	Order       gatecast.Order   `json:"order"`
	Pace        paceRecord       `json:"pace"`
	Success     gatecast.Success `json:"success"`
	Form        formRecord       `json:"form"`
}

type filterRecord struct {
	Kinds         []gatecast.Kind `json:"kinds,omitempty"`
	Devices       []string        `json:"devices,omitempty"`
	Groups        []int64         `json:"groups,omitempty"`
	UserTypes     []int           `json:"user_types,omitempty"`
	AbnormalTypes []int           `json:"abnormal_types,omitempty"`
	AlarmCodes    []int           `json:"alarm_codes,omitempty"`
	AlarmLevels   []int           `json:"alarm_levels,omitempty"`
}

type paceRecord struct {
	Concurrency int    `json:"concurrency"`
	Rate        int    `json:"rate,omitempty"`
	CatchUpRate int    `json:"catch_up_rate,omitempty"`
	Timeout     string `json:"timeout"`
	BatchMax    int    `json:"batch_max,omitempty"`
	BatchWait   string `json:"batch_wait"`
}

type formRecord struct {
	EventType  gatecast.EventTypeForm `json:"event_type"`
	OwnFields  bool                   `json:"own_fields,omitempty"`
	MarkReplay bool                   `json:"mark_replay,omitempty"`
	Ed25519    bool                   `json:"ed25519,omitempty"`
}

// privateRecord is what lets gatecast in at the receiver. It lies in the store
// encrypted, names and all.
type privateRecord struct {
	Headers  map[string]string `json:"headers,omitempty"`
	Username string            `json:"username,omitempty"`
	Password string            `json:"password,omitempty"`
	Bearer   string            `json:"bearer,omitempty"`
}

func subscriptionSecret(id string) binding  { return binding{"subscription secret", id} }
func subscriptionKey(id string) binding     { return binding{"subscription key", id} }
func subscriptionPrivate(id string) binding { return binding{"subscription credentials", id} }

func encodeSubscription(s *gatecast.Subscription, seal *sealer) ([]byte, error) {
	auth := s.Settings.Auth
	private, err := json.Marshal(privateRecord{
		Headers: s.Settings.Headers, Username: auth.Username, Password: auth.Password, Bearer: auth.Bearer,
	})
	if err != nil {
		return nil, err
	}
	return json.Marshal(subscriptionRecord{
		V: recordVersion, ID: s.ID, App: s.App, Settings: recordSettings(s.Settings),
		Private: seal.seal(subscriptionPrivate(s.ID), private),
		Secrets: seal.secrets(subscriptionSecret(s.ID), s.Secrets),
		Keys:    seal.secrets(subscriptionKey(s.ID), s.Keys),
		After:   s.After, Epoch: s.Epoch, Paused: s.Paused, Created: s.Created,
	})
}

func decodeSubscription(value []byte, seal *sealer) (*gatecast.Subscription, error) {
	var rec subscriptionRecord
	if err := unmarshal(value, &rec, &rec.V); err != nil {
		return nil, err
	}
	if !gatecast.ValidSubscriptionID(rec.ID) || len(rec.Secrets) == 0 || len(rec.Keys) == 0 {
		return nil, fmt.Errorf("subscription %q has no valid id, no secret or no key", rec.ID)
	}
	s := &gatecast.Subscription{ID: rec.ID, App: rec.App, After: rec.After, Epoch: rec.Epoch, Paused: rec.Paused, Created: rec.Created}
	var err error
	if s.Settings, err = rec.Settings.settings(); err != nil {
		return nil, err
	}
	if err := rec.openPrivate(&s.Settings, seal); err != nil {
		return nil, err
	}
	if s.Secrets, err = seal.openSecrets(subscriptionSecret(s.ID), rec.Secrets); err != nil {
		return nil, err
	}
	if s.Keys, err = seal.openSecrets(subscriptionKey(s.ID), rec.Keys); err != nil {
		return nil, err
	}
	return s, s.Settings.Validate()
}

func (rec *subscriptionRecord) openPrivate(s *gatecast.SubscriptionSettings, seal *sealer) error {
	plain, err := seal.open(subscriptionPrivate(rec.ID), rec.Private)
	if err != nil {
		return err
	}
	var private privateRecord
	if err := json.Unmarshal(plain, &private); err != nil {
		return fmt.Errorf("decode credentials of subscription %s", rec.ID) // the cause would repeat some of them
	}
	s.Headers = private.Headers
	s.Auth = gatecast.ReceiverAuth{Username: private.Username, Password: private.Password, Bearer: private.Bearer}
	return nil
}

func recordSettings(s gatecast.SubscriptionSettings) settingsRecord {
	return settingsRecord{
		URL: s.URL, Description: s.Description, Order: s.Order, Success: s.Success,
		Filter: filterRecord{
			Kinds: s.Filter.Kinds, Devices: s.Filter.Devices, Groups: s.Filter.Groups,
			UserTypes: s.Traits.UserTypes, AbnormalTypes: s.Traits.AbnormalTypes,
			AlarmCodes: s.Traits.AlarmCodes, AlarmLevels: s.Traits.AlarmLevels,
		},
		Pace: paceRecord{
			Concurrency: s.Concurrency, Rate: s.Rate, CatchUpRate: s.CatchUpRate, Timeout: s.Timeout.String(),
			BatchMax: s.Batch.Max, BatchWait: s.Batch.Wait.String(),
		},
		Form: formRecord{EventType: s.EventType, OwnFields: s.OwnFields, MarkReplay: s.MarkReplay, Ed25519: s.Ed25519},
	}
}

func (rec *settingsRecord) settings() (gatecast.SubscriptionSettings, error) {
	f, p := rec.Filter, rec.Pace
	s := gatecast.SubscriptionSettings{
		URL: rec.URL, Description: rec.Description, Order: rec.Order, Success: rec.Success,
		Filter:      gatecast.Filter{Kinds: f.Kinds, Devices: f.Devices, Groups: f.Groups},
		Traits:      gatecast.TraitFilter{UserTypes: f.UserTypes, AbnormalTypes: f.AbnormalTypes, AlarmCodes: f.AlarmCodes, AlarmLevels: f.AlarmLevels},
		Concurrency: p.Concurrency, Rate: p.Rate, CatchUpRate: p.CatchUpRate, Batch: gatecast.Batch{Max: p.BatchMax},
		EventType: rec.Form.EventType, OwnFields: rec.Form.OwnFields, MarkReplay: rec.Form.MarkReplay, Ed25519: rec.Form.Ed25519,
	}
	var err error
	if s.Timeout, err = time.ParseDuration(p.Timeout); err != nil {
		return s, fmt.Errorf("read timeout: %w", err)
	}
	if s.Batch.Wait, err = time.ParseDuration(p.BatchWait); err != nil {
		return s, fmt.Errorf("read wait of a batch: %w", err)
	}
	return s, nil
}
