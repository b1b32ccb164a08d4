// Package photo keeps images in files, each under its type and ID.
//
// It owns what counts as a photo (by its content, never by anybody's word), the
// files, the small copies of them, how long they are kept and how much room they
// take. It never changes the bytes of a photo, never fetches one, and never
// decides who may see one. Start at [Open], [Store.Keep] and [Store.Run].
//
// # What is promised
//
// When Keep or Put returns without an error, the photo is on disk, by fsync. The
// first photo under an ID stays: a second one with other bytes is not taken.
// Which photos go, and when, is written at sweep.go.
package photo

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/gatecast/gatecast"
)

// Options tunes a Store. The zero value suits, but for Dir.
type Options struct {
	Dir       string // of the files; made if missing
	MaxSize   int64  // bytes of one photo; default 2 MiB
	MaxPixels int64  // width times height of one photo; default 16,000,000
	MaxBytes  int64  // of all files; beyond it the oldest go; default 8 GiB
	// Registered and Captured are how long photos are kept since they last came
	// in; 0: until their room is needed.
	Registered time.Duration
	Captured   time.Duration
	Thumb      int           // longer side of a small copy, in pixels; default 160
	Thumbers   int           // small copies made at once; each may take 12 bytes of memory a pixel; default 2
	SweepEvery time.Duration // between two looks at all files; default 10 min

	Now func() time.Time // default time.Now
	Log *slog.Logger     // default: discard
}

func (o Options) withDefaults() Options {
	o.MaxSize = cmp.Or(o.MaxSize, 2<<20)
	o.MaxPixels = cmp.Or(o.MaxPixels, 16_000_000)
	o.MaxBytes = cmp.Or(o.MaxBytes, 8<<30)
	o.Thumb = cmp.Or(o.Thumb, 160)
	o.Thumbers = cmp.Or(o.Thumbers, 2)
	o.SweepEvery = cmp.Or(o.SweepEvery, 10*time.Minute)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Store holds photos. Its methods may be called from any goroutine.
type Store struct {
	opts    Options
	mark    string // in the names of files that this process is writing
	metrics *metrics
	thumbs  chan struct{} // a token for each small copy that is being made
	full    chan struct{} // holds a token when the room is used up
	bytes   atomic.Int64  // of all files, as far as the last sweep and what came since tell
	outage  atomic.Bool   // the disk has failed and not worked since
	dropped seldom        // for the log
}

// Open opens the store in a directory. Its error is Invalid if an option cannot
// stand, and Unavailable if the directory cannot be made.
func Open(o Options) (*Store, error) {
	o = o.withDefaults()
	if o.Dir == "" || o.MaxSize < 1 || o.MaxPixels < 1 || o.MaxBytes < o.MaxSize || o.Registered < 0 || o.Captured < 0 || o.Thumb < 1 || o.Thumbers < 1 {
		return nil, gatecast.Errorf(gatecast.Invalid, "photos need a directory, and room for one of %d bytes", o.MaxSize)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, unavailable(fmt.Errorf("make the directory of the photos: %w", err))
	}
	s := &Store{opts: o, mark: rand.Text(), thumbs: make(chan struct{}, o.Thumbers), full: make(chan struct{}, 1)}
	s.metrics = newMetrics(s)
	return s, nil
}

// unavailable is an error that says to try again.
func unavailable(cause error) error {
	e := gatecast.Errorf(gatecast.Unavailable, "photos cannot be stored at the moment")
	e.Remedy = "try again; the server's log says what is wrong"
	e.Cause = cause
	return e
}
