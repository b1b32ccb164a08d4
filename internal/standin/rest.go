package standin

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// style is a generation of the REST interface.
type style struct {
	headers bool // the signature stands in headers, not in the query
	refusal int  // code of a refusal
}

// newer is v5; older is what came before.
func older() style { return style{refusal: 30001} }
func newer() style { return style{headers: true, refusal: 498} }

// routeREST adds the vendor's paths.
func (s *Server) routeREST(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v5/record/list", s.rest(only(older()), s.records))
	mux.HandleFunc("GET /sl/api/v5/records", s.rest(only(newer()), s.records))
	mux.HandleFunc("GET /api/v2/device/alarm/list", s.rest(either, s.alarms))
	mux.HandleFunc("GET /v1/image/{type}/{id}", s.rest(either, s.image))
	mux.HandleFunc("GET /api/v3/event/querySub", s.rest(either, s.querySub))
	mux.HandleFunc("POST /api/v3/event/updateSub", s.rest(either, s.updateSub))
}

func only(st style) func(*http.Request) style { return func(*http.Request) style { return st } }

// either goes by where the caller has put its key.
func either(r *http.Request) style {
	if r.Header.Get("appKey") != "" {
		return newer()
	}
	return older()
}

// question is a request whose signature was right.
type question struct {
	request *http.Request
	query   url.Values
	style   style
}

// reply is a body, and what it is.
type reply struct {
	contentType string
	body        []byte
}

// rest answers a request in the vendor's way: with status 200, and a code in
// the body that says how it went.
func (s *Server) rest(styleOf func(*http.Request) style, do func(question) (reply, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := question{r, r.URL.Query(), styleOf(r)}
		cut, done := s.hinder(w, q)
		if done {
			return
		}
		var a reply
		err := s.authorize(q)
		if err == nil {
			a, err = do(q)
		}
		if err != nil {
			a = refuse(q.style, err)
		}
		s.mu.Lock()
		now := s.now()
		s.mu.Unlock()
		w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Type", a.contentType)
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		if cut {
			_, _ = w.Write(a.body[:len(a.body)/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler) // net/http's way of ending a connection
		}
		_, _ = w.Write(a.body) // the caller is gone if this fails
	}
}

// authorize checks the signature of a question.
func (s *Server) authorize(q question) error {
	c := senselink.Credentials{AppKey: q.query.Get("app_key"), Timestamp: q.query.Get("timestamp"), Sign: q.query.Get("sign")}
	if q.style.headers {
		h := q.request.Header
		c = senselink.Credentials{AppKey: h.Get("appKey"), Timestamp: h.Get("timestamp"), Sign: h.Get("sign")}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.verify(c)
}

// refuse is what the vendor says to whatever it does not like.
func refuse(st style, err error) reply {
	return asJSON(struct {
		Code    int      `json:"code"`
		Message string   `json:"message"`
		Desc    string   `json:"desc"`
		Data    struct{} `json:"data"`
	}{Code: st.refusal, Message: "Param Invalid", Desc: err.Error()})
}

func asJSON(v any) reply {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // types of ours, which JSON can always express
	return reply{"application/json;charset=UTF-8", []byte(strings.TrimSuffix(b.String(), "\n"))}
}

// hinder does what the misbehaviours of the REST interface want. It returns
// whether the answer is to be cut, and whether there is one already.
func (s *Server) hinder(w http.ResponseWriter, q question) (cut, done bool) {
	s.mu.Lock()
	now := s.opts.Now()
	on := func(mode Mode) bool { return s.trouble.on(mode, now) }
	slow, broken, refused := on(RESTSlow), on(REST500), on(REST498)
	delay := s.trouble.active[RESTSlow].By
	cut = on(RESTCut)
	s.mu.Unlock()
	if slow && !s.sleep(q.request, delay) {
		panic(http.ErrAbortHandler) // the caller has left, or the server closes
	}
	switch {
	case broken:
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
	case refused:
		a := refuse(style{refusal: 498}, gatecast.Errorf(gatecast.Invalid, "system busy"))
		w.Header().Set("Content-Type", a.contentType)
		_, _ = w.Write(a.body) // the caller is gone if this fails
	}
	return cut, broken || refused
}

func (s *Server) sleep(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-s.done:
	}
	return false
}

// updateSub sets the subscriber: {"url":"…"}, "" ends the subscription.
func (s *Server) updateSub(q question) (reply, error) {
	var wanted struct{ URL *string }
	body, err := io.ReadAll(io.LimitReader(q.request.Body, 64<<10))
	if err != nil || json.Unmarshal(body, &wanted) != nil || wanted.URL == nil {
		return reply{}, gatecast.Errorf(gatecast.Invalid, "url is missing")
	}
	if err := s.Subscribe(*wanted.URL); err != nil {
		return reply{}, err
	}
	return s.querySub(q)
}

// querySub tells how the subscription stands.
func (s *Server) querySub(question) (reply, error) {
	return asJSON(struct {
		Code    int          `json:"code"`
		Message string       `json:"message"`
		Data    Subscription `json:"data"`
	}{http.StatusOK, "OK", s.Subscription()}), nil
}
