package push

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

const (
	eventPart = "event"
	mostParts = 8 // the event, and more photos than any has
)

// load is a body, and how it is to be understood.
type load struct {
	body     io.Reader
	format   senselink.Format
	boundary string // of multipart/form-data; empty: it is none
}

// boundaryOf returns what separates the parts of a body of this content type.
func boundaryOf(contentType string) (boundary string, isForm bool, err error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/form-data" {
		return "", false, nil
	}
	if params["boundary"] == "" {
		e := gatecast.Errorf(gatecast.Invalid, "the content type multipart/form-data has no boundary")
		e.Remedy = "let your HTTP library set the content type"
		return "", true, e
	}
	return params["boundary"], true, nil
}

// decode understands a body.
func (h *Handler) decode(l load) ([]gatecast.Event, error) {
	if l.boundary == "" {
		return h.decoder.Decode(l.body, l.format, h.opts.Now())
	}
	// What is sent uncompressed is bounded already, what is inflated is not.
	inside := &io.LimitedReader{R: l.body, N: h.opts.Decode.MaxBody + 1}
	event, photos, err := readForm(multipart.NewReader(inside, l.boundary))
	if inside.N <= 0 {
		err = tooLarge(h.opts.Decode.MaxBody)
	}
	if err != nil {
		return nil, err
	}
	return h.decoder.DecodeWith(bytes.NewReader(event), photos, h.opts.Now())
}

// readForm reads one event and its photos: parts that are named for the fields
// that they belong to, in any order.
func readForm(form *multipart.Reader) (event []byte, photos map[string][]byte, err error) {
	photos = make(map[string][]byte)
	for n := 0; ; n++ {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, brokenForm(err)
		}
		if n == mostParts {
			return nil, nil, formError("the form has more than %d parts", mostParts)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, nil, brokenForm(err)
		}
		name := part.FormName()
		_, again := photos[name]
		switch {
		case again || name == eventPart && event != nil:
			return nil, nil, formError("the form has two parts with the name %.60q", name)
		case name == eventPart:
			event = content
		default:
			photos[name] = content
		}
	}
	if event == nil {
		return nil, nil, formError("the form has no part with the name %q", eventPart)
	}
	return event, photos, nil
}

func formError(format string, args ...any) error {
	e := gatecast.Errorf(gatecast.Invalid, format, args...)
	e.Remedy = "send one part with the name event, which holds one event as JSON, and one for each photo, with the name of its field"
	return e
}

// brokenForm keeps errors that say more than that the form is broken.
func brokenForm(err error) error {
	if e, ours := errors.AsType[*gatecast.Error](err); ours {
		return e
	}
	e := gatecast.Errorf(gatecast.Malformed, "the body is not the multipart/form-data that Content-Type announces, or ends too early")
	e.Cause = err
	return e
}
