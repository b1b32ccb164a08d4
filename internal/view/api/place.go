package api

import (
	"context"
	"fmt"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/resume"
	"github.com/go-json-experiment/json/jsontext"
)

// place is a position in the journal as a request writes it: a number, or a
// text with a number, a time by RFC 3339, "earliest" or "latest". It is empty if
// nothing was said. Whatever else stands there is kept as it is, so that
// position can refuse it in words of its own.
type place string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (p *place) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch value.Kind() {
	case 'n':
		*p = ""
	case '"':
		text, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			return err
		}
		*p = place(text)
	default:
		*p = place(value)
	}
	return nil
}

// Schema implements huma.SchemaProvider.
func (place) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Extensions: map[string]any{"type": []string{"integer", "string", "null"}}}
}

// position finds what p stands for in the journal as it is now; path is where p
// stands in the request. A position is always one after which events are meant,
// and a time is the position of the last event stored before it.
func (s *server) position(ctx context.Context, path string, p place, now gatecast.Extent) (gatecast.Seq, error) {
	since, err := resume.ParseSince(string(p))
	if err != nil {
		return 0, invalid(path, string(p), `a position, a time such as "2026-11-24T09:00:00Z", "earliest" or "latest"`, "this is no place in the journal")
	}
	switch since.Kind {
	case resume.Earliest:
		return max(now.First, 1) - 1, nil
	case resume.AfterSeq:
		if since.Seq > now.Last {
			return 0, invalid(path, string(p), fmt.Sprintf("0 to %d", now.Last), "the position is beyond the newest event")
		}
		return since.Seq, nil
	case resume.AtTime:
		return s.opts.Hooks.Positions.Since(ctx, since.Time)
	case resume.Latest, resume.Unsaid:
	}
	return now.Last, nil
}
