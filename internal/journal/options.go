package journal

import (
	"cmp"
	"log/slog"
	"time"
)

// Sync says when stored events are forced to disk.
type Sync int

const (
	// SyncAlways forces every append to disk before it is acknowledged. A power
	// cut loses nothing that was acknowledged.
	SyncAlways Sync = iota
	// SyncInterval acknowledges from the page cache and forces to disk every
	// Options.SyncEvery. A killed process still loses nothing; a power cut or a
	// kernel crash loses up to SyncEvery of acknowledged events.
	SyncInterval
)

// MaxCall is the most events one Append takes; a call beyond it is refused as
// TooLarge. It is the batch limit of JetStream, so that a call stays atomic.
const MaxCall = 1000

// Options tunes a [Journal]. Dir or URL must be set; the zero value of all
// others suits one site on one machine.
type Options struct {
	// Dir holds the embedded journal. One process at a time: a second one is
	// refused with the process ID of the first.
	Dir string
	// URL names an external NATS cluster instead of Dir ("nats://a:4222,nats://b:4222").
	// Its servers decide about fsync (sync_interval: always) and watch their disks.
	URL string
	// Creds is a NATS credentials file for URL; empty means none.
	Creds string
	// Replicas of the stream, 1 to 5; only with URL. Default 1; use 3 in a cluster.
	Replicas int

	// MaxAge is how long events are kept; default 30 days, negative means for ever.
	MaxAge time.Duration
	// MaxBytes is the space events may take; the oldest go first. Default 10 GiB.
	// -1 is no limit, for an external cluster only.
	MaxBytes int64

	// Dedup tunes the recognition of events that arrive twice.
	Dedup Dedup
	// Commit tunes the group commit.
	Commit Commit
	// Sync is SyncAlways unless you accept what [SyncInterval] says.
	Sync Sync
	// SyncEvery is the pace of SyncInterval; default 1 s.
	SyncEvery time.Duration

	// Check tunes health and damage checks.
	Check Check
	// Log takes the journal's and the embedded server's messages; default discard.
	Log *slog.Logger
}

// Dedup tunes the recognition of duplicates. An ID is forgotten when either
// limit is passed; an event that then comes again is stored a second time. The
// IDs are read back at start, which takes about a second per 80,000 of them.
type Dedup struct {
	Window time.Duration // how long an ID is remembered; default 1 h
	Max    int           // IDs remembered, about 100 bytes each; the oldest is forgotten; at least MaxCall, default 262,144
}

// Commit tunes group commit: what waits while one commit is on its way goes
// into the next one together. A lone caller never waits for company.
type Commit struct {
	Events  int           // most events per commit, 1 to MaxCall; default MaxCall
	Bytes   int           // most bytes per commit, unless one call alone is larger; default 4 MiB
	Queue   int           // bytes waiting; beyond it Append answers Unavailable; default 128 MiB
	Wait    time.Duration // how long a call may expect to wait for its turn; beyond it Append answers Unavailable; default 2 s
	Event   int           // most bytes of one event's Data; beyond it TooLarge; default 4 MiB, at most 7 MiB
	Call    int           // most bytes of one call; beyond it TooLarge; default 64 MiB
	Singles int           // up to so many lone events go as single publishes, not as a batch; default: learned from the disk
	Timeout time.Duration // for one try; an unanswered try is retried with the same IDs; default 5 s
}

// Check tunes health and damage checks.
type Check struct {
	Every   time.Duration // pace of the health poll; default 1 s
	LowDisk int64         // free bytes below which Append answers Unavailable; default 512 MiB; negative: off
	Scrub   int           // events per second of the background check after start; default 20,000; negative: off
	Tail    int           // newest events checked before Open returns; default 4,096
	Ring    int           // newest events kept in memory for readers; older ones are read from disk; default 4,096
	Bytes   int           // bytes the ring may hold, likewise; default 16 MiB

	free func(dir string) (int64, error) // tests replace statfs
}

func (o Options) withDefaults() Options {
	o.Replicas = cmp.Or(o.Replicas, 1)
	o.MaxAge = max(0, cmp.Or(o.MaxAge, 30*24*time.Hour))
	o.MaxBytes = cmp.Or(o.MaxBytes, 10<<30)
	o.SyncEvery = cmp.Or(o.SyncEvery, time.Second)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.Dedup = o.Dedup.withDefaults()
	o.Commit = o.Commit.withDefaults()
	o.Check = o.Check.withDefaults()
	if o.MaxAge > 0 {
		o.Dedup.Window = min(o.Dedup.Window, o.MaxAge)
	}
	return o
}

func (d Dedup) withDefaults() Dedup {
	d.Window = cmp.Or(d.Window, time.Hour)
	d.Max = max(cmp.Or(d.Max, 1<<18), MaxCall) // an event must not push out those of its own call
	return d
}

func (c Commit) withDefaults() Commit {
	c.Events = min(cmp.Or(c.Events, MaxCall), MaxCall)
	c.Bytes = cmp.Or(c.Bytes, 4<<20)
	c.Queue = cmp.Or(c.Queue, 128<<20)
	c.Wait = cmp.Or(c.Wait, 2*time.Second)
	c.Event = min(cmp.Or(c.Event, 4<<20), 7<<20)
	c.Call = cmp.Or(c.Call, 64<<20)
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	return c
}

func (c Check) withDefaults() Check {
	c.Every = cmp.Or(c.Every, time.Second)
	c.LowDisk = cmp.Or(c.LowDisk, 512<<20)
	c.Scrub = cmp.Or(c.Scrub, 20_000)
	c.Tail = cmp.Or(c.Tail, 4096)
	c.Ring = cmp.Or(c.Ring, 4096)
	c.Bytes = cmp.Or(c.Bytes, 16<<20)
	if c.free == nil {
		c.free = freeBytes
	}
	return c
}
