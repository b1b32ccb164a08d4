package wsconn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Status is the code of a Close frame (RFC 6455 section 7.4).
type Status uint16

// The codes of RFC 6455 section 7.4.1 and of the IANA registry that stands
// behind it. 1005 is never sent: it says that a Close frame had no code.
const (
	StatusNormal       Status = 1000
	StatusGoingAway    Status = 1001
	StatusProtocol     Status = 1002
	StatusUnsupported  Status = 1003
	StatusNone         Status = 1005
	StatusBadPayload   Status = 1007
	StatusPolicy       Status = 1008
	StatusTooBig       Status = 1009
	StatusInternal     Status = 1011
	StatusRestart      Status = 1012
	StatusTryLater     Status = 1013
	maxControl                = 125 // RFC 6455 section 5.5
	maxReason                 = maxControl - 2
	statusFirstLibrary Status = 3000
	statusLastPrivate  Status = 4999
)

// Valid reports whether s may stand in a Close frame.
func (s Status) Valid() bool {
	switch {
	case s >= 1000 && s <= 1003, s >= 1007 && s <= 1014:
		return true
	default:
		return s >= statusFirstLibrary && s <= statusLastPrivate
	}
}

// Errors of a connection that ended, or is about to end, without a Close
// frame from the client.
var (
	// ErrClosing is returned by Push and Ping once a Close frame is on its way.
	ErrClosing = errors.New("websocket: connection is closing")
	// ErrStalled means that the client took no byte for Options.WriteStall.
	ErrStalled = errors.New("websocket: client stopped reading")
	// ErrAborted means that Abort was called.
	ErrAborted = errors.New("websocket: connection aborted")
)

// CloseError says how a closing handshake began and whether it was completed.
type CloseError struct {
	Code   Status // what stood in the first Close frame; StatusNone if nothing
	Reason string // at most 123 bytes of UTF-8
	Remote bool   // the client began
	Clean  bool   // Close frames went both ways
}

// Error returns the code, who sent it, and the reason.
func (e *CloseError) Error() string {
	by := "server"
	if e.Remote {
		by = "client"
	}
	s := fmt.Sprintf("websocket: closed by the %s with %d", by, e.Code)
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// violation is the end of a connection whose client broke the protocol.
func violation(code Status, reason string) *CloseError {
	return &CloseError{Code: code, Reason: reason}
}

// closeBody encodes the payload of a Close frame. A reason that is too long
// is cut at a rune; an invalid code becomes 1011, StatusNone an empty body.
func closeBody(code Status, reason string) []byte {
	if code == StatusNone {
		return nil
	}
	if !code.Valid() {
		code = StatusInternal
	}
	for len(reason) > maxReason || !utf8.ValidString(reason) {
		if len(reason) <= maxReason && !utf8.ValidString(reason) {
			reason = ""
			break
		}
		_, n := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-n]
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// parseClose reads the payload of the client's Close frame. What the RFC
// forbids there becomes a violation of ours.
func parseClose(p []byte) *CloseError {
	if len(p) == 0 {
		return &CloseError{Code: StatusNone, Remote: true}
	}
	if len(p) == 1 {
		return violation(StatusProtocol, "close frame with half a status code")
	}
	code := Status(binary.BigEndian.Uint16(p))
	if !code.Valid() {
		return violation(StatusProtocol, "close frame with a status code that must not be sent")
	}
	if !utf8.Valid(p[2:]) {
		return violation(StatusBadPayload, "close reason is not UTF-8")
	}
	return &CloseError{Code: code, Reason: string(p[2:]), Remote: true}
}

// String returns the number.
func (s Status) String() string { return strconv.Itoa(int(s)) }
