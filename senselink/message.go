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
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendInt(dst, int64(e.Kind), 10)
	dst = append(dst, `,"desc":"","message":"push `...)
	dst = append(dst, e.Kind.String()...)
	dst = append(dst, `","data":`...)
	if len(e.Data) == 0 {
		return append(dst, `{}}`...)
	}
	dst = append(dst, e.Data...)
	return append(dst, '}')
}
