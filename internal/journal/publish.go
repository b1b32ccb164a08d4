package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// store puts messages into the stream: alone or as an atomic batch. It belongs
// to the committer.
type store interface {
	// singles sends each item by itself, all at once, and waits for the answers.
	singles(ctx context.Context, items []*item) verdict
	// batch stores all items or none, with Seqs in a row.
	batch(ctx context.Context, items []*item) verdict
	// idle is called about each second while there is nothing to store.
	idle(ctx context.Context) error
	close()
}

// clusterStore is the store of an external cluster. Drafts for it hold a msg.
type clusterStore struct {
	nc *nats.Conn
}

func (p *clusterStore) idle(context.Context) error { return nil } // the client looks after itself

func (p *clusterStore) close() {} // others use the connection, too

// verdict is what one try came to. Without err, each item has its Seq.
type verdict struct {
	err       error
	final     bool // trying again cannot help
	duplicate bool // a batch was refused, whole, for an ID the server knows
}

// pubAck is JetStream's answer to a publish.
type pubAck struct {
	Seq       uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate"`
	Count     int    `json:"count"`
	Error     *struct {
		Code        int    `json:"code"`
		ErrCode     int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
}

// Error codes of JetStream (errors.json in its source).
const (
	codeBatchDuplicate = 10201
	codeTooBig         = 10054
	codeNoMessage      = 10037
)

// batch is store.batch.
func (p *clusterStore) batch(ctx context.Context, items []*item) verdict {
	id := nuid.Next()
	for i, it := range items {
		it.draft.msg.Header["Nats-Batch-Id"] = []string{id}
		it.draft.msg.Header["Nats-Batch-Sequence"] = []string{strconv.Itoa(i + 1)}
		if i == len(items)-1 {
			it.draft.msg.Header["Nats-Batch-Commit"] = []string{"1"}
			break
		}
		if err := p.nc.PublishMsg(it.draft.msg); err != nil {
			return verdict{err: fmt.Errorf("publish a batch: %w", err)}
		}
	}
	reply, err := p.nc.RequestMsgWithContext(ctx, items[len(items)-1].draft.msg)
	for _, it := range items {
		delete(it.draft.msg.Header, "Nats-Batch-Id")
		delete(it.draft.msg.Header, "Nats-Batch-Sequence")
		delete(it.draft.msg.Header, "Nats-Batch-Commit")
	}
	if err != nil {
		return verdict{err: fmt.Errorf("publish a batch: %w", err)}
	}
	return acceptBatch(items, reply.Data)
}

// singles is store.singles.
func (p *clusterStore) singles(ctx context.Context, items []*item) verdict {
	if len(items) == 1 {
		reply, err := p.nc.RequestMsgWithContext(ctx, items[0].draft.msg)
		if err != nil {
			return verdict{err: fmt.Errorf("publish: %w", err)}
		}
		return accept(items[0], reply.Data)
	}
	inbox := p.nc.NewInbox()
	sub, err := p.nc.SubscribeSync(inbox + ".*")
	if err != nil {
		return verdict{err: fmt.Errorf("subscribe to the answers: %w", err)}
	}
	defer func() { _ = sub.Unsubscribe() }()
	for i, it := range items {
		it.draft.msg.Reply = inbox + "." + strconv.Itoa(i)
		err := p.nc.PublishMsg(it.draft.msg)
		it.draft.msg.Reply = ""
		if err != nil {
			return verdict{err: fmt.Errorf("publish: %w", err)}
		}
	}
	var worst verdict
	for range items {
		reply, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return verdict{err: fmt.Errorf("publish: %w", err)}
		}
		i, err := strconv.Atoi(reply.Subject[len(inbox)+1:])
		if err != nil || i < 0 || i >= len(items) {
			return verdict{err: errors.New("publish: an answer to nothing")}
		}
		if v := accept(items[i], reply.Data); v.err != nil {
			worst = v
		}
	}
	return worst
}

// accept gives the item of a single publish the Seq that its answer tells.
func accept(it *item, reply []byte) verdict {
	if seq, ok := plainAck(reply); ok {
		it.seq = gatecast.Seq(seq)
		return verdict{}
	}
	ack, v := readAck(reply)
	if v.err != nil {
		return v
	}
	it.seq = gatecast.Seq(ack.Seq)
	it.dup = ack.Duplicate && !it.tried
	return verdict{}
}

// acceptBatch gives the items of a batch the Seqs that its answer tells.
func acceptBatch(items []*item, reply []byte) verdict {
	ack, v := readAck(reply)
	if v.err != nil {
		return v
	}
	if ack.Count != len(items) {
		return verdict{err: fmt.Errorf("publish a batch: %d of %d events acknowledged", ack.Count, len(items))}
	}
	for i, it := range items {
		it.seq = gatecast.Seq(ack.Seq) - gatecast.Seq(len(items)-1-i)
	}
	return verdict{}
}

// plainAck reads the answer to a single publish that says nothing but its
// sequence, as nearly all do.
func plainAck(reply []byte) (seq uint64, ok bool) {
	rest, ok := bytes.CutPrefix(reply, []byte(`{"stream":"`+streamName+`","seq":`))
	digits, closed := bytes.CutSuffix(bytes.TrimLeft(rest, " "), []byte("}"))
	if !ok || !closed {
		return 0, false
	}
	seq, err := strconv.ParseUint(string(digits), 10, 64)
	return seq, err == nil && seq > 0
}

func readAck(reply []byte) (pubAck, verdict) {
	var ack pubAck
	if err := json.Unmarshal(reply, &ack); err != nil {
		return ack, verdict{err: fmt.Errorf("read the acknowledgement %q: %w", reply, err)}
	}
	if ack.Error == nil {
		if ack.Seq == 0 {
			return ack, verdict{err: errors.New("an acknowledgement without a sequence")}
		}
		return ack, verdict{}
	}
	err := fmt.Errorf("JetStream refuses: %s (%d)", ack.Error.Description, ack.Error.ErrCode)
	switch ack.Error.ErrCode {
	case codeBatchDuplicate:
		return ack, verdict{err: err, duplicate: true}
	case codeTooBig:
		return ack, verdict{final: true, err: &gatecast.Error{
			Code: gatecast.TooLarge, Message: "an event is larger than the stream allows", Cause: err,
		}}
	}
	return ack, verdict{err: err}
}
