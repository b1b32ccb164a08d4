package gatecast

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// Source is a SenseLink server that gatecast takes events from.
type Source struct {
	Name     string // 1 to 32 of a-z, 0-9 and '-', a letter first; part of its events' IDs, so it never changes
	Settings SourceSettings
	Token    string // [SourceSubscription]: the secret end of the URL that the server posts to
	Former   Secret // [SourceSubscription]: the token before it, good until it expires; zero: there is none
	Paused   string // why nothing is taken from it until somebody resumes it; empty: it is not paused
	Created  time.Time
}

// SourceSettings is what can be changed of a source at any time.
type SourceSettings struct {
	Kind        SourceKind
	Description string // for people, at most 200 characters
	Company     int64  // only events with this companyId or without any are taken; 0: all
	// URL is where the server pushes: ws or wss, host and port, for [SourceWebSocket].
	URL       string
	AppKey    string
	AppSecret string
	REST      SourceREST
}

// SourceKind is how events come from a source.
type SourceKind string

// The kinds there are.
const (
	SourceWebSocket    SourceKind = "websocket"    // gatecast connects to the server, as any client of its push
	SourceSubscription SourceKind = "subscription" // the server posts to gatecast
)

// SourceREST is how a source is asked what it has. Without URL it is never
// asked, and nobody can say whether anything is missing.
type SourceREST struct {
	URL      string        // http or https, host and port
	Style    RESTStyle     // default RESTv5
	Every    time.Duration // between two looks, 10 s to 24 h; default 5 min
	Lookback time.Duration // how far back the first look goes, up to 90 days; default 24 h
	Zone     string        // of the times in its questions and answers; default the server's own, see ingest.time_zone
}

// RESTStyle is which of the vendor's interfaces a source has.
type RESTStyle string

// The styles there are.
const (
	RESTv4 RESTStyle = "v4" // signature in the query; /api/v5/record/list with snake_case answers, /api/v2/device/alarm/list
	RESTv5 RESTStyle = "v5" // signature in headers; /sl/api/v5/records with camelCase answers, /api/v2/device/alarm/list
)

// SourceSpec is what somebody asks for who wants a new source.
type SourceSpec struct {
	Name     string
	Settings SourceSettings
}

// UpstreamID is the ID of an event of a source. An alarm is pushed again with
// each of its states, so its status is part of it. An event without a number of
// the vendor's is known by its data.
func UpstreamID(source string, k Kind, id, status int64, data []byte) string {
	switch {
	case id <= 0:
		sum := sha256.Sum256(data)
		return source + ":" + k.String() + ":#" + hex.EncodeToString(sum[:16])
	case k == Alarm:
		return source + ":alarm:" + strconv.FormatInt(id, 10) + ":" + strconv.FormatInt(status, 10)
	}
	return source + ":" + k.String() + ":" + strconv.FormatInt(id, 10)
}

// IsUpstreamID reports whether an ID looks like one that [UpstreamID] makes.
// Nobody but the source of that name may bring an event under it: what came
// first under an ID stays.
func IsUpstreamID(id string) bool {
	name, rest, found := strings.Cut(id, ":")
	return found && ValidSourceName(name) && (strings.HasPrefix(rest, "record:") || strings.HasPrefix(rest, "alarm:"))
}

// SourceState is how a source stands at one moment.
type SourceState struct {
	Name      string
	Status    SourceStatus
	Since     time.Time // when Status became so
	Reason    string    // why it is not live
	LastEvent time.Time // when an event last came from it; zero if none has since the start
	LastSign  time.Time // when anything last came from it, such as a heartbeat
	Events    uint64    // taken from it since the start
	Rubbish   uint64    // not understood since the start
	Statement Statement
	Post      *SourcePost // the latest of a server that posts; nil: there was none since the start
}

// SourcePost is what a server posted, and what was made of it.
type SourcePost struct {
	At          time.Time
	From        string // the address it came from, as this server sees it: behind a proxy, the proxy's
	Size        int    // of the body as far as it was read, in bytes
	Events      int    // understood, and meant for this source
	Accepted    int    // of them, newly stored
	First       Seq    // position of the first of these; 0: there is none
	Kind        Kind   // of the first event
	Device      string // LDID of the first event
	Error       string // why it was refused; empty: it was answered with 200
	Quarantined bool   // it could not be understood, and is kept
}

// SourceStatus is what is going on with a source.
type SourceStatus string

// The statuses there are.
const (
	SourceLive       SourceStatus = "live"       // connected, and heard of
	SourceWaiting    SourceStatus = "waiting"    // nothing was posted by it yet
	SourceConnecting SourceStatus = "connecting" // not connected, trying
	SourceRefused    SourceStatus = "refused"    // it does not let us in; tried again slowly
	SourceStalled    SourceStatus = "stalled"    // connected, and it has events that it does not push
	SourcePaused     SourceStatus = "paused"
	SourceElsewhere  SourceStatus = "elsewhere" // another node of the cluster follows it
)

// Statement is what is known of a source's completeness.
type Statement struct {
	Through time.Time // every event of before that the source had by then is in the journal; zero: nothing can be said
	Looked  time.Time // when it was last asked
	Error   string    // why the latest look failed; empty if it did not
	// Withheld is why the latest look, which did not fail, has not moved Through:
	// nobody can say what its answers are worth. Empty if it has.
	Withheld string
	Filled   uint64 // events that the push missed and a look has filled in, ever
	Lost     uint64 // events that the source had and lost before they could be fetched, as far as their numbers tell, ever
	SetAside uint64 // rows of the latest look that could not be understood; they are in the quarantine
	NotOurs  uint64 // numbers between those of its events that it lists nothing under: other companies', or never given
}
