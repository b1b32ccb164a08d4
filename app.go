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
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, Errorf(Invalid, "timestamp window %q is neither a positive duration such as 30m nor \"off\"", s)
	}
	return Window(d), nil
}
