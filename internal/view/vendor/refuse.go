package vendor

import (
	"encoding/json"
	"net/http"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/problem"
)

// refusal is the vendor's answer to whatever it does not like.
type refusal struct {
	Code    int      `json:"code"`
	Message string   `json:"message"`
	Desc    string   `json:"desc"`
	Data    struct{} `json:"data"`
}

// Refuse answers a request with err in the vendor's words, with the code of the
// caller's generation, and with the HTTP status that fits: an <img> and a plain
// HTTP client go by that. What lies behind an error of gatecast's own is not told.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	doc := problem.From(err)
	desc := doc.Detail
	if gatecast.CodeOf(err) != gatecast.Internal && doc.Remedy != "" {
		desc += "; " + doc.Remedy
	}
	h := w.Header()
	for name, value := range problem.Headers(err) {
		if h.Get(name) == "" {
			h.Set(name, value)
		}
	}
	body, jsonErr := json.Marshal(refusal{Code: styleOf(r).code, Message: "Param Invalid", Desc: desc})
	if jsonErr != nil { // not possible: it holds a number and strings
		body = []byte(`{"code":498,"message":"Param Invalid","desc":"","data":{}}`)
	}
	h.Del("Content-Length")
	h.Set("Content-Type", "application/json;charset=UTF-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(doc.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the caller is gone if this fails
	}
}
