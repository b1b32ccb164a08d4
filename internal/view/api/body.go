package api

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
	"github.com/gatecast/gatecast/internal/problem"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// unmarshal reads a body strictly: names as they are spelt, and none twice.
func unmarshal(data []byte, v any) error {
	err := json.Unmarshal(data, v, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	return explain(data, err)
}

// bodyError is why a body cannot be read. huma passes on no more than its
// text, so that holds all of it; see unread.
type bodyError struct {
	text, remedy, path string
}

// bodyMark begins the text of every bodyError. Paths come last in it, since
// they alone may hold a line feed.
const bodyMark = "body\n"

func (e bodyError) Error() string { return bodyMark + e.text + "\n" + e.remedy + "\n" + e.path }

// explain says in the words of this API what the JSON library found. It never
// repeats the body, which may hold a secret.
func explain(data []byte, err error) bodyError {
	const whole = "send one JSON object, encoded as UTF-8"
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.Is(err, json.ErrUnknownName) && errors.As(err, &semantic):
		return bodyError{validation.MsgUnexpectedProperty, "compare the request with /api/openapi.json", string(semantic.JSONPointer)}
	case errors.As(err, &semantic):
		return bodyError{"the value does not fit", "give " + wanted(semantic.GoType), string(semantic.JSONPointer)}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return bodyError{"the body ends in the middle of a JSON value", whole, ""}
	case !errors.As(err, &syntactic):
		return bodyError{"the body is not valid JSON", whole, ""}
	case errors.Is(err, jsontext.ErrDuplicateName):
		return bodyError{"the same member name stands twice in one object", "give every member once", string(syntactic.JSONPointer)}
	case !utf8.Valid(data):
		return bodyError{"the body is not valid UTF-8", whole, ""}
	}
	text := fmt.Sprintf("the body is not valid JSON: %v, at byte %d of the body", syntactic.Err, syntactic.ByteOffset)
	return bodyError{text, whole, ""}
}

// wanted is a Go type in the words of a caller who knows JSON.
func wanted(t reflect.Type) string {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil {
		return "another value"
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "a whole number, without fraction or exponent and not beyond 64 bits"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	default:
		return "what /api/openapi.json shows"
	}
}

// unread puts into doc why a body could not be read, and reports whether that
// was so.
func unread(doc *problem.Document, message string) bool {
	if rest, ok := strings.CutPrefix(message, bodyMark); ok {
		parts := strings.SplitN(rest, "\n", 3)
		doc.Detail, doc.Remedy, doc.Path = parts[0], parts[1], parts[2]
		return true
	}
	if contentType, ok := strings.CutPrefix(message, huma.ErrUnknownContentType.Error()+": "); ok {
		doc.Detail = fmt.Sprintf("the content type %q is not supported", shorten(contentType))
		doc.Remedy = "send Content-Type: application/json"
		return true
	}
	return false
}
