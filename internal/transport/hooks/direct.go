package hooks

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/gatecast/gatecast"
)

// Test posts an invented record, as it would a real one, and returns what
// crossed the wire. It counts for nothing. An endpoint that fails is no error.
// Errors: NotFound, Unavailable.
func (s *Server) Test(ctx context.Context, id string) (gatecast.Exchange, error) {
	now := time.Now()
	name := make([]byte, 8)
	rand.Read(name)
	text, err := json.Marshal(map[string]any{
		"id": 0, "userId": 0, "name": "Test", "type": 1, "direction": 0, "deviceName": "gatecast", "sn": "gatecast-test",
		"signTime": now.Unix(), "signDate": now.Format(time.DateOnly), "entryMode": 1, "abnormalType": 0, "remark": "a test of gatecast: nobody was there",
	})
	if err != nil {
		return gatecast.Exchange{}, err
	}
	e := &gatecast.Event{
		ID: "test-" + hex.EncodeToString(name), Kind: gatecast.Record, Device: "gatecast-test", At: now, Stored: now, Source: "gatecast", Data: text,
	}
	return s.now(ctx, id, e)
}

// Resend posts a dead letter at once, out of turn, and returns what crossed the
// wire. One that is delivered is no dead letter any more. Errors: NotFound,
// Unavailable.
func (s *Server) Resend(ctx context.Context, id string, seq gatecast.Seq) (gatecast.Exchange, error) {
	d, err := s.Ledger.DeadLetter(ctx, id, seq)
	if err != nil {
		return gatecast.Exchange{}, err
	}
	x, err := s.now(ctx, id, &d.Event)
	if err == nil && x.Outcome == gatecast.Delivered {
		err = s.Ledger.Discard(ctx, id, seq)
	}
	return x, err
}

// now posts an event out of turn.
func (s *Server) now(ctx context.Context, id string, e *gatecast.Event) (gatecast.Exchange, error) {
	sub, there := s.Settings.Subscription(id)
	if !there {
		return gatecast.Exchange{}, noSubscription(id)
	}
	t := s.termsOf(sub)
	if t.signer == nil {
		return gatecast.Exchange{}, gatecast.Errorf(gatecast.Unavailable, "%s", t.paused)
	}
	v := s.post(ctx, request{events: []*gatecast.Event{e}, terms: t, try: 1, shown: true})
	if v.cut {
		return gatecast.Exchange{}, gatecast.Errorf(gatecast.Unavailable, "the request was broken off")
	}
	s.Log.Add(id, v.exchange.Attempt)
	return v.exchange, nil
}
