package sse

import (
	"errors"
	"net/url"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// signRemedy tells how a URL is signed.
const signRemedy = `add the parameters app_key, timestamp (milliseconds since 1970) and sign, the MD5 of timestamp + "#" + app_secret in hexadecimal`

// maxCredential bounds a credential's bytes before anything is computed of it.
// The longest honest one has 32.
const maxCredential = 256

// credentials are the parameters by which an app signs: an EventSource cannot
// set headers.
func credentials() []string { return []string{"app_key", "timestamp", "sign"} }

// signed reports whether a request wants to be let in by its signature. It is
// decided by the parameters alone: the header Authorization may belong to a
// proxy on the way.
func signed(q url.Values) bool {
	for _, name := range credentials() {
		if q.Has(name) {
			return true
		}
	}
	return false
}

// verify returns the app that signed a query, or why it is not let in, with
// the reason for metrics.
func (s *Server) verify(q url.Values) (app *gatecast.App, reason string, err error) {
	for _, name := range credentials() {
		if v := q[name]; len(v) != 1 || v[0] == "" || len(v[0]) > maxCredential {
			return nil, "malformed_signature", &gatecast.Error{
				Code:    gatecast.Unauthenticated,
				Message: "the parameter " + name + " is missing, empty, too long or stands there twice",
				Remedy:  signRemedy,
				At:      &gatecast.Place{Index: -1, Path: name, Expected: "one value"},
			}
		}
	}
	c := senselink.Credentials{AppKey: q.Get("app_key"), Timestamp: q.Get("timestamp"), Sign: q.Get("sign")}
	app, ok := s.apps.App(c.AppKey)
	if !ok {
		app = nil
	}
	if err := senselink.Verify(c, app, s.opts.Now()); err != nil {
		return nil, reasonOf(err), remedied(err)
	}
	return app, "", nil
}

func reasonOf(err error) string {
	var refusal *senselink.Refusal
	if errors.As(err, &refusal) {
		return string(refusal.Reason)
	}
	return gatecast.CodeOf(err).String()
}

// remedied adds to a refusal what to do next.
func remedied(err error) error {
	e := &gatecast.Error{Code: gatecast.CodeOf(err), Message: err.Error(), Remedy: signRemedy}
	var refusal *senselink.Refusal
	if !errors.As(err, &refusal) {
		return e
	}
	switch refusal.Reason {
	case senselink.UnknownKey:
		e.Remedy = "give the key of an app of this server; see: gatecast app list"
	case senselink.DisabledApp:
		e.Remedy = "enable the app"
	case senselink.ExpiredTimestamp:
		e.Remedy = "sign the present time, set the clocks right, or widen the app's timestamp_window"
	case senselink.MalformedTimestamp, senselink.WrongSign:
	}
	return e
}
