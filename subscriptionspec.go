package gatecast

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of a subscription's settings.
const (
	MaxSubscriptionList   = 256     // members of each list of its filters
	MaxConcurrency        = 256     // requests at once
	MaxSubscriptionRate   = 100_000 // requests per second
	MaxDeliveryTimeout    = time.Minute
	MinDeliveryTimeout    = 100 * time.Millisecond
	MaxSubscriptionBatch  = 1000 // events of a body
	MaxBatchWait          = time.Minute
	maxSubscriptionURL    = 2048
	maxDescription        = 200
	maxSubscriptionHeader = 32
	maxHeaderValue        = 4096
)

// ValidSubscriptionID reports whether id is "sub_" and 16 lower-case hexadecimal
// characters.
func ValidSubscriptionID(id string) bool {
	hex, ok := strings.CutPrefix(id, subscriptionPrefix)
	return ok && ValidAppKey(hex)
}

// Validate returns an Invalid error that names the first field which cannot
// stand, and what could stand there, or nil. A field at zero that has a default
// cannot stand: see [SubscriptionSettings.WithDefaults]. Values of headers and
// credentials are never repeated.
func (s SubscriptionSettings) Validate() error {
	for _, check := range []func() error{s.validateURL, s.validateFilter, s.validateLimits, s.validateHeaders, s.validateAuth} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (s SubscriptionSettings) validateURL() error {
	const want = `a URL such as "https://host.example/events", without user and fragment, at most 2048 bytes`
	u, err := url.Parse(s.URL)
	switch {
	case s.URL == "":
		return invalidField("/url", "", want, "there is no URL to send events to")
	case len(s.URL) > maxSubscriptionURL:
		return invalidField("/url", strconv.Itoa(len(s.URL))+" bytes", want, "the URL is too long")
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return invalidField("/url", clip(s.URL, 80), want, "this is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return invalidField("/url", clip(s.URL, 80), want, "events are sent over http or https")
	case u.User != nil:
		return invalidField("/url", u.Redacted(), `the URL without user, and "auth" (--basic, --bearer) for the credentials`, "a user in the URL would end up in logs")
	case u.Fragment != "" || strings.HasSuffix(s.URL, "#"):
		return invalidField("/url", clip(s.URL, 80), want, "a fragment is never sent")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return invalidField("/url", clip(s.URL, 80), "a port of 1 to 65535", "there is no such port")
		}
	}
	switch n := utf8.RuneCountInString(s.Description); {
	case n > maxDescription:
		return invalidField("/description", strconv.Itoa(n)+" characters", "at most 200 characters", "the description is too long")
	case !utf8.ValidString(s.Description) || strings.ContainsFunc(s.Description, unicode.IsControl):
		return invalidField("/description", strconv.QuoteToASCII(clip(s.Description, 40)), "visible characters", "the description holds an invisible character")
	}
	return nil
}

func (s SubscriptionSettings) validateFilter() error {
	for i, k := range s.Filter.Kinds {
		path := "/kinds/" + strconv.Itoa(i)
		if !k.Valid() && k != Notice {
			return invalidField(path, k.String(), "30000 (record), 30100 (alarm) or 50000 (notice)", "there is no such kind of event")
		}
		if slices.Contains(s.Filter.Kinds[:i], k) {
			return invalidField(path, k.String(), "every kind at most once", "the kind is listed twice")
		}
	}
	for i, d := range s.Filter.Devices {
		if d == "" || len(d) > 128 {
			return invalidField("/devices/"+strconv.Itoa(i), clip(d, 40), "the LDID of a device, 1 to 128 bytes", "this is not an LDID")
		}
	}
	for _, list := range []struct {
		name string
		n    int
	}{
		{"devices", len(s.Filter.Devices)},
		{"groups", len(s.Filter.Groups)},
		{"user_types", len(s.Traits.UserTypes)},
		{"abnormal_types", len(s.Traits.AbnormalTypes)},
		{"alarm_codes", len(s.Traits.AlarmCodes)},
		{"alarm_levels", len(s.Traits.AlarmLevels)},
	} {
		if list.n > MaxSubscriptionList {
			return invalidField("/"+list.name, strconv.Itoa(list.n), fmt.Sprintf("at most %d", MaxSubscriptionList), "the list is too long")
		}
	}
	return nil
}

func (s SubscriptionSettings) validateLimits() error {
	outside := func(path, found, expected string) error {
		return invalidField(path, found, expected, "the value is out of range")
	}
	number := func(path string, n, least, most int) error {
		if n < least || n > most {
			return outside(path, strconv.Itoa(n), fmt.Sprintf("%d to %d", least, most))
		}
		return nil
	}
	for _, err := range []error{
		number("/concurrency", s.Concurrency, 1, MaxConcurrency),
		number("/rate", s.Rate, 0, MaxSubscriptionRate),
		number("/catch_up_rate", s.CatchUpRate, 0, MaxSubscriptionRate),
		number("/batch/max", s.Batch.Max, 0, MaxSubscriptionBatch),
	} {
		if err != nil {
			return err
		}
	}
	switch {
	case s.Timeout < MinDeliveryTimeout || s.Timeout > MaxDeliveryTimeout:
		return outside("/timeout", s.Timeout.String(), `"100ms" to "1m"`)
	case s.Batch.Wait < 0 || s.Batch.Wait > MaxBatchWait:
		return outside("/batch/wait", s.Batch.Wait.String(), `"0s" to "1m"`)
	case s.Batch.Wait > 0 && !s.Batch.On():
		return invalidField("/batch/max", strconv.Itoa(s.Batch.Max), "2 to 1000 with a wait", "a batch of one has nothing to wait for")
	case s.Order != OrderDevice && s.Order != OrderStrict && s.Order != OrderNone:
		return invalidField("/order", clip(string(s.Order), 40), `"per-device", "strict" or "none"`, "there is no such order")
	case s.Success != SuccessOK && s.Success != SuccessAny:
		return invalidField("/success", clip(string(s.Success), 40), `"200" or "2xx"`, "there is no such rule")
	case s.EventType != EventTypeNumber && s.EventType != EventTypeString:
		return invalidField("/event_type", clip(string(s.EventType), 40), `"number" or "string"`, "there is no such form of eventType")
	}
	return nil
}

// validateHeaders refuses headers that HTTP or gatecast itself sets: a request
// with two lengths or two signatures is read differently by each receiver.
func (s SubscriptionSettings) validateHeaders() error {
	if n := len(s.Headers); n > maxSubscriptionHeader {
		return invalidField("/headers", strconv.Itoa(n), "at most 32", "there are too many headers")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) { // the same complaint each time
		value := s.Headers[name]
		path := "/headers/" + clip(name, 40)
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !token(name) || len(name) > 128:
			return invalidField(path, strconv.QuoteToASCII(clip(name, 40)), "letters, digits and '-', at most 128", "this is not the name of a header")
		case reservedHeader(canonical):
			return invalidField(path, canonical, `another name; Authorization is made of "auth" (--basic, --bearer)`, "gatecast sets this header itself")
		case len(value) > maxHeaderValue || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f || r > '~' }):
			return invalidField(path, fmt.Sprintf("%d bytes", len(value)), "visible ASCII, at most 4096 bytes", "this cannot be a header's value")
		}
	}
	return nil
}

func reservedHeader(canonical string) bool {
	switch canonical {
	case "Authorization", "Host", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Connection",
		"Keep-Alive", "Te", "Trailer", "Upgrade", "Expect", "Proxy-Connection", "Proxy-Authorization", "Http2-Settings", "Accept-Encoding":
		return true
	}
	return strings.HasPrefix(canonical, "Webhook-") || strings.HasPrefix(canonical, "Gatecast-")
}

// token reports whether s is a token of RFC 9110, section 5.6.2.
func token(s string) bool {
	foreign := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}
	return s != "" && !strings.ContainsFunc(s, foreign)
}

func (s SubscriptionSettings) validateAuth() error {
	const want = `"username" and "password", or "bearer"`
	a := s.Auth
	basic := a.Username != "" || a.Password != ""
	switch {
	case basic && a.Bearer != "":
		return invalidField("/auth", "both", want, "a receiver is told one or the other")
	case basic && a.Username == "":
		return invalidField("/auth/username", "", want, "a password needs its user")
	case strings.Contains(a.Username, ":"):
		return invalidField("/auth/username", "a colon", "a name without a colon (RFC 7617)", "the user's name cannot be sent")
	case len(a.Username)+len(a.Password)+len(a.Bearer) > maxHeaderValue:
		return invalidField("/auth", "too long", "at most 4096 bytes", "the credentials are too long")
	case strings.ContainsFunc(a.Bearer, func(r rune) bool { return r <= ' ' || r > '~' }):
		return invalidField("/auth/bearer", "another character", "visible ASCII without spaces", "this cannot be a bearer token")
	}
	return nil
}
