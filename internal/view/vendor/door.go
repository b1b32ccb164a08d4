// Package vendor answers the REST calls of the vendor's server that clients of
// its push use.
//
// It owns their door, which lets an app in by either of the vendor's signatures
// and anybody with a token of the scope read, and the words in which it refuses.
// It never keeps anything: what it shows belongs to others. Start at [Door.Require],
// which every call stands behind, and read image.go for the first of them.
package vendor

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/time/rate"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/senselink"
)

// Apps knows who may sign.
type Apps interface {
	App(key string) (*gatecast.App, bool)
}

// Options tunes a Door. The zero value works.
type Options struct {
	// Wrong is how many callers a second are told what is wrong with their
	// signature or token; more are answered 429, before anything of it is said.
	// Those that are right are not counted. Default 100.
	Wrong float64
	Now   func() time.Time // default time.Now
	Log   *slog.Logger     // default: discard
}

func (o Options) withDefaults() Options {
	o.Wrong = cmp.Or(o.Wrong, 100)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Door lets callers in. Its methods may be called from any goroutine.
type Door struct {
	apps    Apps
	tokens  auth.TokenStore
	opts    Options
	wrong   *rate.Limiter
	told    rate.Sometimes
	metrics *metrics
}

// NewDoor returns a door for these apps, and for whoever has a token.
func NewDoor(apps Apps, tokens auth.TokenStore, o Options) *Door {
	o = o.withDefaults()
	return &Door{
		apps: apps, tokens: tokens, opts: o,
		wrong:   rate.NewLimiter(rate.Limit(o.Wrong), max(1, int(o.Wrong))),
		told:    rate.Sometimes{Interval: time.Second},
		metrics: newMetrics(),
	}
}

// style is which generation of the interface a caller speaks.
type style struct {
	headers bool // the signature stands in headers, not in the query
	code    int  // of every refusal
}

func styleV4() style { return style{code: 30001} }
func styleV5() style { return style{headers: true, code: 498} }

// styleOf goes by where a caller has put its key.
func styleOf(r *http.Request) style {
	if r.Header.Get("appKey") != "" {
		return styleV5()
	}
	return styleV4()
}

// Require returns a handler that calls next only for an app that has signed the
// request, or for a caller with a token of the scope read. A signature counts if
// there is any: the header Authorization may belong to a proxy on the way.
func (d *Door) Require(next http.Handler) http.Handler {
	guard := auth.Guard{Tokens: d.tokens, Fail: func(w http.ResponseWriter, r *http.Request, err error) {
		reason := gatecast.CodeOf(err).String()
		if r.Header.Get("Authorization") == "" {
			reason, err = "unsigned", unsigned()
		}
		d.turnAway(w, r, reason, err)
	}}
	byToken := guard.Require(auth.Read, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, signed, err := credentials(r)
		if !signed && err == nil {
			byToken.ServeHTTP(w, r)
			return
		}
		if err == nil {
			err = d.verify(c)
		}
		if err != nil {
			d.turnAway(w, r, reasonOf(err), err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (d *Door) verify(c senselink.Credentials) error {
	app, ok := d.apps.App(c.AppKey)
	if !ok {
		app = nil
	}
	return senselink.Verify(c, app, d.opts.Now())
}

// maxCredential bounds a credential's bytes before anything is computed of it.
// The longest honest one has 32.
const maxCredential = 256

// credentials reads a signature. It reports whether there is one at all.
func credentials(r *http.Request) (c senselink.Credentials, signed bool, err error) {
	// What is wrong with a query is not repeated: a signature may stand there.
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return c, false, gatecast.Errorf(gatecast.Malformed, "the query of the URL cannot be read")
	}
	names, read := [...]string{"app_key", "timestamp", "sign"}, func(name string) []string { return q[name] }
	if styleOf(r).headers {
		names[0], read = "appKey", r.Header.Values
	}
	into := [...]*string{&c.AppKey, &c.Timestamp, &c.Sign}
	for i, name := range names {
		switch v := read(name); {
		case len(v) == 1 && v[0] != "" && len(v[0]) <= maxCredential:
			*into[i], signed = v[0], true
		default:
			signed = signed || len(v) > 0
			err = cmp.Or(err, missing(name))
		}
	}
	if !signed {
		return c, false, nil
	}
	return c, true, err
}

func missing(name string) error {
	return gatecast.Errorf(gatecast.Unauthenticated, "%s is missing, empty, too long or stands there twice", name)
}

func reasonOf(err error) string {
	if refusal, ok := errors.AsType[*senselink.Refusal](err); ok {
		return string(refusal.Reason)
	}
	return "malformed_signature"
}

// turnAway refuses a caller that is not let in.
func (d *Door) turnAway(w http.ResponseWriter, r *http.Request, reason string, err error) {
	d.metrics.refused.WithLabelValues(reason).Inc()
	d.told.Do(func() { // one a second: strangers must not fill the log
		d.opts.Log.Info("refused a REST call of the vendor's", "path", senselink.RedactPath(r.URL.Path), "from", r.RemoteAddr, "reason", reason, "err", err)
	})
	code := gatecast.CodeOf(err)
	if (code == gatecast.Unauthenticated || code == gatecast.Forbidden) && !d.wrong.Allow() {
		err = gatecast.Errorf(gatecast.TooMany, "too many requests with a wrong signature or token; try again in a second")
	}
	Refuse(w, r, err)
}

// unsigned is for callers without signature and token.
func unsigned() error {
	e := gatecast.Errorf(gatecast.Unauthenticated, "there is no signature")
	e.Remedy = "send app_key, timestamp and sign in the query, or appKey, timestamp and sign as headers, or a bearer token with the scope read"
	return e
}
