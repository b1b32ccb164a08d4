package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/config"
)

// Exit statuses, listed for users in exitStatuses and docs/cli.md.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRefused     = 3
	exitNotFound    = 4
	exitUnavailable = 5
)

// usageError is a command line that cannot be understood.
type usageError struct {
	text string
	hint string
}

func (e *usageError) Error() string { return e.text }

func usage(c *cli.Command, format string, args ...any) *usageError {
	return &usageError{
		text: fmt.Sprintf(format, args...),
		hint: fmt.Sprintf("see: %s --help", strings.TrimSpace(c.FullName())),
	}
}

// exitStatus is the one place where errors become numbers.
func exitStatus(err error) int {
	var wrong *usageError
	var settings *config.LoadError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &wrong), errors.As(err, &settings):
		return exitUsage
	}
	switch gatecast.CodeOf(err) {
	case gatecast.Unauthenticated, gatecast.Forbidden:
		return exitRefused
	case gatecast.NotFound:
		return exitNotFound
	case gatecast.Unavailable, gatecast.TooMany:
		return exitUnavailable
	case gatecast.Internal, gatecast.Invalid, gatecast.Malformed, gatecast.TooLarge, gatecast.Conflict, gatecast.Gap:
		return exitFailed
	}
	return exitFailed
}

// report writes what went wrong and, on a second line, what to do next.
func report(w io.Writer, err error) {
	text, next := err.Error(), ""
	var wrong *usageError
	var e *gatecast.Error
	switch {
	case errors.Is(err, context.Canceled):
		text = "interrupted before it was done"
	case errors.As(err, &wrong):
		next = wrong.hint
	case errors.As(err, &e) && text == e.Error():
		text, next = e.Message, e.Remedy
		if e.At != nil {
			text = place(e.At) + text
		}
	}
	fmt.Fprintf(w, "gatecast: %s\n", text)
	if next != "" {
		fmt.Fprintf(w, "  %s\n", next)
	}
}

// atFlag turns a refusal that names a field of the request, as a JSON Pointer,
// into one that names the flag or argument that the user wrote it in.
func atFlag(err error, flags map[string]string) error {
	var e *gatecast.Error
	if !errors.As(err, &e) || e.At == nil {
		return err
	}
	path := strings.TrimPrefix(e.At.Path, "/")
	field, _, _ := strings.Cut(path, "/")
	flag, ok := flags[path] // a field of a field may have a flag of its own
	if !ok {
		flag, ok = flags[field]
	}
	if !ok {
		return err
	}
	told, at := *e, *e.At
	at.Path = flag
	told.At = &at
	return &told
}

// place is where in the input an error lies, as the beginning of its sentence.
func place(at *gatecast.Place) string {
	var s string
	if at.Index >= 0 {
		s = fmt.Sprintf("event %d: ", at.Index)
	}
	if at.Path != "" {
		s += at.Path + ": "
	}
	return s
}
