package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/webhook"
)

// stockReceiver is something that takes webhooks and that nobody here wrote, behind a
// script that prints "listening PORT", "knows", "message WEBHOOK-ID BODY" and
// "refused REASON".
type stockReceiver struct {
	stock
	settings string // of its subscription, as JSON members behind the URL
	public   bool   // it checks by the public key
}

func pythonReceiver() stockReceiver {
	return stockReceiver{stock: stock{
		name: "python http.server", program: "/usr/bin/python3", args: []string{"stock/python/receiver.py"}, probe: []string{"--version"},
	}}
}

func stockReceivers() []stockReceiver {
	node := func(library string) stock {
		return stock{
			name: "npm " + library, program: "node", args: []string{"stock/node/receiver.js", library},
			probe: []string{"--input-type=module", "-e", "await import('./stock/node/node_modules/" + library + "/dist/index.js')"},
		}
	}
	jdk := stock{name: "jdk", program: "java", args: java("Receiver"), probe: []string{"--version"}}
	jdkByKey := jdk
	jdkByKey.name = "jdk by public key"
	return []stockReceiver{
		{stock: node("standardwebhooks"), settings: `,"ed25519":true`}, // it knows nothing of v1a, and must not mind
		{stock: node("svix"), settings: `,"batch":{"max":50,"wait":"20ms"}`},
		pythonReceiver(),
		{stock: jdk, settings: `,"order":"strict"`},
		{stock: jdkByKey, settings: `,"ed25519":true`, public: true},
	}
}

// hook is a subscription as the API shows it when it is made and when its secret
// is replaced.
type hook struct {
	ID        string `json:"id"`
	PublicKey string `json:"public_key"`
	Secrets   []struct {
		Secret string `json:"secret"`
	} `json:"secrets"`
}

// known is what its receiver checks by.
func (h hook) known(t *testing.T, public bool) string {
	t.Helper()
	switch {
	case public && h.PublicKey != "":
		return h.PublicKey
	case !public && len(h.Secrets) > 0 && h.Secrets[0].Secret != "":
		return h.Secrets[0].Secret
	}
	t.Fatalf("subscription %q came without its secret or public key", h.ID)
	return ""
}

// hooked asks the API for something that answers with a subscription.
func (s *server) hooked(t *testing.T, path string, want int, body string) hook {
	t.Helper()
	status, answer, err := s.do(within(t), http.MethodPost, "/api/v1/subscriptions"+path, "application/json", []byte(body))
	if err != nil || status != want {
		t.Fatalf("POST %s: status %d, want %d, error %v, body %s", path, status, want, err, answer)
	}
	var h hook
	if err := json.Unmarshal([]byte(answer), &h); err != nil || h.ID == "" {
		t.Fatalf("no subscription in the answer to POST %s (%v)", path, err)
	}
	return h
}

// startHooks starts a server that may call receivers on this machine, and whose
// times are known to delivered.
func startHooks(t *testing.T, args ...string) *server {
	t.Helper()
	return start(t, t.TempDir(), append([]string{"--hooks.allow=127.0.0.0/8", "--ingest.time_zone=UTC"}, args...)...)
}

// hear returns the next line of a receiver and fails unless it begins with a word.
func (p *program) hear(ctx context.Context, t *testing.T, word string) string {
	t.Helper()
	rest, ok := strings.CutPrefix(next(ctx, t, p.lines), word)
	if !ok {
		t.Fatalf("the receiver printed %q, want %q", rest, word)
	}
	return strings.TrimSpace(rest)
}

// tell hands a receiver its secret.
func (p *program) tell(t *testing.T, secret string) {
	t.Helper()
	if _, err := io.WriteString(p.urls, secret+"\n"); err != nil {
		t.Fatal(err)
	}
}

// delivered is the body that a receiver must get for the event, byte for byte.
func (e sent) delivered() string {
	at := time.Unix(1569725174, 0)
	if e.kind() == gatecast.Alarm {
		at = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	}
	return fmt.Sprintf(`{"eventType":%d,"messageId":%q,"sendTime":%d,"data":%s}`, e.kind(), e.id(), at.UnixMilli(), e.data)
}

// inbox compares what a receiver gets with what was sent.
type inbox struct {
	want   map[string]sent // by messageId, whatever was ever posted
	got    map[string]bool // what of it has come; it may come again
	newest map[int64]int64 // by device, the number of its newest event
	open   int             // posted and not yet here
}

func newInbox() *inbox {
	return &inbox{want: map[string]sent{}, got: map[string]bool{}, newest: map[int64]int64{}}
}

// post hands batches to the server and expects their events.
func (b *inbox) post(ctx context.Context, t *testing.T, s *server, batches []batch) {
	t.Helper()
	for _, one := range batches {
		for _, e := range one.events {
			b.want[e.id()] = e
			b.open++
		}
		contentType, body := one.encode()
		if r, err := s.post(ctx, contentType, body); err != nil || r.Accepted != len(one.events) {
			t.Fatalf("post %d events: %+v, %v", len(one.events), r, err)
		}
	}
}

// accept checks what a receiver has taken: one body, or an array of them.
func (b *inbox) accept(t *testing.T, id, text string) {
	t.Helper()
	if !strings.HasPrefix(text, "[") {
		if messageID := b.message(t, text); id != webhook.ID(messageID) {
			t.Errorf("message %s came as webhook-id %s", messageID, id)
		}
		return
	}
	var bodies []json.RawMessage
	if err := json.Unmarshal([]byte(text), &bodies); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	for _, body := range bodies {
		b.message(t, string(body))
	}
}

// message checks one message and returns its messageId.
func (b *inbox) message(t *testing.T, body string) string {
	t.Helper()
	var m struct{ MessageID string }
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	e, known := b.want[m.MessageID]
	if !known || body != e.delivered() {
		t.Fatalf("the receiver got\n%s\nwant\n%s", body, e.delivered())
	}
	if b.got[m.MessageID] {
		return m.MessageID
	}
	b.got[m.MessageID] = true
	b.open--
	device := e.number % 7
	if b.newest[device] > e.number {
		t.Errorf("event %d came after %d of the same device", e.number, b.newest[device])
	}
	b.newest[device] = e.number
	return m.MessageID
}

// line checks a line of the receiver, which must tell of something accepted.
func (b *inbox) line(t *testing.T, line string) {
	t.Helper()
	rest, ok := strings.CutPrefix(line, "message ")
	if !ok {
		t.Fatalf("the receiver printed %q, want a message", line)
	}
	id, body, _ := strings.Cut(rest, " ")
	b.accept(t, id, body)
}

// fill reads what the receiver prints until everything posted has come.
func (b *inbox) fill(ctx context.Context, t *testing.T, p *program) {
	t.Helper()
	for b.open > 0 {
		b.line(t, next(ctx, t, p.lines))
	}
}

// learn hands the receiver a secret and returns when it knows. What was sent a
// second time may still come meanwhile.
func (b *inbox) learn(ctx context.Context, t *testing.T, p *program, secret string) {
	t.Helper()
	p.tell(t, secret)
	for {
		line := next(ctx, t, p.lines)
		if line == "knows" {
			return
		}
		b.line(t, line)
	}
}

// stretch is events first to first+n, in two posts of one and one of the rest.
func stretch(first, n int64) []batch {
	var rest batch
	for i := first + 2; i < first+n; i++ {
		rest.events = append(rest.events, sample(i))
	}
	return []batch{{events: []sent{sample(first)}}, {events: []sent{sample(first + 1)}}, rest}
}

// TestStockReceiversVerifyEveryEvent lets each receiver take events, before,
// during and after a rotation of its secret, and compares every byte.
func TestStockReceiversVerifyEveryEvent(t *testing.T) {
	for _, r := range stockReceivers() {
		t.Run(r.name, func(t *testing.T) {
			if err := r.usable(); err != nil {
				missing(t, "%v", err)
			}
			s := startHooks(t)
			p := r.launch(t, "127.0.0.1")
			ctx := within(t)
			port := p.hear(ctx, t, "listening ")
			h := s.hooked(t, "", http.StatusCreated, `{"url":"http://127.0.0.1:`+port+`/hook"`+r.settings+`}`)
			box := newInbox()
			box.learn(ctx, t, p, h.known(t, r.public))
			box.post(ctx, t, s, demo()[25:55]) // one by one, and in bursts that leave it behind
			box.fill(ctx, t, p)

			rotated := s.hooked(t, "/"+h.ID+"/rotate", http.StatusOK, `{"overlap":"1h"}`)
			if rotated.known(t, r.public) == h.known(t, r.public) {
				t.Fatal("the secret is the same after its rotation")
			}
			box.post(ctx, t, s, stretch(2000, 100)) // the receiver has not heard of it
			box.fill(ctx, t, p)
			box.learn(ctx, t, p, rotated.known(t, r.public))
			box.post(ctx, t, s, stretch(3000, 100))
			box.fill(ctx, t, p)
		})
	}
}

// TestAReceiverWithAWrongSecretLosesNothing expects that what a receiver cannot
// verify is sent again until it can.
func TestAReceiverWithAWrongSecretLosesNothing(t *testing.T) {
	r := pythonReceiver()
	if err := r.usable(); err != nil {
		missing(t, "%v", err)
	}
	s := startHooks(t)
	p := r.launch(t, "127.0.0.1")
	ctx := within(t)
	h := s.hooked(t, "", http.StatusCreated, `{"url":"http://127.0.0.1:`+p.hear(ctx, t, "listening ")+`"}`)
	box := newInbox()
	box.learn(ctx, t, p, webhook.NewSecret())
	box.post(ctx, t, s, stretch(0, 100))
	p.hear(ctx, t, "refused ")
	p.tell(t, h.known(t, false))
	for box.open > 0 {
		line := next(ctx, t, p.lines)
		if line == "knows" || strings.HasPrefix(line, "refused ") { // others were on their way meanwhile
			continue
		}
		box.line(t, line)
	}
}

// TestTheGoHandlerReceivesByThePublicKeyAlone has the handler that we offer take
// the server's requests.
func TestTheGoHandlerReceivesByThePublicKeyAlone(t *testing.T) {
	s := startHooks(t)
	ctx := within(t)
	got := make(chan webhook.Message)
	receive := func(ctx context.Context, m webhook.Message) error {
		select {
		case got <- m:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	// The key is known only when there is a subscription, and that needs a URL.
	handler := make(chan http.Handler, 1)
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case h := <-handler:
			handler <- h
			h.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(door.Close)
	h := s.hooked(t, "", http.StatusCreated, `{"url":"`+door.URL+`","ed25519":true,"event_type":"string","own_fields":true}`)
	verifier, err := webhook.NewVerifier(h.known(t, true))
	if err != nil {
		t.Fatal(err)
	}
	handler <- webhook.Handler(verifier, receive, webhook.HandlerOptions{
		Failed: func(_ *http.Request, status int, err error) { t.Errorf("answered with %d: %v", status, err) },
	})
	box := newInbox()
	box.post(ctx, t, s, stretch(0, 100))
	for places := map[uint64]bool{}; box.open > 0; {
		select {
		case m := <-got:
			e := sent{number: box.want[m.MessageID].number, data: string(m.Data)}
			if m.EventType != int(e.kind()) || m.Epoch == "" || m.Seq == 0 {
				t.Errorf("%s came as %d with place %d in %q", m.MessageID, m.EventType, m.Seq, m.Epoch)
			}
			places[m.Seq] = true
			box.message(t, e.delivered())
			if box.open == 0 && len(places) != len(box.want) {
				t.Errorf("%d events had %d places", len(box.want), len(places))
			}
		case <-ctx.Done():
			t.Fatal("nothing more from the server")
		}
	}
}
