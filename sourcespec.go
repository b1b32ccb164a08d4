package gatecast

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of a source's settings.
const (
	MinSourceEvery    = 10 * time.Second // between two looks
	MaxSourceEvery    = 24 * time.Hour
	MinSourceLookback = time.Minute
	MaxSourceLookback = 90 * 24 * time.Hour
	maxSourceName     = 32
	maxSourceURL      = 256
	maxCredential     = 256
)

// WithDefaults returns s with what is zero replaced: [SourceWebSocket] and, of
// the REST interface, [RESTv5], 5 minutes and 24 hours.
func (s SourceSettings) WithDefaults() SourceSettings {
	s.Kind = cmp.Or(s.Kind, SourceWebSocket)
	s.REST.Style = cmp.Or(s.REST.Style, RESTv5)
	s.REST.Every = cmp.Or(s.REST.Every, 5*time.Minute)
	s.REST.Lookback = cmp.Or(s.REST.Lookback, 24*time.Hour)
	return s
}

// ValidSourceName reports whether name is 1 to 32 of a-z, 0-9 and '-', a letter
// first, and not the name of another door ("push", "mqtt", "sim", "gatecast").
func ValidSourceName(name string) bool { return wellFormedSource(name) && !otherDoor(name) }

func wellFormedSource(name string) bool {
	foreign := func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' }
	return name != "" && len(name) <= maxSourceName && name[0] >= 'a' && name[0] <= 'z' && !strings.ContainsFunc(name, foreign)
}

// otherDoor reports whether events that come in otherwise have the name as
// their [Event.Source].
func otherDoor(name string) bool {
	return name == "push" || name == "mqtt" || name == "sim" || name == "gatecast"
}

// Validate returns an Invalid error that names the first field which cannot
// stand, or nil; see [SourceSettings.Validate].
func (s SourceSpec) Validate() error {
	const want = "1 to 32 of a-z, 0-9 and '-', a letter first"
	switch {
	case s.Name == "":
		return invalidField("/name", "", want, "the source has no name")
	case !wellFormedSource(s.Name):
		return invalidField("/name", strconv.QuoteToASCII(clip(s.Name, 40)), want, "this cannot be the name of a source")
	case otherDoor(s.Name):
		return invalidField("/name", s.Name, "another name", "events that come in otherwise have this name")
	}
	return s.Settings.Validate()
}

// Validate returns an Invalid error that names the first field which cannot
// stand, and what could stand there, or nil. A field at zero that has a default
// cannot stand: see [SourceSettings.WithDefaults]. The secret is never repeated.
func (s SourceSettings) Validate() error {
	for _, check := range []func() error{s.validateKind, s.validateCredentials, s.REST.validate, s.validateRest} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (s SourceSettings) validateKind() error {
	switch s.Kind {
	case SourceWebSocket:
		if s.URL == "" {
			return invalidField("/url", "", serverURL("ws"), "there is no server to connect to")
		}
		return validateServer("/url", s.URL, "ws")
	case SourceSubscription:
		if s.URL != "" {
			return invalidField("/url", clip(s.URL, 80), "none; for asking what it has, rest.url", "nobody connects to a server that posts its events")
		}
		return nil
	}
	return invalidField("/kind", clip(string(s.Kind), 40), `"websocket" or "subscription"`, "there is no such kind of source")
}

// serverURL says what an address must look like: of scheme, or scheme with an s.
func serverURL(scheme string) string {
	return fmt.Sprintf("%s or %[1]ss, host and port, such as \"%[1]s://senselink.example:9000\"", scheme)
}

// validateServer checks the address of a server: the vendor's paths are added
// to it, so it has none of its own.
func validateServer(path, text, scheme string) error {
	want := serverURL(scheme)
	if len(text) > maxSourceURL {
		return invalidField(path, strconv.Itoa(len(text))+" bytes", want, "the URL is too long")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "":
		return invalidField(path, "", want, "this is not a URL") // not repeated: it may hold a password
	case u.User != nil:
		return invalidField(path, u.Redacted(), want, "a user in the URL would end up in logs")
	case u.Scheme != scheme && u.Scheme != scheme+"s":
		return invalidField(path, clip(text, 80), want, "the URL does not begin with "+scheme+":// or "+scheme+"s://")
	case u.Hostname() == "":
		return invalidField(path, clip(text, 80), want, "the URL names no host")
	case strings.TrimLeft(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return invalidField(path, clip(text, 80), want, "the URL says more than where the server is")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return invalidField(path, clip(text, 80), "a port of 1 to 65535", "there is no such port")
		}
	}
	return nil
}

// validateCredentials leaves the form of a key to the server that made it: it
// must only fit into the URL and the header that it is sent in.
func (s SourceSettings) validateCredentials() error {
	const want = "1 to 256 visible ASCII characters"
	needed := s.Kind == SourceWebSocket || s.REST.URL != ""
	switch {
	case s.AppKey == "" && (needed || s.AppSecret != ""):
		return invalidField("/app_key", "", want, "the server lets nobody in without the key of one of its apps")
	case s.AppSecret == "" && s.AppKey != "":
		return invalidField("/app_secret", "", want, "a key needs its secret")
	case !credential(s.AppKey):
		return invalidField("/app_key", strconv.QuoteToASCII(clip(s.AppKey, 40)), want, "this cannot be an app's key")
	case !credential(s.AppSecret):
		return invalidField("/app_secret", strconv.Itoa(len(s.AppSecret))+" bytes", want, "this cannot be an app's secret")
	}
	return nil
}

func credential(s string) bool {
	return len(s) <= maxCredential && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func (r SourceREST) validate() error {
	if r.URL != "" {
		if err := validateServer("/rest/url", r.URL, "http"); err != nil {
			return err
		}
	}
	switch {
	case r.Style != RESTv4 && r.Style != RESTv5:
		return invalidField("/rest/style", clip(string(r.Style), 40), `"v4" or "v5"`, "there is no such interface")
	case r.Every < MinSourceEvery || r.Every > MaxSourceEvery:
		return invalidField("/rest/every", r.Every.String(), `"10s" to "24h"`, "the value is out of range")
	case r.Lookback < MinSourceLookback || r.Lookback > MaxSourceLookback:
		return invalidField("/rest/lookback", r.Lookback.String(), `"1m" to "2160h" (90 days)`, "the value is out of range")
	}
	if r.Zone == "" {
		return nil
	}
	if _, err := time.LoadLocation(r.Zone); err != nil {
		return invalidField("/rest/zone", strconv.QuoteToASCII(clip(r.Zone, 40)), `a zone such as "Asia/Tokyo", or "UTC"`, "this zone is not known here")
	}
	return nil
}

func (s SourceSettings) validateRest() error {
	if s.Company < 0 {
		return invalidField("/company", strconv.FormatInt(s.Company, 10), "a companyId, or 0 for all", "there is no such company")
	}
	return validateDescription(s.Description)
}

func validateDescription(text string) error {
	switch n := utf8.RuneCountInString(text); {
	case n > maxDescription:
		return invalidField("/description", strconv.Itoa(n)+" characters", "at most 200 characters", "the description is too long")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return invalidField("/description", strconv.QuoteToASCII(clip(text, 40)), "visible characters", "the description holds an invisible character")
	}
	return nil
}
