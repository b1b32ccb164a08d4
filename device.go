package gatecast

import "time"

// Device is a terminal, as its events tell of it.
type Device struct {
	SN        string        // LDID
	Name      string        // as its latest event has it; may be empty
	Place     string        // likewise
	Source    string        // the door that its latest event came in by
	First     time.Time     // when the first event that is known of it happened
	Seen      time.Time     // when the latest one happened, by the server's clock; zero if only an alarm about its absence is known
	Stored    time.Time     // when the latest one was stored
	Behind    time.Duration // how far its clock is behind the server's, negative if ahead; 0 unless that is certain
	Records   uint64
	Alarms    uint64 // without those that only tell that it is away
	Freshness Freshness
	Silence   Silence
}

// Freshness is how recent what is known of something is, and what that means.
type Freshness struct {
	State Fresh
	Since time.Time // when State became so; zero if that is not known
	Why   string    // a sentence without its full stop
}

// Fresh is what a silence means.
type Fresh string

// The states there are.
const (
	FreshLive    Fresh = "live"    // heard of a moment ago
	FreshQuiet   Fresh = "quiet"   // silent, as is usual
	FreshStale   Fresh = "stale"   // silent, though it should have been heard of
	FreshDead    Fresh = "dead"    // silent for so long that somebody has to go and look
	FreshUnknown Fresh = "unknown" // silent, and nobody can say whether that is its own fault
)

// FreshStates lists every state there is.
func FreshStates() []Fresh {
	return []Fresh{FreshLive, FreshQuiet, FreshStale, FreshDead, FreshUnknown}
}

// Away reports whether the state means that something is to be blamed for its
// own silence.
func (f Fresh) Away() bool { return f == FreshStale || f == FreshDead }

// Silence is how a device's silence compares with what is usual for it.
type Silence struct {
	Missed float64       // events that it should have sent since it was last heard of, by its rhythm
	Limit  float64       // so many of them make it stale
	Usual  time.Duration // the silence at which that is reached, counted from when it was last heard of; 0: within 5 weeks it is not
	Learnt time.Time     // before this moment nobody can say what is usual
}

// Rhythm is how many events each hour of a week has, on average of the last
// weeks: Monday from 0 to 1 o'clock first, in the site's zone.
type Rhythm [7 * 24]float64

// DeviceQuery chooses devices. An empty field lets everything through.
type DeviceQuery struct {
	State  Fresh
	Source string
	Text   string // part of the LDID, the name or the place, in upper or lower case
	After  string // only LDIDs behind this one
	Limit  int    // at most so many; 0: all
}

// DevicePage is part of the devices.
type DevicePage struct {
	Devices []Device      // by LDID
	More    bool          // there are others behind the last one
	Counts  map[Fresh]int // of all devices there are, whatever was asked for
}

// Outage is a time for which a device was to be blamed for its silence, as
// alarm 30001 tells of it.
type Outage struct {
	Device Device
	ID     int64     // the vendor's number of the device; 0 if it was never told
	Trace  string    // names the outage; the same on every node and after a restart
	Raised bool      // the journal has the alarm
	Since  time.Time // when the device became stale
	Ended  time.Time // when it was heard of again, or forgotten; zero: it is still away
}
