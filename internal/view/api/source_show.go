package api

import (
	"time"

	"github.com/gatecast/gatecast"
)

// sourceBody is a source as the API shows it. Its secret is never shown.
type sourceBody struct {
	Name        string              `json:"name"`
	Kind        gatecast.SourceKind `json:"kind" doc:"websocket, subscription"`
	URL         string              `json:"url" doc:"Where gatecast connects to; empty if the server posts"`
	AppKey      string              `json:"app_key"`
	REST        shownREST           `json:"rest"`
	Company     int64               `json:"company" doc:"Only events of this companyId, or without one, are taken; 0 for all"`
	Description string              `json:"description"`
	Created     time.Time           `json:"created"`
	Paused      string              `json:"paused" doc:"Why nothing is taken until somebody resumes it; empty if it is not paused"`
	Path        string              `json:"path,omitempty" doc:"Where the server posts to, on this server, a secret; only after create and rotate"`
	Former      *time.Time          `json:"former_path_until,omitempty" doc:"Until when the path of before the last rotation is good, too"`
	State       sourceState         `json:"state"`
	Freshness   FreshnessBody       `json:"freshness" doc:"What the silence of its devices, all together, means"`
}

type shownREST struct {
	URL      string             `json:"url" doc:"Empty if the server is never asked"`
	Style    gatecast.RESTStyle `json:"style" doc:"v4, v5"`
	Every    string             `json:"every" example:"5m0s"`
	Lookback string             `json:"lookback" example:"24h0m0s"`
	Zone     string             `json:"zone" doc:"Empty: that of ingest.time_zone"`
}

// sourceState is how a source stands.
type sourceState struct {
	Status    gatecast.SourceStatus `json:"status" doc:"live, waiting (nothing was posted yet), connecting, refused, stalled, paused, elsewhere (another node of the cluster follows it)"`
	Since     *time.Time            `json:"since,omitempty" doc:"When status became so"`
	Reason    string                `json:"reason,omitempty" doc:"Why it is not live"`
	LastEvent *time.Time            `json:"last_event,omitempty" doc:"When an event last came; absent if none has since the start"`
	LastSign  *time.Time            `json:"last_sign,omitempty" doc:"When anything last came, such as a heartbeat"`
	Events    uint64                `json:"events" doc:"Taken since the start"`
	Rubbish   uint64                `json:"rubbish" doc:"Not understood since the start"`
	Statement StatementBody         `json:"statement"`
	Post      *postBody             `json:"post,omitempty" doc:"The latest, of a server that posts; absent if there was none since the start"`
}

// postBody is what a server posted, and what was made of it.
type postBody struct {
	At          time.Time    `json:"at"`
	From        string       `json:"from" doc:"Address it came from; behind a proxy, the proxy's"`
	Size        int          `json:"size" doc:"Of the body, in bytes"`
	Events      int          `json:"events" doc:"Understood, and meant for this source"`
	Accepted    int          `json:"accepted" doc:"Of them, newly stored"`
	First       gatecast.Seq `json:"first,omitempty" doc:"Position of the first of these"`
	Kind        string       `json:"kind,omitempty" doc:"Of the first event: record, alarm"`
	Device      string       `json:"device,omitempty" doc:"LDID of the first event"`
	Error       string       `json:"error,omitempty" doc:"Why it was refused; absent: it was answered with 200"`
	Quarantined bool         `json:"quarantined" doc:"It could not be understood, and is in quarantine"`
}

// StatementBody is what is known of a source's completeness.
type StatementBody struct {
	Through *time.Time `json:"complete_through,omitempty" doc:"Every event the source has of before is here; absent: nothing can be said"`
	Looked  *time.Time `json:"looked,omitempty" doc:"When it was last asked"`
	Error   string     `json:"error,omitempty" doc:"Why the latest look failed"`

	Withheld string `json:"withheld,omitempty" doc:"Why the latest look, which did not fail, has not moved complete_through"`
	Filled   uint64 `json:"filled" doc:"Events that were not pushed and that a look has filled in, ever"`
	Lost     uint64 `json:"lost" doc:"Events that the source lost before they could be fetched, as far as their numbers tell, ever"`
	SetAside uint64 `json:"set_aside" doc:"Rows of the latest look that could not be understood; they are in the quarantine"`
	NotOurs  uint64 `json:"not_ours" doc:"Numbers between those of its events under which it lists nothing: other companies', or never given"`
}

func (s *server) showSource(src *gatecast.Source) sourceBody {
	set := src.Settings
	return sourceBody{
		Name: src.Name, Kind: set.Kind, URL: set.URL, AppKey: set.AppKey, Company: set.Company, Description: set.Description,
		REST: shownREST{
			URL: set.REST.URL, Style: set.REST.Style, Every: set.REST.Every.String(), Lookback: set.REST.Lookback.String(), Zone: set.REST.Zone,
		},
		Created: src.Created, Paused: src.Paused, Former: unlessZero(src.Former.Expires), State: showSourceState(s.sourceState(src)),
		Freshness: showFreshness(s.opts.Devices.SourceFreshness(src.Name)),
	}
}

// sourceState is how a source stands, also before whoever follows it has heard
// of it, of its pause, or of that pause's end.
func (s *server) sourceState(src *gatecast.Source) gatecast.SourceState {
	st := s.opts.Upstreams.States.State(src.Name)
	if heard := st.Status == gatecast.SourcePaused; st.Status == "" || heard != (src.Paused != "") {
		st.Status, st.Since, st.Reason = gatecast.SourceConnecting, time.Time{}, ""
		if src.Settings.Kind == gatecast.SourceSubscription {
			st.Status = gatecast.SourceWaiting
		}
	}
	if src.Paused != "" {
		st.Status, st.Reason = gatecast.SourcePaused, src.Paused
	}
	return st
}

func showSourceState(st gatecast.SourceState) sourceState {
	return sourceState{
		Status: st.Status, Since: unlessZero(st.Since), Reason: st.Reason, LastEvent: unlessZero(st.LastEvent), LastSign: unlessZero(st.LastSign),
		Events: st.Events, Rubbish: st.Rubbish, Statement: showStatement(st.Statement), Post: showPost(st.Post),
	}
}

func showPost(p *gatecast.SourcePost) *postBody {
	if p == nil {
		return nil
	}
	b := &postBody{
		At: p.At.UTC(), From: p.From, Size: p.Size, Events: p.Events, Accepted: p.Accepted, First: p.First,
		Device: text([]byte(p.Device)), Error: text([]byte(p.Error)), Quarantined: p.Quarantined,
	}
	if p.Events > 0 {
		b.Kind = p.Kind.String()
	}
	return b
}

func showStatement(s gatecast.Statement) StatementBody {
	return StatementBody{
		Through: unlessZero(s.Through), Looked: unlessZero(s.Looked), Error: s.Error, Withheld: s.Withheld,
		Filled: s.Filled, Lost: s.Lost, SetAside: s.SetAside, NotOurs: s.NotOurs,
	}
}

// ingestPath is where a source posts to, on this server.
func ingestPath(src *gatecast.Source) string {
	if src.Token == "" {
		return ""
	}
	return ingestPrefix + src.Token
}

// ingestPrefix is the path of source/push for servers that post.
const ingestPrefix = "/ingest/senselink/"
