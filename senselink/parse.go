package senselink

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// parser decodes one body in a single pass of its tokens.
type parser struct {
	opts    *Options
	now     time.Time
	index   int    // of the event in hand; -1 while there is no batch
	inArray bool   // the batch is a JSON array
	body    []byte // everything, so that offsets of dec index it
	scratch *scratch
	events  []gatecast.Event
	device  string // of the event before

	photos []found           // of the event in hand
	beside map[string][]byte // photos that came beside the one event there is, by field
	drafts []draft           // events that wait for their photos to be kept; as many as the batch at most
}

// parse reads all events of the body.
func (p *parser) parse(f Format) ([]gatecast.Event, error) {
	// RFC 8259, section 8.1, lets a parser ignore a byte order mark.
	p.body = bytes.TrimPrefix(p.body, []byte("\xef\xbb\xbf"))
	p.scratch.view = *bytes.NewBuffer(p.body)
	dec := &p.scratch.dec
	dec.Reset(&p.scratch.view)
	first := dec.PeekKind()
	if len(bytes.TrimLeft(p.body, " \t\r\n")) == 0 {
		e := gatecast.Errorf(gatecast.Malformed, "the body is empty")
		e.Remedy = "send one event object, or an array of them"
		return nil, e
	}
	var err error
	switch {
	case f == NDJSON:
		err = p.sequence(dec)
	case first == '[' && p.beside != nil:
		err = gatecast.Errorf(gatecast.Invalid, "there are several events, and one is expected where photos come beside it")
	case first == '[':
		err = p.array(dec)
	default:
		err = p.event(dec)
	}
	if err == nil {
		err = p.end(dec)
	}
	for i := 0; err == nil && i < len(p.drafts); i++ {
		err = p.settle(&p.drafts[i])
	}
	if err != nil {
		return nil, err
	}
	return p.events, nil
}

func (p *parser) sequence(dec *jsontext.Decoder) error {
	p.index = 0
	for {
		if p.atEnd(dec) {
			return nil
		}
		if err := p.next(dec); err != nil {
			return err
		}
	}
}

func (p *parser) array(dec *jsontext.Decoder) error {
	if _, err := dec.ReadToken(); err != nil {
		return p.syntax(err)
	}
	p.index, p.inArray = 0, true
	for dec.PeekKind() != ']' {
		if err := p.next(dec); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return p.syntax(err)
}

// next reads one event of a batch.
func (p *parser) next(dec *jsontext.Decoder) error {
	if p.index >= p.opts.MaxBatch {
		return limit(gatecast.TooLarge, nil, "ingest.max_batch", "the body has more than %d events", p.opts.MaxBatch)
	}
	err := p.event(dec)
	p.index++
	return err
}

func (p *parser) atEnd(dec *jsontext.Decoder) bool {
	return len(bytes.TrimLeft(p.body[dec.InputOffset():], " \t\r\n")) == 0
}

// end makes sure that nothing follows.
func (p *parser) end(dec *jsontext.Decoder) error {
	if p.atEnd(dec) {
		return nil
	}
	e := gatecast.Errorf(gatecast.Malformed, "something follows the JSON value, at byte %d of the body", dec.InputOffset())
	e.Remedy = "send several events as an array, or as application/x-ndjson"
	return e
}

// syntax turns an error of the JSON parser into ours; nil stays nil.
func (p *parser) syntax(err error) error {
	if err == nil {
		return nil
	}
	e := gatecast.Errorf(gatecast.Malformed, "the body is not valid JSON")
	e.Cause = err
	e.At = &gatecast.Place{Index: p.index}
	var s *jsontext.SyntacticError
	if !errors.As(err, &s) {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			e.Message = "the body ends in the middle of a JSON value"
		}
		return e
	}
	e.At.Path = p.pointer(s.JSONPointer)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		e.Message = "the body ends in the middle of a JSON value"
	case errors.Is(err, jsontext.ErrDuplicateName):
		e.Message = "the same member name stands twice in one object"
	case !utf8.Valid(p.body):
		e.Message = "the body is not valid UTF-8"
		e.Remedy = "send JSON encoded as UTF-8"
	default:
		e.Message = "the body is not valid JSON: " + s.Err.Error()
	}
	e.Message += fmt.Sprintf(", at byte %d of the body", s.ByteOffset)
	return e
}

// pointer returns the parser's JSON Pointer as one into the event in hand: the
// index into the array is in Place.Index.
func (p *parser) pointer(ptr jsontext.Pointer) string {
	path := string(ptr)
	if p.inArray {
		_, path, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
		if path != "" {
			path = "/" + path
		}
	}
	return shorten(path, 200)
}
