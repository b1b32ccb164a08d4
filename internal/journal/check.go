package journal

import (
	"fmt"

	"github.com/gatecast/gatecast"
)

// overhead is what an event costs beside its Data: headers, record, index.
const overhead = 512

// validate refuses what can never be stored; size is what the call costs.
func validate(events []gatecast.Event, c Commit) (size int, err error) {
	if len(events) > MaxCall {
		return 0, &gatecast.Error{
			Code: gatecast.TooLarge, Message: fmt.Sprintf("%d events in one call, at most %d are allowed", len(events), MaxCall),
			Remedy: "send them in several calls",
		}
	}
	for i := range events {
		e := &events[i]
		switch {
		case e.ID == "":
			return 0, invalid(i, "/id", "", "an ID of 1 to 128 bytes")
		case len(e.ID) > 128:
			return 0, invalid(i, "/id", fmt.Sprintf("%d bytes", len(e.ID)), "an ID of 1 to 128 bytes")
		case len(e.Device) > 256:
			return 0, invalid(i, "/device", fmt.Sprintf("%d bytes", len(e.Device)), "at most 256 bytes")
		case len(e.Source) > 256:
			return 0, invalid(i, "/source", fmt.Sprintf("%d bytes", len(e.Source)), "at most 256 bytes")
		case len(e.Groups) > 4096:
			return 0, invalid(i, "/groups", fmt.Sprintf("%d groups", len(e.Groups)), "at most 4096 groups")
		case len(e.Data) > c.Event:
			return 0, tooLarge(i, len(e.Data), c.Event)
		}
		size += len(e.Data) + overhead
	}
	if size > c.Call {
		return 0, &gatecast.Error{
			Code: gatecast.TooLarge, Message: fmt.Sprintf("a call of %d bytes, at most %d are allowed", size, c.Call),
			Remedy: "send them in several calls",
		}
	}
	return size, nil
}

func invalid(i int, path, found, expected string) error {
	return &gatecast.Error{
		Code: gatecast.Invalid, Message: "the event cannot be stored: expected " + expected,
		At: &gatecast.Place{Index: i, Path: path, Found: found, Expected: expected},
	}
}

func tooLarge(i, found, limit int) error {
	return &gatecast.Error{
		Code: gatecast.TooLarge, Message: "the event's data is too large",
		At: &gatecast.Place{
			Index: i, Path: "/data", Found: fmt.Sprintf("%d bytes", found), Expected: fmt.Sprintf("at most %d bytes", limit),
		},
	}
}

// gapError tells a reader that what follows its cursor is not here.
func gapError(after, first, last gatecast.Seq) error {
	if after > last {
		return &gatecast.Error{
			Code: gatecast.Gap, Message: fmt.Sprintf("the journal ends at %d, nothing can come after %d yet", last, after),
			Remedy: "the cursor is from another journal (see its epoch) or its events were lost; start again from the last one here",
		}
	}
	return &gatecast.Error{
		Code: gatecast.Gap, Message: fmt.Sprintf("the events after %d up to %d are no longer in the journal", after, first-1),
		Remedy: fmt.Sprintf("accept the loss and go on after %d, or keep events longer (max age, max bytes)", first-1),
	}
}

func errClosed() error {
	return gatecast.Errorf(gatecast.Unavailable, "the journal is closed")
}
