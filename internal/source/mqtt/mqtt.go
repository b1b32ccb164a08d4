// Package mqtt takes in the events that devices publish over MQTT 3.1.1.
//
// It owns the listener's connections: who may sign in, what a packet may be,
// the topics gatecast/{sn}/record and gatecast/{sn}/alarm, and the moment of the
// acknowledgement, which is after Appender has returned. It never stores events
// (see Appender), never reads their fields (see senselink.Decoder), and is no
// broker: nothing is handed from one client to another, nobody can subscribe,
// nothing is retained, and no will is published. Start at [Server.Serve], then
// client.go for one connection and settle.go for what becomes of its messages.
//
// # What is acknowledged
//
// PUBACK and PUBREC mean that the event is on disk, was there already, or is
// rubbish and in the quarantine: a device cannot mend a message, and would send
// it for ever. Everything else is not acknowledged, and ends the connection:
// 3.1.1 has no other way to make a device send again.
//
// # Sessions
//
// A publisher's session is what was received of it and not acknowledged. None
// of that has to be kept: the same message has the same ID each time, by which
// the journal drops the second. So a session that is not clean is said to be
// present always, which keeps clients from throwing away what they have yet to
// send again.
package mqtt

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// Source is the Event.Source of what came in over MQTT, and its name in the
// quarantine if the topic says no device.
const Source = "mqtt"

// Appender is the part of the journal that this door needs.
type Appender interface {
	// Append stores all events or none. When it returns without an error they
	// are on disk. Its errors are gatecast errors; Unavailable means that the
	// same call may succeed later.
	Append(ctx context.Context, events []gatecast.Event) (gatecast.Receipt, error)
	// Accepting returns nil, or why Append would answer Unavailable at this
	// moment. It costs nothing.
	Accepting() error
}

// Users knows who may sign in.
type Users interface {
	// MQTTUser costs no I/O. Nobody changes what it points to.
	MQTTUser(name string) (*gatecast.MQTTUser, bool)
}

// Quarantine keeps what could not be understood. It does not fail, and does not
// keep the slice.
type Quarantine interface {
	Put(source, reason string, body []byte)
}

// Parts are what a server works with. All are required.
type Parts struct {
	Journal    Appender
	Users      Users
	Quarantine Quarantine
}

// Options tunes a Server. The zero value works.
type Options struct {
	Decode       senselink.Options // limits and numbering; Source and Unknown are set by New
	Limits       Limits
	StoreTimeout time.Duration    // how long the journal may take for the messages of a client, all tries together; default 10 s
	Now          func() time.Time // of events; default time.Now
	Log          *slog.Logger     // default: discard
}

// Limits bounds what clients may take. The zero value works.
type Limits struct {
	Conns       int           // clients signed in; one more is refused; default 5000
	Packet      int           // bytes of one message; a larger one goes to the quarantine; default 1 MiB
	Inflight    int           // unacknowledged messages of a client; then no more is read of it; 1 to 1000, default 256
	Memory      int64         // bytes of all messages at work; who brings more is cut off; default 64 MiB, at least Packet
	Idle        time.Duration // silence of a client that asks for no shorter keep-alive; default 1 h
	Login       time.Duration // from the connection to the whole CONNECT; default 10 s
	Read        time.Duration // from the first byte of a packet to its last; default 30 s
	LoginRate   int           // new connections per second; the others wait in the system's line; default 500
	RefusalRate int           // refused logins of an address per minute that are answered at once; default 30
}

func (o Options) withDefaults() Options {
	o.Limits = o.Limits.withDefaults()
	o.StoreTimeout = cmp.Or(o.StoreTimeout, 10*time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func (l Limits) withDefaults() Limits {
	l.Conns = cmp.Or(l.Conns, 5000)
	l.Packet = cmp.Or(l.Packet, 1<<20)
	l.Inflight = min(cmp.Or(l.Inflight, 256), 1000)
	l.Memory = max(cmp.Or(l.Memory, 64<<20), int64(l.Packet))
	l.Idle = cmp.Or(l.Idle, time.Hour)
	l.Login = cmp.Or(l.Login, 10*time.Second)
	l.Read = cmp.Or(l.Read, 30*time.Second)
	l.LoginRate = cmp.Or(l.LoginRate, 500)
	l.RefusalRate = cmp.Or(l.RefusalRate, 30)
	return l
}

// Server takes in events over MQTT.
type Server struct {
	Parts
	opts    Options
	decoder *senselink.Decoder
	budget  budget
	roster  *roster
	pillory *pillory
	metrics *metrics

	refusals, strangers, holdups seldom // for the log
}

// New returns a server that does nothing until Serve.
func New(p Parts, o Options) *Server {
	o = o.withDefaults()
	s := &Server{Parts: p, opts: o, roster: newRoster(o.Limits.Conns), pillory: newPillory(o.Limits.RefusalRate)}
	s.metrics = newMetrics()
	s.budget.max, s.budget.each = o.Limits.Memory, max(o.Limits.Memory/2, int64(o.Limits.Packet))
	o.Decode.Source = Source
	o.Decode.Unknown = func(field string) { s.metrics.unknown.WithLabelValues(field).Inc() }
	s.decoder = senselink.NewDecoder(o.Decode)
	return s
}

// Connections returns how many clients are signed in.
func (s *Server) Connections() int { return s.roster.count() }

// Online returns how many of them are as a user.
func (s *Server) Online(user string) int { return s.roster.of(user) }

// Inject understands q.Body as if it came under its topic now, and stores it.
// Its error is Invalid or Malformed if the body is not understood, or says less
// than it must where the topic is not known any more.
func (s *Server) Inject(ctx context.Context, q gatecast.Quarantined) (gatecast.Receipt, error) {
	a, known := parseOrigin(q.Source)
	if !known {
		var err error
		if a, err = s.addressOf(q.Body); err != nil {
			return gatecast.Receipt{}, err
		}
	}
	e, err := s.understand(a, q.Body)
	if err != nil {
		return gatecast.Receipt{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.StoreTimeout)
	defer cancel()
	r, err := s.Journal.Append(ctx, []gatecast.Event{e})
	if err == nil {
		s.metrics.stored([]gatecast.Event{e}, r)
	}
	return r, err
}
