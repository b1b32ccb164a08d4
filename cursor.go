package gatecast

import (
	"strings"
	"time"
)

// Consumer is whoever a cursor belongs to: an app as a whole, or one of the
// servers of an app that each must miss nothing.
type Consumer struct {
	App  string // key
	Name string // empty for the app as a whole; else made by [NamedConsumer] or [AddressConsumer]
}

const (
	namePrefix    = "name:"
	addressPrefix = "addr:"
)

// NamedConsumer is a client of an app that says its own name.
func NamedConsumer(app, name string) Consumer { return Consumer{app, namePrefix + name} }

// AddressConsumer is the clients of an app at an IP address, without port.
func AddressConsumer(app, ip string) Consumer { return Consumer{app, addressPrefix + ip} }

// ClientName returns the name that a [NamedConsumer] was made with, or "".
func (c Consumer) ClientName() string {
	name, _ := strings.CutPrefix(c.Name, namePrefix)
	if name == c.Name {
		return ""
	}
	return name
}

// Address returns the IP address that an [AddressConsumer] was made with, or "".
func (c Consumer) Address() string {
	ip, _ := strings.CutPrefix(c.Name, addressPrefix)
	if ip == c.Name {
		return ""
	}
	return ip
}

// Cursor is how far a consumer has got, kept by the server between its
// connections.
type Cursor struct {
	Consumer  Consumer
	Epoch     string    // of the journal that Seq is a place in
	Seq       Seq       // everything up to here needs no sending again
	Confirmed time.Time // when the consumer itself last said so; zero if it never has
	Complete  time.Time // nothing accepted since then has been withheld from the consumer
	Lost      uint64    // positions passed over without sending, ever
}

// Reason says why a reader cannot go on where it wants to.
type Reason string

// The reasons there are.
const (
	GapRetention Reason = "retention" // the events have been removed, by age or size
	GapWindow    Reason = "window"    // they are older than the app's catch-up window
	GapEpoch     Reason = "epoch"     // the position belongs to another journal
	GapAhead     Reason = "ahead"     // the position is beyond the end of this journal
)

// GapNotice tells a reader that it goes on after To instead of after From, and
// that what lies between is lost to it. If the reason is [GapEpoch] or
// [GapAhead], From is a position of another journal, and everything that this
// one holds follows.
type GapNotice struct {
	From   Seq
	To     Seq
	Reason Reason
}

// Mode is what a connection is doing.
type Mode string

// The modes there are.
const (
	ModeLive       Mode = "live"        // it has been sent everything
	ModeCatchingUp Mode = "catching up" // it is being sent what came before
	ModeStalled    Mode = "stalled"     // it takes no bytes
)

// Confirmation is how a connection confirms what it has received.
type Confirmation string

// The ways there are.
const (
	ConfirmPong    Confirmation = "pong"    // it answers Pings with their payload
	ConfirmAck     Confirmation = "ack"     // it acknowledges by messages of its own
	ConfirmPending Confirmation = "pending" // it is too early to tell
	ConfirmNone    Confirmation = "none"    // it never does: what it was sent is taken for received
)

// Connection is a consumer's connection as it stands at one moment.
type Connection struct {
	App          string // key; empty for a token's
	Client       string // the name it gave itself; may be empty
	Remote       string // IP address and port
	Transport    string // "websocket" or "sse"
	Connected    time.Time
	Mode         Mode
	Confirmation Confirmation
	Start        Seq           // it began after this position
	Position     Seq           // newest event sent, or passed over by its filter
	Confirmed    Seq           // up to here it has confirmed; zero if nothing yet
	LagEvents    uint64        // positions behind the newest event
	Lag          time.Duration // age of the oldest event it has not been sent; zero if there is none
	Events       uint64        // sent on this connection
	Bytes        uint64        // written to the socket, with headers
}
