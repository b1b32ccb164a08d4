package gatecast

import (
	"errors"
	"fmt"
	"time"
)

// Code classifies an error for machines. Each door has one exhaustive switch
// from codes to its own numbers (HTTP status, close code, exit status).
type Code int

const (
	// Internal is a fault of gatecast itself; an error without a code counts as one.
	Internal Code = iota
	// Invalid is a request that can never succeed as it is.
	Invalid
	// Malformed is input that cannot even be read: no JSON, no UTF-8.
	Malformed
	// TooLarge is input beyond a configured limit.
	TooLarge
	// Unauthenticated is a missing or unknown credential.
	Unauthenticated
	// Forbidden is a known caller without the right to do this.
	Forbidden
	// NotFound is a thing that does not exist.
	NotFound
	// Conflict is a thing that exists already or has changed meanwhile.
	Conflict
	// Gap is a cursor whose next events are no longer, or not yet, in this journal.
	Gap
	// TooMany is a caller over its rate or count.
	TooMany
	// Unavailable is a service that cannot do this at the moment; try again.
	Unavailable
)

// String returns the code as it stands in JSON: "invalid", "not_found".
func (c Code) String() string {
	names := [...]string{
		"internal", "invalid", "malformed", "too_large", "unauthenticated", "forbidden",
		"not_found", "conflict", "gap", "too_many", "unavailable",
	}
	if c < 0 || int(c) >= len(names) {
		return "internal"
	}
	return names[c]
}

// Error is an error with a code for machines and a sentence for people.
type Error struct {
	Code    Code
	Message string        // what is wrong, as a sentence without its full stop
	Remedy  string        // what to do next; may be empty
	At      *Place        // where in the input; nil if it is not about a place
	Retry   time.Duration // when trying again makes sense; zero if unknown
	Cause   error         // what lies behind it; for logs, never shown to a caller
}

// Place points into the input that an error is about.
type Place struct {
	Index    int    // which event of a batch, from 0; -1 if the input is no batch
	Path     string // JSON Pointer of the field (RFC 6901), "/data/signTime"
	Found    string // what stands there, shortened
	Expected string // what should stand there
}

// Error returns the message, the place and the remedy in one line.
func (e *Error) Error() string {
	s := e.Message
	if e.At != nil && e.At.Path != "" {
		s = e.At.Path + ": " + s
	}
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an [Error] with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of the first [Error] in err's chain, or Internal.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}
