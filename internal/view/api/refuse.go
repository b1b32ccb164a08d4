package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/problem"
)

// refusal is an error that huma writes as it is: status, headers, document.
type refusal struct {
	problem.Document
	headers http.Header
}

func (e *refusal) Error() string             { return e.Detail }
func (e *refusal) GetStatus() int            { return e.Status }
func (e *refusal) GetHeaders() http.Header   { return e.headers }
func (e *refusal) ContentType(string) string { return problem.ContentType }

// refusal turns a handler's error into an answer, and logs it if it is a fault
// of the server: this is the edge where errors are logged.
func (s *server) refusal(ctx context.Context, operation string, err error) error {
	if code := gatecast.CodeOf(err); code == gatecast.Internal || code == gatecast.Unavailable {
		attrs := []any{"operation", operation, "err", err}
		var e *gatecast.Error
		if errors.As(err, &e) && e.Cause != nil {
			attrs = append(attrs, "cause", e.Cause)
		}
		s.opts.Log.ErrorContext(ctx, "request failed", attrs...)
	}
	h := http.Header{}
	for name, value := range problem.Headers(err) {
		if name != "Cache-Control" { // every guarded answer has it already
			h.Set(name, value)
		}
	}
	return &refusal{Document: problem.From(err), headers: h}
}

// toProblem replaces huma's own error model, which it uses for requests that
// it refuses before a handler sees them. It is a transformer because the other
// way, huma.NewError, is a global of the whole process.
func toProblem(_ huma.Context, _ string, body any) (any, error) {
	switch e := body.(type) {
	case *refusal:
		return e.Document, nil
	case *huma.ErrorModel:
		return fromModel(e), nil
	}
	return body, nil
}

func fromModel(m *huma.ErrorModel) problem.Document {
	doc := problem.Document{
		Type:   "about:blank",
		Title:  http.StatusText(m.Status),
		Status: m.Status,
		Detail: m.Detail,
		Code:   codeOf(m.Status).String(),
		Remedy: "compare the request with /api/openapi.json",
	}
	if m.Status >= http.StatusInternalServerError {
		return problem.From(nil) // never what lies behind it
	}
	if len(m.Errors) == 0 || m.Errors[0] == nil {
		return doc
	}
	first := m.Errors[0]
	doc.Detail = first.Message
	doc.Path = pointer(first.Location)
	// Found is told for single values only: of an object, and of a body that
	// cannot be read, everything would be repeated, and that may hold a secret.
	if doc.Path != "" && !secretPlace(doc.Path) && isScalar(first.Value) {
		doc.Found = shorten(fmt.Sprint(first.Value))
	}
	var name string
	if n, _ := fmt.Sscanf(first.Message, validation.MsgExpectedRequiredProperty, &name); n == 1 {
		doc.Path += "/" + name // huma points to the object that lacks it
	}
	if unread(&doc, first.Message) {
		return doc
	}
	if doc.Path == "" && first.Location != "" && first.Location != "body" {
		doc.Detail += " (" + first.Location + ")"
	}
	if n := len(m.Errors) - 1; n > 0 {
		doc.Detail += fmt.Sprintf("; and %d more", n)
	}
	return doc
}

// secretPlace reports whether what stands at a place may be a secret.
func secretPlace(path string) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return slices.Contains([]string{"app_secret", "secret", "auth", "headers", "rest"}, name) // a URL may hold a password
}

// codeOf goes back from huma's statuses to codes.
func codeOf(status int) gatecast.Code {
	switch status {
	case http.StatusBadRequest, http.StatusUnsupportedMediaType:
		return gatecast.Malformed
	case http.StatusRequestEntityTooLarge:
		return gatecast.TooLarge
	case http.StatusRequestTimeout:
		return gatecast.Unavailable
	}
	return gatecast.Invalid
}

// pointer turns huma's "body.kinds[0]" into the JSON Pointer "/kinds/0". What
// is not in the body has none.
func pointer(location string) string {
	rest, inBody := strings.CutPrefix(location, "body.")
	if !inBody {
		return ""
	}
	return "/" + strings.NewReplacer("~", "~0", "/", "~1", ".", "/", "[", "/", "]", "").Replace(rest)
}

func isScalar(v any) bool {
	if v == nil {
		return false
	}
	switch reflect.TypeOf(v).Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		return true
	default:
		return false
	}
}

func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	cut := most
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}

// errorResponse documents the one shape of every refusal.
func errorResponse(api huma.API) *huma.Response {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[problem.Document](), true, "Problem")
	return &huma.Response{
		Description: "The request was refused",
		Content:     map[string]*huma.MediaType{problem.ContentType: {Schema: schema}},
	}
}

// restPattern matches what nothing else under /api/ matches.
const restPattern = "/api/"

// rest answers 405 where another method would do, else 404.
func rest(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			other := r.Clone(r.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != restPattern {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) == 0 {
			err := gatecast.Errorf(gatecast.NotFound, "there is nothing at %s", shorten(r.URL.Path))
			err.Remedy = "see /api/openapi.json for what there is"
			problem.Write(w, r, err)
			return
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		problem.Document{
			Type:     "about:blank",
			Title:    http.StatusText(http.StatusMethodNotAllowed),
			Status:   http.StatusMethodNotAllowed,
			Detail:   "this path does not take the method " + r.Method,
			Code:     gatecast.Invalid.String(),
			Remedy:   "use " + strings.Join(allowed, " or "),
			Found:    r.Method,
			Expected: strings.Join(allowed, ", "),
		}.Write(w, r)
	}
}

// logChange notes who did what; never a secret.
func (s *server) logChange(ctx context.Context, what string, attrs ...any) {
	p, _ := auth.PrincipalFrom(ctx)
	s.opts.Log.InfoContext(ctx, what, append(attrs, "by", p.Name, "token", p.ID)...)
}
