package api

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// change is a member of a request that leaves alone what it does not name. It
// is absent, a value, or null, which stands for the default: the empty list, no
// headers, no credentials.
type change[T any] struct {
	given bool
	value T
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. The members of a value are
// read as strictly as the body around it: the decoder carries that along.
func (c *change[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*c = change[T]{given: true}
	return json.UnmarshalDecode(dec, &c.value)
}

// Schema implements huma.SchemaProvider.
func (change[T]) Schema(r huma.Registry) *huma.Schema {
	s := huma.SchemaFromType(r, reflect.TypeFor[T]())
	s.Nullable = true
	return s
}

// to puts the value where it belongs, if there is one.
func (c *change[T]) to(where *T) {
	if c.given {
		*where = c.value
	}
}
