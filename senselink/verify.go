package senselink

import (
	"cmp"
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/gatecast/gatecast"
)

// DescUnknownKey is the vendor's text for a key that names no app.
const DescUnknownKey = "app key not exist"

// Reason says why a client was refused, from a closed set fit for a metric.
type Reason string

// The reasons there are.
const (
	UnknownKey         Reason = "unknown_key"         // no app has this key
	MalformedTimestamp Reason = "malformed_timestamp" // neither 10 nor 13 digits
	WrongSign          Reason = "wrong_sign"          // no valid secret gives this signature
	DisabledApp        Reason = "disabled_app"        // the app is switched off
	ExpiredTimestamp   Reason = "expired_timestamp"   // too far from the server's clock
)

// Refusal is the error of [Verify]: why a client may not connect, in the words
// that [Denied] sends it.
type Refusal struct {
	Desc   string        // for the client; safe to send
	Code   gatecast.Code // Unauthenticated, or Forbidden if only the app's state is against it
	Reason Reason        // for logs and metrics
}

// Error returns the text for the client.
func (r *Refusal) Error() string { return r.Desc }

// Unwrap returns the refusal as an [gatecast.Error], so that [gatecast.CodeOf]
// understands it.
func (r *Refusal) Unwrap() error { return &gatecast.Error{Code: r.Code, Message: r.Desc} }

// dummySecret is hashed where there is no secret, so that an unknown key costs
// the same work as a known one. It can never match: see provenBy.
const dummySecret = "0123456789abcdef0123456789abcdef"

// Verify decides whether c may connect as app at the time now. A nil app means
// that no app has the key. It returns nil or a [*Refusal].
//
// The signature is computed for every caller before anything is answered, and
// what an app's owner may know (disabled, expired) is told only to those who
// have proved that they hold a secret. Beyond the protocol's own "app key not
// exist", an answer therefore says nothing about an app.
func Verify(c Credentials, app *gatecast.App, now time.Time) error {
	proven := provenBy(c, app, now)
	if app == nil {
		return &Refusal{Desc: DescUnknownKey, Code: gatecast.Unauthenticated, Reason: UnknownKey}
	}
	ts, ok := parseTimestamp(c.Timestamp)
	if !ok {
		return &Refusal{
			Desc: "timestamp malformed: it must be Unix time as 13 digits (milliseconds) or 10 digits (seconds)",
			Code: gatecast.Unauthenticated, Reason: MalformedTimestamp,
		}
	}
	if !proven {
		return &Refusal{
			Desc: `sign wrong: it must be md5(timestamp + "#" + app_secret) in hexadecimal`,
			Code: gatecast.Unauthenticated, Reason: WrongSign,
		}
	}
	if !app.Enabled {
		return &Refusal{Desc: "app is disabled", Code: gatecast.Forbidden, Reason: DisabledApp}
	}
	// A window of zero would lock everybody out; an app that never had one set
	// gets the vendor's.
	if w := cmp.Or(app.Window, gatecast.DefaultWindow); !w.Allows(ts, now) {
		return &Refusal{Desc: describeExpired(ts, now, w), Code: gatecast.Unauthenticated, Reason: ExpiredTimestamp}
	}
	return nil
}

// provenBy reports whether any valid secret of app gives c's signature. It
// tries all of them without stopping early, and never fewer than two, so that
// the time taken does not show which one matched or that a rotation is on.
func provenBy(c Credentials, app *gatecast.App, now time.Time) bool {
	var got [md5.Size]byte
	wellFormed := len(c.Sign) == hex.EncodedLen(md5.Size)
	if wellFormed {
		_, err := hex.Decode(got[:], []byte(c.Sign)) // takes upper case too
		wellFormed = err == nil
	}
	var secrets []gatecast.Secret
	if app != nil {
		secrets = app.Secrets
	}
	proven := false
	for i := range max(2, len(secrets)) {
		secret, usable := dummySecret, false
		if i < len(secrets) && secrets[i].Value != "" {
			secret, usable = secrets[i].Value, secrets[i].ValidAt(now)
		}
		want := digest(c.Timestamp, secret)
		same := subtle.ConstantTimeCompare(want[:], got[:]) == 1
		proven = proven || (same && usable && wellFormed)
	}
	return proven
}

// parseTimestamp reads exactly 13 digits of milliseconds or 10 of seconds. Both
// are unambiguous from the year 2001 to 2286.
func parseTimestamp(s string) (time.Time, bool) {
	if len(s) != 10 && len(s) != 13 {
		return time.Time{}, false
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return time.Time{}, false
	}
	if len(s) == 10 {
		return time.Unix(int64(n), 0), true
	}
	return time.UnixMilli(int64(n)), true
}

func describeExpired(ts, now time.Time, w gatecast.Window) string {
	off, side := now.Sub(ts), "behind"
	if off < 0 {
		off, side = -off, "ahead of"
	}
	return fmt.Sprintf("timestamp expired: it is %v %s the server's time %s (%d), allowed is %v",
		off.Round(time.Millisecond), side, now.UTC().Format(time.RFC3339), now.UnixMilli(), w)
}
