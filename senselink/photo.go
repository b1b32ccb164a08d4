package senselink

import (
	"bytes"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// Photos keeps the photos that stand in events themselves, where the protocol
// has the ID of one. It must be safe for concurrent use.
type Photos interface {
	// Keep stores the photo that came in a field and returns its ID, which takes
	// its place in the event; an empty one empties the field. content is what the
	// field says: decoded from base64, or as it stands if that is none. It may be
	// anything, and must not be kept. An error refuses the body.
	Keep(field string, content []byte) (id string, err error)
}

// PhotoTypeOf returns which type of photo a field of a data object names.
func PhotoTypeOf(field string) gatecast.PhotoType {
	if field == "avatar" || field == "originAvatar" {
		return gatecast.Registered
	}
	return gatecast.Captured
}

// PhotosOf returns the photos that an event names, by the rules of [TraitsOf].
// What cannot be the ID of one is left out.
func PhotosOf(e *gatecast.Event) []gatecast.Photo {
	var all []gatecast.Photo
	members(e.Data, func(name, value []byte) {
		if value[0] != '"' || len(value) < 3 || fieldOf(e.Kind, name).class != photo {
			return
		}
		if id := unquote(value); gatecast.ValidPhotoID(id) {
			all = append(all, gatecast.Photo{Type: PhotoTypeOf(string(name)), ID: id})
		}
	})
	return all
}

// found is a photo that does not stand where it should: in an event itself, or
// beside it.
type found struct {
	field      string
	start, end int64 // of its value in the body; zero if the event has no such member
	beside     bool
}

// photo checks a field that names a photo, and takes note of one that holds it.
func (p *parser) photo(dec *jsontext.Decoder, base int64, name []byte) error {
	v, err := dec.ReadValue()
	if err != nil {
		return p.syntax(err)
	}
	_, beside := p.beside[string(name)]
	if v.Kind() != '"' && v.Kind() != 'n' {
		return p.wrong("/data/"+string(name), v, "a string")
	}
	if beside || p.opts.Photos != nil && inline(v) {
		end := base + dec.InputOffset()
		p.photos = append(p.photos, found{string(name), end - int64(len(v)), end, beside})
	}
	return nil
}

// A value that is not longer is an ID, whatever it looks like.
const longestID = 200

// inline reports whether a field holds a photo, and not the ID of one.
func inline(v jsontext.Value) bool {
	if v.Kind() != '"' || len(v) < len(`"data:"`) {
		return false
	}
	if isDataURL(v[1:]) {
		return true
	}
	if len(v) <= longestID {
		return false
	}
	text := v[1:17]
	if bytes.IndexByte(text, '\\') >= 0 { // "/" is often escaped
		text = textOf(v)
	}
	var head [12]byte
	n, err := base64.StdEncoding.Decode(head[:], text[:min(16, len(text))])
	return err == nil && n == len(head) && isPhoto(head[:])
}

func isDataURL(text []byte) bool {
	return len(text) >= len("data:") && bytes.EqualFold(text[:len("data:")], []byte("data:"))
}

// isPhoto reports whether content begins as images do, also those that are not
// kept: it is better to say so than to pass them on.
func isPhoto(head []byte) bool {
	for _, magic := range []string{"\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "GIF8", "RIFF"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return bytes.HasPrefix(head, []byte("BM")) && string(head[6:10]) == "\x00\x00\x00\x00"
}

// textOf is [unquote] without a copy where there need be none: photos are large.
func textOf(v jsontext.Value) []byte {
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1]
	}
	b, _ := jsontext.AppendUnquote(nil, v) // the parser has accepted it
	return b
}

// contentOf returns what a field that holds a photo says.
func contentOf(v jsontext.Value) []byte {
	text := textOf(v)
	encoded := text
	if isDataURL(text) {
		head, rest, _ := bytes.Cut(text, []byte{','})
		if !strings.HasSuffix(strings.ToLower(string(head)), ";base64") {
			return text
		}
		encoded = rest
	}
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(encoded, "-_") {
		encoding = base64.RawURLEncoding
	}
	encoded = bytes.TrimRight(encoded, "=\r\n")
	content := make([]byte, encoding.DecodedLen(len(encoded)))
	n, err := encoding.Decode(content, encoded)
	if err != nil {
		return text
	}
	return content[:n]
}

// shrinkage returns by how much an event shrinks when the IDs of its photos stand in
// it, in bytes.
func shrinkage(photos []found) int {
	const quotedID = 26
	less := 0
	for _, f := range photos {
		if f.end == 0 {
			less -= len(f.field) + len(`,"":`) + quotedID
		} else {
			less += int(f.end-f.start) - quotedID
		}
	}
	return less
}

// match sees to it that each photo beside the event belongs to one of its
// fields.
func (p *parser) match(kind gatecast.Kind) error {
	for _, field := range slices.Sorted(maps.Keys(p.beside)) {
		if fieldOf(kind, []byte(field)).class != photo {
			e := gatecast.Errorf(gatecast.Invalid, "there is a photo %q, and no field of this event is called so", shorten(field, 60))
			e.Remedy = "name it avatar, signAvatar, signBgAvatar or docPhoto for a record, and alarmPhoto for an alarm"
			return e
		}
		if !slices.ContainsFunc(p.photos, func(f found) bool { return f.field == field }) {
			p.photos = append(p.photos, found{field: field, beside: true})
		}
	}
	return nil
}

// draft is an event whose photos are kept when everything has been understood:
// of a body that is refused nothing stays behind.
type draft struct {
	event  int    // in parser.events
	index  int    // as in gatecast.Place
	data   []byte // part of the body
	start  int64  // of data in the body
	extra  []byte // members that are missing
	photos []found
}

// settle keeps the photos of an event and completes its data.
func (p *parser) settle(d *draft) error {
	var out []byte
	from := d.start
	for _, f := range d.photos {
		id, err := p.keep(d, f)
		if err != nil {
			return err
		}
		if f.end == 0 {
			d.extra = append(append(append(d.extra, `,"`...), f.field...), `":`...)
			d.extra, _ = jsontext.AppendQuote(d.extra, id)
			continue
		}
		out = append(out, p.body[from:f.start]...)
		out, _ = jsontext.AppendQuote(out, id) // an ID is UTF-8
		from = f.end
	}
	out = append(out, d.data[from-d.start:]...)
	p.events[d.event].Data = join(out, d.extra)
	return nil
}

// keep hands one photo over.
func (p *parser) keep(d *draft, f found) (string, error) {
	content := p.beside[f.field]
	if !f.beside {
		content = contentOf(p.body[f.start:f.end])
	}
	id, err := p.opts.Photos.Keep(f.field, content)
	if e, ours := errors.AsType[*gatecast.Error](err); ours && e.Code != gatecast.Unavailable {
		told := *e
		told.At = &gatecast.Place{
			Index: d.index, Path: "/data/" + f.field, Found: strconv.Itoa(len(content)) + " bytes", Expected: "a photo, or the ID of one",
		}
		return "", &told
	}
	return id, err
}
