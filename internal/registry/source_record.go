package registry

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gatecast/gatecast"
)

// sourceRecord is how a source lies in the store.
type sourceRecord struct {
	V           int                 `json:"v"`
	Name        string              `json:"name"`
	Kind        gatecast.SourceKind `json:"kind"`
	Description string              `json:"description,omitempty"`
	Company     int64               `json:"company,omitempty"`
	URL         string              `json:"url,omitempty"`
	AppKey      string              `json:"app_key,omitempty"`
	REST        restRecord          `json:"rest"`
	Private     sourcePrivate       `json:"private"`
	Paused      string              `json:"paused,omitempty"`
	Created     time.Time           `json:"created"`
}

type restRecord struct {
	URL      string             `json:"url,omitempty"`
	Style    gatecast.RESTStyle `json:"style"`
	Every    string             `json:"every"`
	Lookback string             `json:"lookback"`
	Zone     string             `json:"zone,omitempty"`
}

// sourcePrivate is what lies in the store encrypted: nonce and ciphertext, see
// sealer. What a source does not have is absent.
type sourcePrivate struct {
	Secret []byte         `json:"app_secret,omitempty"`
	Token  []byte         `json:"token,omitempty"`
	Former []sealedSecret `json:"former_token,omitempty"` // one at most
}

func sourceSecret(name string) binding { return binding{"source secret", name} }
func sourceToken(name string) binding  { return binding{"source token", name} }
func sourceFormer(name string) binding { return binding{"former source token", name} }

func encodeSource(s *gatecast.Source, seal *sealer) ([]byte, error) {
	set := s.Settings
	var former []gatecast.Secret
	if s.Former.Value != "" {
		former = []gatecast.Secret{s.Former}
	}
	return json.Marshal(sourceRecord{
		V: recordVersion, Name: s.Name, Kind: set.Kind, Description: set.Description, Company: set.Company,
		URL: set.URL, AppKey: set.AppKey,
		REST: restRecord{
			URL: set.REST.URL, Style: set.REST.Style, Every: set.REST.Every.String(), Lookback: set.REST.Lookback.String(), Zone: set.REST.Zone,
		},
		Private: sourcePrivate{
			Secret: seal.unlessEmpty(sourceSecret(s.Name), set.AppSecret), Token: seal.unlessEmpty(sourceToken(s.Name), s.Token),
			Former: seal.secrets(sourceFormer(s.Name), former),
		},
		Paused: s.Paused, Created: s.Created,
	})
}

func decodeSource(value []byte, seal *sealer) (*gatecast.Source, error) {
	var rec sourceRecord
	if err := unmarshal(value, &rec, &rec.V); err != nil {
		return nil, err
	}
	s := &gatecast.Source{Name: rec.Name, Paused: rec.Paused, Created: rec.Created, Settings: gatecast.SourceSettings{
		Kind: rec.Kind, Description: rec.Description, Company: rec.Company, URL: rec.URL, AppKey: rec.AppKey,
	}}
	var err error
	if s.Settings.REST, err = rec.REST.settings(); err != nil {
		return nil, err
	}
	if s.Settings.AppSecret, err = seal.openUnlessEmpty(sourceSecret(s.Name), rec.Private.Secret); err != nil {
		return nil, err
	}
	if s.Token, err = seal.openUnlessEmpty(sourceToken(s.Name), rec.Private.Token); err != nil {
		return nil, err
	}
	former, err := seal.openSecrets(sourceFormer(s.Name), rec.Private.Former)
	if err != nil {
		return nil, err
	}
	if len(former) > 0 {
		s.Former = former[0]
	}
	if (s.Token != "") != (rec.Kind == gatecast.SourceSubscription) {
		return nil, fmt.Errorf("source %s is of the kind %q and has a token: %v", rec.Name, rec.Kind, s.Token != "")
	}
	return s, gatecast.SourceSpec{Name: s.Name, Settings: s.Settings}.Validate()
}

func (rec *restRecord) settings() (gatecast.SourceREST, error) {
	r := gatecast.SourceREST{URL: rec.URL, Style: rec.Style, Zone: rec.Zone}
	var err error
	if r.Every, err = time.ParseDuration(rec.Every); err != nil {
		return r, fmt.Errorf("read time between two looks: %w", err)
	}
	if r.Lookback, err = time.ParseDuration(rec.Lookback); err != nil {
		return r, fmt.Errorf("read reach of the first look: %w", err)
	}
	return r, nil
}
