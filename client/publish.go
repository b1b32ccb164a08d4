package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gatecast/gatecast"
)

// Media types of [Client.PublishRaw].
const (
	JSON   = "application/json"     // one event, or an array of them
	NDJSON = "application/x-ndjson" // one event a line
)

// Publish hands events in and returns when the server has them on disk. It
// tries again, until ctx ends, while the server cannot be reached or answers
// that it is busy; an event keeps its identity over the attempts, so none is
// stored twice. A refusal is a [*gatecast.Error]; its At.Index says which of
// the events is wrong, and then none has been stored.
func (c *Client) Publish(ctx context.Context, events ...Data) (gatecast.Receipt, error) {
	if len(events) == 0 {
		return gatecast.Receipt{}, nil
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	now := time.Now().UnixMilli()
	for i, e := range events {
		id, natural := e.identity()
		if id == "" && !natural {
			id = rand.Text()
		}
		if err := enc.Encode(outgoing{ID: id, Type: e.kind(), Sent: now, Data: e}); err != nil {
			bad := gatecast.Errorf(gatecast.Invalid, "the event cannot be written as JSON: %v", err)
			bad.At = &gatecast.Place{Index: i}
			return gatecast.Receipt{}, bad
		}
	}
	return c.PublishRaw(ctx, NDJSON, body.Bytes())
}

// outgoing is the envelope of an event on its way in.
type outgoing struct {
	ID   string        `json:"messageId,omitempty"`
	Type gatecast.Kind `json:"eventType"`
	Sent int64         `json:"sendTime"`
	Data Data          `json:"data"`
}

// PublishRaw is [Client.Publish] for events that are JSON already, in either of
// the vendor's envelopes. Those with neither a messageId nor a data.id above
// zero are new to the server each time it sees them, so they may be stored
// twice if an answer gets lost.
func (c *Client) PublishRaw(ctx context.Context, mediaType string, body []byte) (gatecast.Receipt, error) {
	for failures := 1; ; failures++ {
		receipt, err := c.post(ctx, mediaType, body)
		if err == nil || !passing(err) || gatecast.CodeOf(err) == gatecast.Internal {
			return receipt, err
		}
		wait := c.waitAfter(err, failures)
		c.opts.Log.Info("publishing failed", "error", err, "attempt", failures, "retry_in", wait)
		if ctx.Err() != nil || !sleep(ctx, wait) {
			return gatecast.Receipt{}, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// post is one attempt.
func (c *Client) post(ctx context.Context, mediaType string, body []byte) (gatecast.Receipt, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.String()+"/api/v1/events", bytes.NewReader(body))
	if err != nil {
		return gatecast.Receipt{}, unreachable(err)
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Authorization", "Bearer "+c.opts.Token)
	resp, err := c.opts.HTTPClient.Do(req)
	if err != nil {
		return gatecast.Receipt{}, unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return gatecast.Receipt{}, answerError(resp)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return gatecast.Receipt{}, unreachable(err)
	}
	var r gatecast.Receipt // its field names are those of the answer but for the case
	if err := json.Unmarshal(answer, &r); err != nil {
		e := gatecast.Errorf(gatecast.Invalid, "the answer is not that of gatecast")
		e.Remedy, e.Cause = "check the URL", err
		return gatecast.Receipt{}, e
	}
	return r, nil
}
