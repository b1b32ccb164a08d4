package client

import (
	"cmp"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// Options says which server to talk to, and as whom. Only URL is needed, with
// AppKey and AppSecret for [Client.Events] and Token for [Client.Publish].
type Options struct {
	URL       string // of the server: "http://host:9000", "https://host/prefix"; ws and wss work too
	AppKey    string // 16 hexadecimal characters
	AppSecret string // as the server showed it when the app was made
	Token     string // "gct_…", with the scope ingest

	// HTTPClient makes every connection, also the WebSocket's, so its
	// transport is the place for proxies and certificates. Its Timeout holds
	// for each attempt to publish. Default: one with a Timeout of 30 s.
	HTTPClient *http.Client

	// MaxMessage is the largest message taken from the server, in bytes. A
	// larger one ends Events with TooLarge: it would come again and again.
	// Default 1 MiB.
	MaxMessage int

	// DeadAfter is how long the server may be silent (it sends a heartbeat
	// every 30 s) or may take no byte before the connection is given up and
	// made anew. Default 90 s.
	DeadAfter time.Duration

	Backoff Backoff // how long to wait between attempts

	// RetryDenied keeps Events trying after the server has refused the app.
	// By default that ends it: a wrong secret does not become right.
	RetryDenied bool

	// OnState is told when a connection is there and when it is gone. It is
	// called by the loop over Events and must not wait. Default: nothing.
	OnState func(State)

	Log *slog.Logger // default: discard
}

func (o Options) withDefaults() Options {
	o.MaxMessage = cmp.Or(o.MaxMessage, 1<<20)
	o.DeadAfter = cmp.Or(o.DeadAfter, 90*time.Second)
	o.Backoff = o.Backoff.withDefaults()
	o.HTTPClient = cmp.Or(o.HTTPClient, &http.Client{Timeout: 30 * time.Second})
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.OnState == nil {
		o.OnState = func(State) {}
	}
	return o
}

// Client talks to one server. It is safe for concurrent use and holds nothing
// that needs closing.
type Client struct {
	opts    Options
	base    *url.URL     // http or https, no slash at its end
	upgrade *http.Client // HTTPClient as a handshake needs it
	decoder *senselink.Decoder
}

// New makes a Client. It connects to nothing yet; an error is Invalid and
// about the URL.
func New(o Options) (*Client, error) {
	base, err := parseBase(o.URL)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	upgrade := *o.HTTPClient
	// A Timeout would cut the connection after it; a redirect would carry the
	// signature to another server.
	upgrade.Timeout = 0
	upgrade.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	decoder := senselink.NewDecoder(senselink.Options{
		MaxBody: int64(o.MaxMessage), MaxEvent: o.MaxMessage, MaxDepth: 1000,
	})
	return &Client{opts: o, base: base, upgrade: &upgrade, decoder: decoder}, nil
}

// SignedURL returns the WebSocket address by which an app connects. It is a
// password for as long as the server's timestamp window lasts: keep it out of
// logs. An error is Invalid and about base.
func SignedURL(base, key, secret string, now time.Time) (string, error) {
	u, err := parseBase(base)
	if err != nil {
		return "", err
	}
	u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	return u.String() + signedPath(key, secret, now), nil
}

func signedPath(key, secret string, now time.Time) string {
	timestamp := timestampOf(now)
	return senselink.Path(senselink.Credentials{AppKey: key, Timestamp: timestamp, Sign: senselink.Sign(timestamp, secret)})
}

// parseBase reads the server's URL and makes its scheme http or https.
func parseBase(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(text, "/"))
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, badBase(text)
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	case "http", "https":
	default:
		return nil, badBase(text)
	}
	return u, nil
}

func badBase(text string) error {
	e := gatecast.Errorf(gatecast.Invalid, "%q is not the URL of a server", text)
	e.Remedy = "write it as http://host:9000 or https://host"
	return e
}
