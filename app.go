package gatecast

import "time"

// App is a consumer that connects by the vendor's protocol: a key it names
// itself by and a secret it signs with.
type App struct {
	Key      string   // 16 lower-case hexadecimal characters
	Name     string   // for people, 1 to 100 characters
	Enabled  bool     // a disabled app is refused, and its connections are closed
	Secrets  []Secret // valid ones, newest first; two while a rotation lasts
	MaxConns int      // connections at once; 0 means no limit of its own
	Window   Window   // how far a timestamp may be from the server's clock
	Kinds    []Kind   // what it receives; empty means every kind
	CatchUp  CatchUp  // what it gets of what happened while it was away
	Created  time.Time
}

// Filter returns the filter that holds an app to what it may see.
func (a *App) Filter() Filter { return Filter{Kinds: a.Kinds} }

// Secret is one shared secret of an app.
type Secret struct {
	Value   string    // as the client signs with it, at least 128 bits
	Created time.Time // when it was made
	Expires time.Time // when it stops being valid; zero means never
}

// ValidAt reports whether the secret may be used at t.
func (s Secret) ValidAt(t time.Time) bool { return s.Expires.IsZero() || t.Before(s.Expires) }

// Window is the distance allowed between a signature's timestamp and the
// server's clock, either way. [WindowOff] allows any.
type Window time.Duration

const (
	// DefaultWindow is what the vendor's server allows.
	DefaultWindow = Window(30 * time.Minute)
	// WindowOff accepts a timestamp of any age, for clients that build their
	// URL once and use it for days.
	WindowOff = Window(-1)
)

// Allows reports whether a timestamp ts is acceptable at the time now. The
// edge itself is inside.
func (w Window) Allows(ts, now time.Time) bool {
	if w == WindowOff {
		return true
	}
	return now.Sub(ts).Abs() <= time.Duration(w)
}

// String returns a duration such as "30m0s", or "off".
func (w Window) String() string {
	if w == WindowOff {
		return "off"
	}
	return time.Duration(w).String()
}

// ParseWindow reads what String writes: a positive duration or "off".
func ParseWindow(s string) (Window, error) {
	if s == "off" {
		return WindowOff, nil
	}
	d, err := ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, Errorf(Invalid, "timestamp window %q is neither a positive duration such as 30m nor \"off\"", s)
	}
	return Window(d), nil
}

// CatchUp says what an app gets, when it comes back, of what happened while it
// was away.
type CatchUp struct {
	Window  Lookback // how far back at most
	First   First    // where a consumer begins that was never here before
	Cursors CursorBy // whose position is remembered
}

// WithDefaults returns c with its zero fields replaced: [DefaultLookback],
// [FirstLatest], [CursorByApp].
func (c CatchUp) WithDefaults() CatchUp {
	if c.Window == 0 {
		c.Window = DefaultLookback
	}
	if c.First == "" {
		c.First = FirstLatest
	}
	if c.Cursors == "" {
		c.Cursors = CursorByApp
	}
	return c
}

// Lookback is how old the events may be that are sent to a consumer that comes
// back.
type Lookback time.Duration

const (
	// DefaultLookback is the lookback of an app that was made without one.
	DefaultLookback = Lookback(24 * time.Hour)
	// LookbackOff remembers nothing: an app gets what happens while it is
	// connected.
	LookbackOff = Lookback(-1)
	// LookbackAll goes back as far as the journal does.
	LookbackAll = Lookback(-2)
)

// Edge returns the time before which nothing is for an app; zero if there is no
// such time.
func (l Lookback) Edge(now time.Time) time.Time {
	switch l {
	case LookbackAll:
		return time.Time{}
	case LookbackOff:
		return now
	}
	return now.Add(-time.Duration(l))
}

// String returns a duration such as "24h0m0s", "off" or "all".
func (l Lookback) String() string {
	switch l {
	case LookbackOff:
		return "off"
	case LookbackAll:
		return "all"
	}
	return time.Duration(l).String()
}

// ParseLookback reads what String writes: a positive duration, "off" or "all".
func ParseLookback(s string) (Lookback, error) {
	switch s {
	case "off":
		return LookbackOff, nil
	case "all":
		return LookbackAll, nil
	}
	d, err := ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, Errorf(Invalid, "catch-up %q is neither a positive duration such as 24h nor \"off\" nor \"all\"", s)
	}
	return Lookback(d), nil
}

// First is where a consumer begins that has no cursor yet.
type First string

const (
	// FirstLatest begins with what is accepted from then on.
	FirstLatest First = "latest"
	// FirstEarliest begins with the oldest event inside the app's lookback.
	FirstEarliest First = "earliest"
)

// CursorBy is whose position is remembered.
type CursorBy string

const (
	// CursorByApp keeps one cursor for the app: what any of its connections has
	// confirmed is sent to none again.
	CursorByApp CursorBy = "app"
	// CursorByAddress keeps one for each IP address, for apps whose servers must
	// each miss nothing.
	CursorByAddress CursorBy = "address"
)
