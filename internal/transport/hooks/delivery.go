package hooks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/egress"
	"github.com/gatecast/gatecast/webhook"
)

// delivery is one request on its way. It shares nothing with its worker that
// changes.
type delivery struct {
	worker  *worker
	course  *course
	entries []*entry
	events  []*gatecast.Event
	terms   terms
	try     int
	late    bool
	probe   bool // of an endpoint that has failed
}

// result is what came of a delivery.
type result struct {
	delivery
	verdict verdict
}

// verdict is an answer and what it means.
type verdict struct {
	exchange   gatecast.Exchange
	retryAfter time.Duration
	stale      bool // the connection had been closed before: nothing was asked of the endpoint
	cut        bool // nobody knows: the request was broken off by us
}

// run makes the request and hands its result to the worker, which has room for
// it.
func (d delivery) run(ctx context.Context) {
	d.worker.results <- &result{d, d.worker.server.post(ctx, d.request())}
}

// request is what is posted, and for whom.
type request struct {
	events []*gatecast.Event
	terms  terms
	try    int
	late   bool
	shown  bool // somebody waits to see what crosses the wire
}

func (d *delivery) request() request {
	return request{events: d.events, terms: d.terms, try: d.try, late: d.late}
}

// post makes a request and judges its answer.
func (s *Server) post(ctx context.Context, r request) verdict {
	t := &r.terms
	body, id := r.body(), r.messageID()
	if !s.permits.get(ctx, t.host) {
		return verdict{cut: true}
	}
	defer s.permits.put(t.host)
	now := time.Now()
	header := r.header(id, now, body)
	answer := s.Poster.Post(ctx, egress.Request{URL: t.sub.Settings.URL, Header: header, Body: body, Timeout: t.sub.Settings.Timeout})
	if ctx.Err() != nil && answer.Err != nil {
		return verdict{cut: true}
	}
	if len(answer.Body) > 0 {
		answer.Body = []byte(t.conceal.Replace(string(answer.Body)))
	}
	v := verdict{retryAfter: answer.RetryAfter, stale: answer.Stale, exchange: gatecast.Exchange{
		URL: t.sub.Settings.URL, Body: body,
		Attempt: gatecast.Attempt{
			Time: now, Seq: r.events[0].Seq, Events: len(r.events), Message: id, Try: r.try,
			Status: answer.Status, Took: answer.Took, Answer: answer.Body, Replay: r.late,
		},
	}}
	v.exchange.Outcome, v.exchange.Error = judge(answer, t.sub.Settings.Success)
	if r.shown || v.exchange.Outcome == gatecast.Refused { // a dead letter shows them too
		v.exchange.Headers, v.exchange.AnswerHeaders = shown(header, t.sub.Settings.Headers), t.concealed(answer.Header)
	}
	return v
}

// concealed is the headers of an answer for people.
func (t *terms) concealed(h http.Header) map[string]string {
	out := flat(h)
	for name, value := range out {
		out[name] = t.conceal.Replace(value)
	}
	return out
}

// judge says what an answer means, and why it is no success.
func judge(a egress.Answer, rule gatecast.Success) (gatecast.Outcome, string) {
	switch {
	case a.Err != nil:
		return gatecast.Unreachable, egress.Reason(a.Err)
	case a.Status == http.StatusOK, rule == gatecast.SuccessAny && a.Status >= 200 && a.Status < 300:
		return gatecast.Delivered, ""
	}
	why := "answered " + strconv.Itoa(a.Status) + " " + http.StatusText(a.Status)
	switch a.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return gatecast.Refused, why
	case http.StatusGone:
		return gatecast.Gone, why
	}
	if a.Status >= 300 && a.Status < 400 {
		why += "; redirects are not followed"
		if to, err := url.Parse(a.Header.Get("Location")); err == nil && to.Host != "" {
			why += ", this one leads to " + to.Scheme + "://" + to.Host + to.Path
		}
	}
	if a.Status >= 200 && a.Status < 300 {
		why += `, but only 200 counts (setting "success")`
	}
	return gatecast.Unreachable, why
}

// body depends on nothing but the events and the form, so that each attempt
// sends the same bytes.
func (r *request) body() []byte {
	if r.terms.sub.Settings.Batch.On() {
		return webhook.AppendBatch(nil, r.events, r.terms.form)
	}
	return webhook.AppendBody(make([]byte, 0, len(r.events[0].Data)+160), r.events[0], r.terms.form)
}

// messageID names the message, the same at each attempt. A batch is named by all
// that is in it: the events of one that failed may go into others.
func (r *request) messageID() string {
	if !r.terms.sub.Settings.Batch.On() {
		return webhook.ID(r.events[0].ID)
	}
	h := sha256.New()
	for _, e := range r.events {
		// A hash never fails to write. The zero keeps neighbours apart.
		_, _ = h.Write(append([]byte(e.ID), 0))
	}
	return webhook.ID("batch-" + strconv.Itoa(len(r.events)) + "-" + hex.EncodeToString(h.Sum(nil)[:16]))
}

func (r *request) header(id string, now time.Time, body []byte) http.Header {
	t := &r.terms
	h := make(http.Header, 10+len(t.sub.Settings.Headers))
	for name, value := range t.sub.Settings.Headers {
		h.Set(name, value)
	}
	h["Content-Type"] = []string{"application/json"}
	h["Webhook-Id"] = []string{id}
	h["Webhook-Timestamp"] = []string{webhook.Timestamp(now)}
	h["Webhook-Signature"] = []string{t.signer.Sign(id, now, body)}
	h["Gatecast-Subscription"] = []string{t.sub.ID}
	h["Gatecast-Attempt"] = []string{strconv.Itoa(r.try)}
	if r.late && t.sub.Settings.MarkReplay {
		h["Gatecast-Replay"] = []string{"true"}
	}
	switch auth := t.sub.Settings.Auth; {
	case auth.Bearer != "":
		h["Authorization"] = []string{"Bearer " + auth.Bearer}
	case auth.Username != "":
		h["Authorization"] = []string{"Basic " + basic(auth)}
	}
	return h
}

// shown is the headers of a request for people: without what lets gatecast in.
func shown(h http.Header, secret map[string]string) map[string]string {
	out := flat(h)
	if out["Authorization"] != "" {
		out["Authorization"] = "***"
	}
	for name := range secret {
		out[http.CanonicalHeaderKey(name)] = "***"
	}
	return out
}

// flat joins headers that stand there more than once, as RFC 9110 does, and
// bounds what a receiver can make us keep.
func flat(h http.Header) map[string]string {
	const most, longest = 32, 512
	out := make(map[string]string, min(len(h), most))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if len(out) == most {
			break
		}
		value := h.Get(name)
		if len(value) > longest {
			value = value[:longest] + "..."
		}
		out[name] = value
	}
	return out
}
