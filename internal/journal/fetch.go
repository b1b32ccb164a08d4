package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats.go"
)

// fetchBytes bounds what one request brings into memory beyond its first event.
const fetchBytes = 4 << 20

// stored is a message as it lies in the stream.
type stored struct {
	seq gatecast.Seq
	msg *nats.Msg
	at  time.Time // of the commit, by JetStream's clock; zero unless the leader was asked
}

// fetcher reads stretches of the stream by sequence. A direct get is answered
// only outside of a commit, so that it never shows what is not yet on disk.
type fetcher struct {
	nc *nats.Conn
}

type fetchRequest struct {
	Seq      uint64 `json:"seq,omitempty"`
	Since    string `json:"start_time,omitempty"` // RFC 3339, instead of Seq
	Batch    int    `json:"batch"`
	MaxBytes int    `json:"max_bytes"`
}

// fetch returns up to n stored messages from seq on. Fewer, or none, does not
// mean the end: the server stops at a damaged one.
func (f fetcher) fetch(ctx context.Context, seq gatecast.Seq, n int) ([]stored, error) {
	return f.request(ctx, fetchRequest{Seq: uint64(seq), Batch: n, MaxBytes: fetchBytes})
}

func (f fetcher) request(ctx context.Context, r fetchRequest) ([]stored, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	inbox := f.nc.NewInbox()
	sub, err := f.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("subscribe to the answer: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := sub.SetPendingLimits(r.Batch+8, -1); err != nil {
		return nil, fmt.Errorf("bound the answer: %w", err)
	}
	if err := f.nc.PublishRequest("$JS.API.DIRECT.GET."+streamName, inbox, body); err != nil {
		return nil, fmt.Errorf("ask for events: %w", err)
	}
	return collect(ctx, sub)
}

func collect(ctx context.Context, sub *nats.Subscription) ([]stored, error) {
	var out []stored
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		switch status := one(m.Header, "Status"); status {
		case "":
		case "204", "404":
			return out, nil
		default:
			return nil, fmt.Errorf("read events: status %s %s", status, one(m.Header, "Description"))
		}
		seq, err := strconv.ParseUint(one(m.Header, "Nats-Sequence"), 10, 64)
		if err != nil {
			return nil, errors.New("read events: an answer without its sequence")
		}
		out = append(out, stored{seq: gatecast.Seq(seq), msg: m})
	}
}

// ask gets one message from the stream's leader; nil if the leader has none there.
func (f fetcher) ask(ctx context.Context, seq gatecast.Seq) (*stored, error) {
	m, err := f.leader(ctx, fmt.Appendf(nil, `{"seq":%d}`, seq))
	if err != nil {
		return nil, fmt.Errorf("ask the leader for event %d: %w", seq, err)
	}
	return m, nil
}

// leader gets the one message that a request names from the stream's leader;
// nil if there is none.
func (f fetcher) leader(ctx context.Context, request []byte) (*stored, error) {
	reply, err := f.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+streamName, request)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Message *struct {
			Seq    gatecast.Seq `json:"seq"`
			Header []byte       `json:"hdrs"`
			Data   []byte       `json:"data"`
			At     time.Time    `json:"time"`
		} `json:"message"`
		Error *struct {
			Code int    `json:"err_code"`
			Text string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if answer.Error != nil && answer.Error.Code != codeNoMessage {
		return nil, errors.New(answer.Error.Text)
	}
	if answer.Message == nil {
		return nil, nil
	}
	h, err := nats.DecodeHeadersMsg(answer.Message.Header)
	if err != nil {
		h = nats.Header{} // its checksum will not match either
	}
	m := answer.Message
	return &stored{m.Seq, &nats.Msg{Header: h, Data: m.Data}, m.At}, nil
}
