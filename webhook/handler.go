package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// DefaultMaxBody is the default of [HandlerOptions.MaxBody], in bytes.
const DefaultMaxBody = 8 << 20

// HandlerOptions tunes a [Handler]. The zero value works.
type HandlerOptions struct {
	MaxBody int64 // bytes of a body; a larger one is answered with 413; default 8 MiB

	// Failed is called for each request that is not answered with 200, with the
	// status it gets and why. It must be safe for concurrent use.
	Failed func(r *http.Request, status int, err error)
}

func (o HandlerOptions) withDefaults() HandlerOptions {
	o.MaxBody = cmp.Or(o.MaxBody, DefaultMaxBody)
	if o.Failed == nil {
		o.Failed = func(*http.Request, int, error) {}
	}
	return o
}

// Refuse marks an error of a receive function (see [Handler]): this message will
// never be accepted, so sending it again is pointless. gatecast tries some more
// times all the same, then sets it aside as a dead letter and goes on. The
// error's text is sent back as the reason. Refuse of nil is nil.
func Refuse(err error) error {
	if err == nil {
		return nil
	}
	return &refusal{err}
}

type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// Handler returns an HTTP handler that receives webhooks. It reads the body,
// lets v check it, and calls receive for each message in it, in order, until one
// returns an error. The answer is
//
//   - 200 if receive returned nil for all of them: gatecast will not send them again.
//   - 422 after an error marked by [Refuse].
//   - 500 after any other error: gatecast sends the messages again, all of the
//     body, for as long as it keeps them. So it is for what passes: a database that
//     is away.
//   - 401, 400, 405 or 413 for what is not signed, no message, no POST or too large.
//
// A message can come more than once: after an answer that got lost, and when
// somebody sends it again on purpose. receive must tell by [Message.MessageID].
// It must return within the subscription's timeout, 5 s unless set otherwise,
// and its context ends when the sender hangs up. It is called concurrently.
func Handler(v *Verifier, receive func(context.Context, Message) error, o HandlerOptions) http.Handler {
	return &handler{v, receive, o.withDefaults()}
}

type handler struct {
	verifier *Verifier
	receive  func(context.Context, Message) error
	opts     HandlerOptions
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, err := h.handle(w, r)
	if err == nil {
		w.WriteHeader(status)
		return
	}
	h.opts.Failed(r, status, err)
	if status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	text := err.Error()
	if status == http.StatusInternalServerError {
		// Somebody else keeps the answer, and such an error may name hosts and users.
		text = "the message could not be handled"
	}
	http.Error(w, text, status)
}

// handle returns the status of the answer, and why if that is not 200.
func (h *handler) handle(w http.ResponseWriter, r *http.Request) (int, error) {
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, errors.New("webhooks are sent by POST")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.opts.MaxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge, fmt.Errorf("the body has more than %d bytes", tooLarge.Limit)
	}
	if err != nil {
		return http.StatusBadRequest, fmt.Errorf("read the body: %w", err)
	}
	if err := h.verifier.Verify(r.Header, body); err != nil {
		return http.StatusUnauthorized, err
	}
	messages, err := Parse(body)
	if err != nil {
		return http.StatusBadRequest, err
	}
	for _, m := range messages {
		err := h.receive(r.Context(), m)
		if refused := (*refusal)(nil); errors.As(err, &refused) {
			return http.StatusUnprocessableEntity, err
		}
		if err != nil {
			return http.StatusInternalServerError, err
		}
	}
	return http.StatusOK, nil
}
