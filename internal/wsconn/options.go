package wsconn

import (
	"cmp"
	"log/slog"
	"time"
)

// Options tunes connections. The zero value suits a server that mostly
// pushes and hears little from its clients.
type Options struct {
	// MaxMessage is the largest message taken from the client, in bytes,
	// after reassembly and after inflating. Beyond it the connection is closed
	// with 1009. It also bounds the memory of a half-received message.
	// Default 64 KiB.
	MaxMessage int64

	// Deflate allows permessage-deflate (RFC 7692), without context takeover
	// in either direction, for clients that ask for it.
	Deflate bool

	// DeflateMin is the smallest payload, in bytes, that is sent deflated;
	// shorter ones gain nothing. Default 256.
	DeflateMin int

	// MaxInbound is how much is read from the client, in bytes a second, each
	// frame counting [frameCost] more than its bytes; a second's worth may come
	// at once. Beyond it the client is read later, and TCP holds it back: what
	// it says has no other limit, and costs time that others wait for. Default
	// 1 MiB, which is 4,000 small messages a second; negative means no limit.
	MaxInbound int64

	// CloseTimeout is how long a closing handshake may take, from the first
	// Close frame to the end of the connection. When it is over, the TCP
	// connection is closed without further ado. Default 5 s.
	CloseTimeout time.Duration

	// AcceptTimeout is how long writing the answer to the opening handshake
	// may take. When it is over, Upgrade fails. Default 10 s.
	AcceptTimeout time.Duration

	// WriteStall is how long a client may take not a single byte while bytes
	// wait for it. When it is over, the connection is reset and Serve returns
	// [ErrStalled]. Default 1 min; negative means for ever.
	WriteStall time.Duration

	// Log hears about clients that break the protocol, at level Debug.
	// Default: discard.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	o.MaxMessage = cmp.Or(o.MaxMessage, 64<<10)
	o.DeflateMin = cmp.Or(o.DeflateMin, 256)
	o.MaxInbound = cmp.Or(o.MaxInbound, 1<<20)
	o.CloseTimeout = cmp.Or(o.CloseTimeout, 5*time.Second)
	o.AcceptTimeout = cmp.Or(o.AcceptTimeout, 10*time.Second)
	o.WriteStall = cmp.Or(o.WriteStall, time.Minute)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return o
}
