package gatecast

import (
	"iter"
	"strconv"
	"time"
)

// Seq is an event's place in the journal, counted from 1. It is the only
// cursor there is: readers always ask for what comes after a Seq, never for a
// Seq itself, because retention leaves holes. Zero is before the first event.
type Seq uint64

// Kind says what an event is about. Its values are the wire codes of
// SenseLink's push protocol.
type Kind int

const (
	// Record is an authentication record: somebody stood before a device.
	Record Kind = 30000
	// Alarm is a device alarm, pushed once for each state it passes through.
	Alarm Kind = 30100
	// Notice is what gatecast itself has to tell, such as that a subscription's
	// endpoint fails. It is not of the vendor's protocol: nobody can send one in,
	// and only who asks for this kind by name is sent any.
	Notice Kind = 50000
	// Canary is an event that gatecast sends itself, to see that events arrive.
	// Like a notice it is sent to nobody who does not ask by name, and not to
	// subscriptions at all.
	Canary Kind = 50001
)

// Kinds lists the kinds of the vendor's protocol, in order of their codes.
func Kinds() []Kind { return []Kind{Record, Alarm} }

// Valid reports whether k is one of [Kinds].
func (k Kind) Valid() bool { return k == Record || k == Alarm }

// String returns "record", "alarm", "notice", "canary", or the number of a kind not known
// here.
func (k Kind) String() string {
	switch k {
	case Record:
		return "record"
	case Alarm:
		return "alarm"
	case Notice:
		return "notice"
	case Canary:
		return "canary"
	}
	return strconv.Itoa(int(k))
}

// Event is one authentication record or device alarm, or what gatecast adds. Once it is in the
// journal it never changes, and neither may anybody change Data.
type Event struct {
	Seq    Seq       // place in the journal; zero until it is stored
	ID     string    // identity over retries and doors, at most 128 bytes
	Kind   Kind      // record, alarm, notice or canary
	Device string    // LDID of the device ("sn", "deviceSn"); may be empty
	Groups []int64   // IDs of the person's groups; empty for alarms
	At     time.Time // when it happened by the device's clock, to the second; zero if not told
	Stored time.Time // when gatecast accepted it, to the millisecond, UTC
	Source string    // the door it came in by: "push", "mqtt", "sim", "gatecast" or an upstream's name
	Late   bool      // filled in by asking its source, which had not pushed it
	Data   []byte    // the vendor's data object: JSON, key order as it came
}

// Stream is a sequence of events that ends with at most one error. Breaking
// out of the loop releases what the stream holds.
type Stream = iter.Seq2[Event, error]

// Receipt tells a sender what became of its events.
type Receipt struct {
	Accepted   int // newly stored, and on disk
	Duplicates int // already in the journal by ID, dropped
	First      Seq // of the newly stored ones; zero if Accepted is zero
	Last       Seq // of the newly stored ones; zero if Accepted is zero
}

// Extent is what a journal holds at one moment.
type Extent struct {
	Epoch  string // names this journal; a cursor from another epoch means nothing here
	First  Seq    // oldest event still held; Last+1 when there is none
	Last   Seq    // newest event stored, also when retention has removed it
	Events uint64 // how many are held
	Bytes  uint64 // space they take, in bytes
}
