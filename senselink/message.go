package senselink

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// Codes of the messages from server to client. The codes of pushes are the
// values of [gatecast.Kind].
const (
	CodeHeartBeat = 10000 // sent at an interval
	CodeConnected = 20000 // sent right after a successful connect
	CodeDenied    = 20002 // sent instead of it; then the server closes

	// The codes below are not the vendor's. Only clients that ask for more than
	// the vendor's protocol in their URL are sent them, right after CodeConnected.
	CodeResumed = 20010 // it goes on where it wanted to
	CodeGap     = 20011 // it does not, and why
)

const (
	// Connected is the body of the first message of an accepted connection.
	Connected = `{"code":20000,"message":"Connected!","desc":"Connected!"}`
	// HeartBeat is the body of every heartbeat.
	HeartBeat = `{"code":10000,"desc":"heart beat","message":"heart beat"}`
)

// Denied returns the body of the only message of a refused connection.
func Denied(desc string) []byte {
	dst := []byte(`{"code":20002,"message":"Permission Denied!","desc":`)
	// The one error there is reports bytes that are not UTF-8; they have been
	// replaced by U+FFFD then, which is what a reader should see.
	dst, _ = jsontext.AppendQuote(dst, desc)
	return append(dst, '}')
}

// AppendPush appends the body of the push of e to dst and returns the result.
// Data goes out byte for byte. The bytes depend on nothing but e, so one
// encoding serves every connection.
func AppendPush(dst []byte, e *gatecast.Event) []byte {
	return appendData(append(appendHead(dst, e), '"'), e)
}

// appendHead appends a push up to its message, without the closing quote.
func appendHead(dst []byte, e *gatecast.Event) []byte {
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendInt(dst, int64(e.Kind), 10)
	dst = append(dst, `,"desc":"","message":"push `...)
	return append(dst, e.Kind.String()...)
}

func appendData(dst []byte, e *gatecast.Event) []byte {
	dst = append(dst, `,"data":`...)
	if len(e.Data) == 0 {
		return append(dst, `{}}`...)
	}
	dst = append(dst, e.Data...)
	return append(dst, '}')
}

// AppendNumbered appends the push of e for a client that asked for numbers:
// with "seq", "epoch" and, if it was accepted before the client connected,
// "replay" before the data; and with "late" if it was.
func AppendNumbered(dst []byte, e *gatecast.Event, epoch string, replay bool) []byte {
	dst = append(appendHead(dst, e), `","seq":`...)
	dst = strconv.AppendUint(dst, uint64(e.Seq), 10)
	dst = append(dst, `,"epoch":`...)
	dst, _ = jsontext.AppendQuote(dst, epoch) // fails only on what is not UTF-8; an epoch is ASCII
	if replay {
		dst = append(dst, `,"replay":true`...)
	}
	if e.Late {
		dst = append(dst, `,"late":true`...)
	}
	return appendData(dst, e)
}

// Resumed returns the body of CodeResumed: the client is sent what comes after
// a position; head is the newest one there is.
func Resumed(after, head gatecast.Seq, epoch string) []byte {
	dst := []byte(`{"code":20010,"message":"resumed","desc":"","data":{"after":`)
	dst = strconv.AppendUint(dst, uint64(after), 10)
	return appendEnd(dst, head, epoch)
}

// Gap returns the body of CodeGap: the client wanted what comes after g.From,
// and is sent what comes after g.To.
func Gap(g gatecast.GapNotice, head gatecast.Seq, epoch string) []byte {
	dst := []byte(`{"code":20011,"message":"gap","desc":"","data":{"from":`)
	dst = strconv.AppendUint(dst, uint64(g.From), 10)
	dst = append(dst, `,"to":`...)
	dst = strconv.AppendUint(dst, uint64(g.To), 10)
	dst = append(dst, `,"reason":`...)
	dst, _ = jsontext.AppendQuote(dst, string(g.Reason))
	return appendEnd(dst, head, epoch)
}

func appendEnd(dst []byte, head gatecast.Seq, epoch string) []byte {
	dst = append(dst, `,"head":`...)
	dst = strconv.AppendUint(dst, uint64(head), 10)
	dst = append(dst, `,"epoch":`...)
	dst, _ = jsontext.AppendQuote(dst, epoch)
	return append(dst, `}}`...)
}
