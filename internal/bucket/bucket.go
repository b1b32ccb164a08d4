// Package bucket is a small key-value store with revisions: on JetStream, where
// all nodes of a cluster see the same one, and in memory.
//
// It owns how a bucket is made and asked, what an answer that does not come
// means, and the lease by which one of several nodes does what only one may do.
// It never knows what lies in a bucket. Start at [Bucket], [Open] and [Mem];
// [Follow] keeps a watch up, and [Lease] is in lease.go.
package bucket

import (
	"context"
	"errors"

	"github.com/gatecast/gatecast"
)

// Bucket is a key-value store with revisions, which rise over the whole bucket,
// so that those of two keys can be compared. Its methods may be called from any
// goroutine. Errors other than ErrMissing and ErrChanged are gatecast errors with
// the code Unavailable: they are about the connection or the server behind it.
type Bucket interface {
	// Get returns the entry of a key as it stands, or ErrMissing.
	Get(ctx context.Context, key string) (Entry, error)
	// Put writes a value if the key's revision is still rev (0: there is no such
	// key), and returns the new revision; else ErrChanged. After any other error
	// the value may have been written.
	Put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error)
	// Set writes a value whatever there is. After an error it may have been
	// written.
	Set(ctx context.Context, key string, value []byte) (uint64, error)
	// Delete removes a key if its revision is still rev, else ErrChanged; 0
	// removes it whatever there is. After any other error it may be gone.
	Delete(ctx context.Context, key string, rev uint64) error
	// Watch calls tell with the newest entry of every key there is, in the order
	// of their revisions, then with one that is Synced, then with every change in
	// order, until tell returns false (then it returns nil), ctx ends or the
	// watch is lost. Keys that were removed may be told of, too.
	Watch(ctx context.Context, what What, tell func(Entry) bool) error
	// Limit is the most bytes of a value.
	Limit() int
}

// Entry is a key's state at a revision.
type Entry struct {
	Key    string
	Value  []byte // nobody may change it
	Rev    uint64
	Gone   bool // the key was removed at Rev
	Synced bool // no entry: all that existed when the watch began has been told
}

// What is what a watch tells.
type What int

// A watch tells entries whole, or without their values.
const (
	Whole What = iota
	Keys
)

var (
	// ErrMissing is the answer about a key that is not there.
	ErrMissing = errors.New("no such key")
	// ErrChanged is the answer to a change that was made for another revision.
	ErrChanged = errors.New("the key has changed meanwhile")

	errTooLarge = errors.New("the value is larger than a message may be")
)

const (
	// overhead is what a message needs beside its value: subject and headers.
	overhead = 4 << 10
	// usual is the most bytes of a value that a server takes unless told
	// otherwise.
	usual = 1<<20 - overhead
)

// Unavailable is the error of a bucket that cannot be asked, in words that fit
// every bucket.
func Unavailable(cause error) error {
	return &gatecast.Error{
		Code:    gatecast.Unavailable,
		Message: "what is stored cannot be read or written",
		Remedy:  "try again; a change that was under way may have been made",
		Cause:   cause,
	}
}
