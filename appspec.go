package gatecast

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// AppSpec is what somebody asks for who wants a new app.
type AppSpec struct {
	Name     string  // required, 1 to 100 characters, unique
	MaxConns int     // connections at once, up to [MaxAppConns]; 0 means no limit of its own
	Window   Window  // zero means [DefaultWindow]
	Kinds    []Kind  // what it receives; empty means every kind
	CatchUp  CatchUp // zero fields mean the defaults of [CatchUp.WithDefaults]
	// Key and Secret take over an app of another SenseLink server, so that its
	// clients need no change. Both or neither; neither means new random ones.
	Key    string // 16 lower-case hexadecimal characters
	Secret string // 32 to 128 letters and digits
}

// AppPatch is a change to an app. A nil field stays as it is.
type AppPatch struct {
	Name     *string
	Enabled  *bool
	MaxConns *int
	Window   *Window
	Kinds    *[]Kind
	Lookback *Lookback // of CatchUp: its Window
	First    *First    // of CatchUp
	Cursors  *CursorBy // of CatchUp
}

// MaxAppConns bounds an app's own connection limit; a bigger number is a
// typing error, since the server's limit is reached long before.
const MaxAppConns = 1_000_000

// MinLookback is the shortest lookback besides [LookbackOff]: a server that is
// away for less has not been missed, and a shorter one is a typing error.
const MinLookback = Lookback(time.Second)

// WithDefaults returns the spec with what is zero in its windows and its
// catch-up replaced: see [DefaultWindow] and [CatchUp.WithDefaults].
func (s AppSpec) WithDefaults() AppSpec {
	if s.Window == 0 {
		s.Window = DefaultWindow
	}
	s.CatchUp = s.CatchUp.WithDefaults()
	return s
}

// Validate returns an Invalid error that names the first field which cannot
// stand and what could stand there, or nil.
func (s AppSpec) Validate() error {
	if err := ValidateName(s.Name); err != nil {
		return err
	}
	if s.MaxConns < 0 || s.MaxConns > MaxAppConns {
		return invalidField("/max_connections", strconv.Itoa(s.MaxConns), fmt.Sprintf("0 (the server's own limit) to %d", MaxAppConns),
			"the number of connections is out of range")
	}
	if s.Window <= 0 && s.Window != WindowOff {
		return invalidField("/timestamp_window", s.Window.String(), `a positive duration such as "30m", or "off"`,
			"the timestamp window is not positive")
	}
	for i, k := range s.Kinds {
		path := "/kinds/" + strconv.Itoa(i)
		if !k.Valid() {
			return invalidField(path, k.String(), "30000 (record) or 30100 (alarm)", "there is no such kind of event")
		}
		if slices.Contains(s.Kinds[:i], k) {
			return invalidField(path, k.String(), "every kind at most once", "the kind is listed twice")
		}
	}
	if err := s.CatchUp.Validate(); err != nil {
		return err
	}
	return s.validateCredentials()
}

// Validate returns an Invalid error that names the first field which cannot
// stand and what could stand there, or nil. A zero field cannot stand: see
// [CatchUp.WithDefaults].
func (c CatchUp) Validate() error {
	if c.Window < MinLookback && c.Window != LookbackOff && c.Window != LookbackAll {
		return invalidField("/catch_up", c.Window.String(), `a duration of at least one second such as "24h", "off" or "all"`,
			"the catch-up is too short")
	}
	if c.First != FirstLatest && c.First != FirstEarliest {
		return invalidField("/first_connection", clip(string(c.First), 40), `"latest" or "earliest"`,
			"this is no place for a first connection to begin")
	}
	if c.Cursors != CursorByApp && c.Cursors != CursorByAddress {
		return invalidField("/cursors", clip(string(c.Cursors), 40), `"app" or "address"`,
			"there is no such way to keep cursors")
	}
	return nil
}

func (s AppSpec) validateCredentials() error {
	if s.Key == "" && s.Secret == "" {
		return nil
	}
	if s.Key == "" {
		return invalidField("/app_key", "", "16 lower-case hexadecimal characters",
			"an imported secret needs the key that belongs to it")
	}
	if !ValidAppKey(s.Key) {
		return invalidField("/app_key", s.Key, "16 lower-case hexadecimal characters", "this is not an app key")
	}
	// The secret itself is never repeated: errors end up in logs.
	const want = "32 to 128 letters and digits"
	if s.Secret == "" {
		return invalidField("/app_secret", "", want, "an imported key needs the secret that belongs to it")
	}
	foreign := func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}
	if len(s.Secret) < 32 || len(s.Secret) > 128 || strings.ContainsFunc(s.Secret, foreign) {
		return invalidField("/app_secret", fmt.Sprintf("%d bytes", len(s.Secret)), want, "this is not an app secret")
	}
	return nil
}

// ValidAppKey reports whether key is 16 lower-case hexadecimal characters.
func ValidAppKey(key string) bool {
	foreign := func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') }
	return len(key) == 16 && !strings.ContainsFunc(key, foreign)
}

// ValidateName checks the name of an app or a token: 1 to 100 visible
// characters, with no space at either end, so that two names that look alike
// are alike. Its error is Invalid and points to "/name".
func ValidateName(name string) error {
	const want = "1 to 100 visible characters, no space at either end"
	switch n := utf8.RuneCountInString(name); {
	case name == "":
		return invalidField("/name", "", want, "the name is empty")
	case !utf8.ValidString(name):
		return invalidField("/name", strconv.QuoteToASCII(clip(name, 40)), want, "the name is not valid UTF-8")
	case n > 100:
		return invalidField("/name", strconv.Itoa(n)+" characters", want, "the name is too long")
	case strings.TrimSpace(name) != name:
		return invalidField("/name", strconv.Quote(name), want, "the name begins or ends with a space")
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return invalidField("/name", strconv.QuoteToASCII(clip(name, 40)), want, "the name holds an invisible character")
	}
	return nil
}

// Apply changes a by the patch. It does not validate: see [AppSpec.Validate].
func (p AppPatch) Apply(a *App) {
	if p.Name != nil {
		a.Name = *p.Name
	}
	if p.Enabled != nil {
		a.Enabled = *p.Enabled
	}
	if p.MaxConns != nil {
		a.MaxConns = *p.MaxConns
	}
	if p.Window != nil {
		a.Window = *p.Window
	}
	if p.Kinds != nil {
		a.Kinds = slices.Clone(*p.Kinds)
	}
	if p.Lookback != nil {
		a.CatchUp.Window = *p.Lookback
	}
	if p.First != nil {
		a.CatchUp.First = *p.First
	}
	if p.Cursors != nil {
		a.CatchUp.Cursors = *p.Cursors
	}
}

func invalidField(path, found, expected, message string) *Error {
	return &Error{
		Code:    Invalid,
		Message: message,
		Remedy:  "give " + expected,
		At:      &Place{Index: -1, Path: path, Found: found, Expected: expected},
	}
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}
