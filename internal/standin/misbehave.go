package standin

import (
	"cmp"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/wsconn"
)

// Mode is a way in which a server fails its clients.
type Mode string

// The ways there are. What a number or a duration means, and what it is if none
// is given, stands beside each.
const (
	// Drop cuts every connection once, as a cable does.
	Drop Mode = "drop"
	// Stall keeps the connections of now, with heartbeats, and pushes no events
	// to them; with All, to none that comes later either. The subscriber is forgotten too.
	Stall Mode = "stall"
	// Silent is Stall without heartbeats and Pongs: the process hangs.
	Silent Mode = "silent"
	// Restart closes every connection with 1001 and refuses all for For (5 s).
	Restart Mode = "restart"
	// Rename calls a field of the data that is pushed and posted something else:
	// From ("sn") becomes To ("deviceSerial").
	Rename Mode = "rename"
	// Rubbish sends something that is no event before every N-th one (10): no JSON,
	// JSON cut off, an unknown code, values of wrong types, data that is no
	// object, a binary message, and one of 2 MiB, in turn.
	Rubbish Mode = "rubbish"
	// Twice sends everything twice.
	Twice Mode = "twice"
	// Disorder keeps events back until it has N (2), and sends them in reverse.
	Disorder Mode = "disorder"
	// Logins admits N (6) clients a minute, and refuses the others with 20002.
	Logins Mode = "logins"
	// Clock sets the server's clock wrong by By (2 h; less than nothing: slow).
	Clock Mode = "clock"
	// REST500 answers REST requests with a 500 and no JSON.
	REST500 Mode = "rest-500"
	// REST498 refuses REST requests in the vendor's words.
	REST498 Mode = "rest-498"
	// RESTSlow answers REST requests after By (10 s).
	RESTSlow Mode = "rest-slow"
	// RESTCut ends the connection in the middle of each REST answer.
	RESTCut Mode = "rest-cut"
	// RESTShort leaves the last row of each REST list out.
	RESTShort Mode = "rest-short"
)

// Modes lists the ways there are.
func Modes() []Mode {
	return []Mode{
		Drop, Stall, Silent, Restart, Rename, Rubbish, Twice, Disorder, Logins, Clock,
		REST500, REST498, RESTSlow, RESTCut, RESTShort,
	}
}

// Misbehaviour is a mode and its details. Those that a mode does not know are ignored.
type Misbehaviour struct {
	Mode Mode
	For  time.Duration // how long; 0: until [Server.Behave]
	All  bool
	N    int // at least 1
	By   time.Duration
	From string
	To   string

	until time.Time
}

func (m Misbehaviour) withDefaults() Misbehaviour {
	numbers := map[Mode]int{Rubbish: 10, Disorder: 2, Logins: 6}
	m.N = cmp.Or(m.N, numbers[m.Mode], 1)
	switch m.Mode {
	case Restart:
		m.For = cmp.Or(m.For, 5*time.Second)
	case Rename:
		m.From, m.To = cmp.Or(m.From, "sn"), cmp.Or(m.To, "deviceSerial")
	case Clock:
		m.By = cmp.Or(m.By, 2*time.Hour)
	case RESTSlow:
		m.By = cmp.Or(m.By, 10*time.Second)
	}
	return m
}

// forever is later than anything that is waited for.
func forever() time.Time { return time.Unix(1<<40, 0) }

// Misbehave begins, besides what is going on already; the same mode takes the
// place of the one before. An unknown mode and a negative number are errors.
func (s *Server) Misbehave(m Misbehaviour) error {
	if !slices.Contains(Modes(), m.Mode) {
		return gatecast.Errorf(gatecast.Invalid, "there is no way to misbehave that is called %q", m.Mode)
	}
	if m.N < 0 || m.For < 0 || m.Mode == RESTSlow && m.By < 0 {
		return gatecast.Errorf(gatecast.Invalid, "%s takes no negative numbers", m.Mode)
	}
	m = m.withDefaults()
	s.mu.Lock()
	now := s.opts.Now()
	m.until = forever()
	if m.For > 0 {
		m.until = now.Add(m.For)
	}
	if m.Mode != Drop {
		s.trouble.active[m.Mode] = m
	}
	if (m.Mode == Stall || m.Mode == Silent || m.Mode == Restart) && s.sub != nil {
		s.sub.forgotten = m.until
	}
	socks := make([]*socket, 0, len(s.sockets))
	for k := range s.sockets {
		s.trouble.seize(k, m)
		socks = append(socks, k)
	}
	s.mu.Unlock()
	s.strike(m.Mode, socks)
	s.opts.Log.Info("misbehaving", "mode", m.Mode)
	return nil
}

// strike does to connections what cannot be done under mu.
func (s *Server) strike(mode Mode, socks []*socket) {
	for _, k := range socks {
		switch mode {
		case Drop:
			k.cut()
		case Silent:
			k.gate.shut(true)
		case Restart:
			k.conn.Close(wsconn.StatusGoingAway, "")
		}
	}
}

// Behave ends these ways of misbehaving, or all if none is named. Connections
// that were forgotten are remembered, and what Disorder kept back is sent.
func (s *Server) Behave(modes ...Mode) {
	if len(modes) == 0 {
		modes = Modes()
	}
	s.mu.Lock()
	for _, mode := range modes {
		delete(s.trouble.active, mode)
	}
	if slices.Contains(modes, Disorder) {
		for _, m := range s.trouble.release(s.opts.Now()) {
			s.hand(m)
		}
	}
	if s.sub != nil {
		s.sub.forgotten = time.Time{}
	}
	var waking []*socket
	for k := range s.sockets {
		if slices.Contains(modes, Stall) {
			k.stalled = time.Time{}
		}
		if slices.Contains(modes, Silent) {
			k.silent = time.Time{}
			waking = append(waking, k)
		}
	}
	s.mu.Unlock()
	for _, k := range waking {
		k.gate.shut(false)
	}
}

// Misbehaving lists what is going on.
func (s *Server) Misbehaving() []Mode {
	s.mu.Lock()
	defer s.mu.Unlock()
	var modes []Mode
	for _, mode := range Modes() {
		if s.trouble.on(mode, s.opts.Now()) {
			modes = append(modes, mode)
		}
	}
	return modes
}
