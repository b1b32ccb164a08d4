package api

import (
	"github.com/gatecast/gatecast"
)

// SourceSettingsBody is a source's settings as a request writes them. Their limits are
// left to gatecast.SourceSettings.
type SourceSettingsBody struct {
	Kind        change[gatecast.SourceKind] `json:"kind,omitzero" doc:"How events come: \"websocket\" (default; gatecast connects) or \"subscription\" (the server posts)"`
	URL         change[string]              `json:"url,omitzero" doc:"Of a websocket: where the server pushes, ws or wss, host and port" example:"ws://senselink.example:9000"`
	AppKey      change[string]              `json:"app_key,omitzero" doc:"Of an app of the server's; needed to connect and to ask"`
	AppSecret   change[string]              `json:"app_secret,omitzero" doc:"Of the same app; never shown again"`
	REST        change[*restBody]           `json:"rest,omitzero" doc:"How the server is asked what it has; null: never"`
	Company     change[int64]               `json:"company,omitzero" doc:"Take only events of this companyId, or without one; 0 for all"`
	Description change[string]              `json:"description,omitzero" doc:"For people, at most 200 characters"`
}

// restBody changes what it names, like the body around it.
type restBody struct {
	URL      change[string]             `json:"url,omitzero" doc:"http or https, host and port; null: never asked" example:"http://senselink.example:9000"`
	Style    change[gatecast.RESTStyle] `json:"style,omitzero" doc:"\"v5\" (default) or \"v4\""`
	Every    change[string]             `json:"every,omitzero" doc:"Between two looks, 10s to 24h; default 5m" example:"5m"`
	Lookback change[string]             `json:"lookback,omitzero" doc:"How far back the first look goes, up to 2160h; default 24h" example:"24h"`
	Zone     change[string]             `json:"zone,omitzero" doc:"Of the times in its questions and answers; default that of ingest.time_zone" example:"Asia/Tokyo"`
}

// apply changes s by what is given. It does not validate.
func (b *SourceSettingsBody) apply(s *gatecast.SourceSettings) error {
	b.Kind.to(&s.Kind)
	b.URL.to(&s.URL)
	b.AppKey.to(&s.AppKey)
	b.AppSecret.to(&s.AppSecret)
	b.Company.to(&s.Company)
	b.Description.to(&s.Description)
	switch {
	case !b.REST.given:
		return nil
	case b.REST.value == nil:
		s.REST = gatecast.SourceREST{}
		return nil
	}
	return b.REST.value.apply(&s.REST)
}

func (b *restBody) apply(r *gatecast.SourceREST) error {
	b.URL.to(&r.URL)
	b.Style.to(&r.Style)
	b.Zone.to(&r.Zone)
	var err error
	if b.Every.given {
		if r.Every, err = span("/rest/every", b.Every.value); err != nil {
			return err
		}
	}
	if b.Lookback.given {
		r.Lookback, err = span("/rest/lookback", b.Lookback.value)
	}
	return err
}
