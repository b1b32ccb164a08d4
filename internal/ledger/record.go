package ledger

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// record is how a subscription's progress lies in the bucket. Times are Unix
// milliseconds, 0 for none; lists are what appendList makes, in base64.
type record struct {
	ID        string        `json:"i"`
	Epoch     string        `json:"e"`
	Head      gatecast.Seq  `json:"h"`
	Pending   []byte        `json:"p,omitempty"`
	Delivered uint64        `json:"d,omitzero"`
	Failed    uint64        `json:"f,omitzero"`
	Lost      uint64        `json:"l,omitzero"`
	Status    string        `json:"s,omitzero"`
	Since     int64         `json:"t,omitzero"`
	Reason    string        `json:"r,omitzero"`
	Replay    *replayRecord `json:"y,omitempty"`
	Again     []byte        `json:"a,omitempty"`
}

// replayRecord is how a replay lies in its record.
type replayRecord struct {
	ID       string       `json:"i"`
	From     gatecast.Seq `json:"f"`
	To       gatecast.Seq `json:"t"`
	Position gatecast.Seq `json:"p"`
	Sent     uint64       `json:"n,omitzero"`
	Started  int64        `json:"s,omitzero"`
	Ended    int64        `json:"e,omitzero"`
	Canceled bool         `json:"c,omitzero"`
}

// encodeRecord writes progress in at most limit bytes. If its lists have no
// room it goes back to before the first event in them, so that all of them are
// sent again: cut says so.
func encodeRecord(id string, p gatecast.Progress, limit int) (raw []byte, cut bool, err error) {
	raw, err = json.Marshal(newRecord(id, p), lenient)
	if err != nil || len(raw) <= limit {
		return raw, false, wrapEncode(id, err)
	}
	raw, err = json.Marshal(newRecord(id, shorten(p)), lenient)
	return raw, true, wrapEncode(id, err)
}

func wrapEncode(id string, err error) error {
	if err != nil {
		return fmt.Errorf("encode the progress of %s: %w", id, err)
	}
	return nil
}

// shorten is progress without lists, as far back as it must be for that.
func shorten(p gatecast.Progress) gatecast.Progress {
	if pending := tidy(p.Pending); len(pending) > 0 {
		p.Head, p.Pending = min(p.Head, max(pending[0], 1)-1), nil
	}
	if again := tidy(p.Again); len(again) > 0 {
		p.Again = nil
		if p.Replay != nil {
			r := *p.Replay
			r.Position = min(r.Position, max(again[0], 1)-1)
			p.Replay = &r
		}
	}
	const reason = 200 // bytes; it is a sentence
	p.Reason = p.Reason[:min(len(p.Reason), reason)]
	return p
}

func newRecord(id string, p gatecast.Progress) record {
	r := record{
		ID: id, Epoch: p.Epoch, Head: p.Head, Pending: appendList(nil, p.Pending),
		Delivered: p.Delivered, Failed: p.Failed, Lost: p.Lost,
		Status: string(p.Status), Since: millis(p.Since), Reason: p.Reason, Again: appendList(nil, p.Again),
	}
	if y := p.Replay; y != nil {
		r.Replay = &replayRecord{
			ID: y.ID, From: y.From, To: y.To, Position: y.Position, Sent: y.Sent,
			Started: millis(y.Started), Ended: millis(y.Ended), Canceled: y.Canceled,
		}
	}
	return r
}

func (r record) progress() (gatecast.Progress, error) {
	pending, err := decodeList(r.Pending)
	if err != nil {
		return gatecast.Progress{}, fmt.Errorf("decode the pending events of %s: %w", r.ID, err)
	}
	again, err := decodeList(r.Again)
	if err != nil {
		return gatecast.Progress{}, fmt.Errorf("decode the events to replay of %s: %w", r.ID, err)
	}
	p := gatecast.Progress{
		Epoch: r.Epoch, Head: r.Head, Pending: pending, Delivered: r.Delivered, Failed: r.Failed, Lost: r.Lost,
		Status: gatecast.SubscriptionStatus(r.Status), Since: moment(r.Since), Reason: r.Reason, Again: again,
	}
	if y := r.Replay; y != nil {
		p.Replay = &gatecast.Replay{
			ID: y.ID, From: y.From, To: y.To, Position: y.Position, Sent: y.Sent,
			Started: moment(y.Started), Ended: moment(y.Ended), Canceled: y.Canceled,
		}
	}
	return p, nil
}

// appendList appends ascending Seqs: the distance of each to the one before as
// a varint. Neighbours take one byte each.
func appendList(dst []byte, list []gatecast.Seq) []byte {
	var last gatecast.Seq
	for i, seq := range tidy(list) {
		if i == 0 {
			dst = slices.Grow(dst, len(list)+binary.MaxVarintLen64)
		}
		dst = binary.AppendUvarint(dst, uint64(seq-last))
		last = seq
	}
	return dst
}

// tidy is a list as it should be: ascending, each Seq once.
func tidy(list []gatecast.Seq) []gatecast.Seq {
	for i := 1; i < len(list); i++ {
		if list[i] <= list[i-1] {
			list = slices.Clone(list)
			slices.Sort(list)
			return slices.Compact(list)
		}
	}
	return list
}

var errList = errors.New("the list is damaged")

func decodeList(b []byte) ([]gatecast.Seq, error) {
	if len(b) == 0 {
		return nil, nil
	}
	list := make([]gatecast.Seq, 0, len(b))
	var last gatecast.Seq
	for len(b) > 0 {
		step, n := binary.Uvarint(b)
		next := last + gatecast.Seq(step)
		if n <= 0 || next < last || next == last && len(list) > 0 {
			return nil, errList
		}
		list, last, b = append(list, next), next, b[n:]
	}
	return list, nil
}

// clamp brings progress back to the end of its journal, which has lost what
// came after and gives the same Seqs to other events.
func clamp(p gatecast.Progress, last gatecast.Seq) gatecast.Progress {
	beyond := func(list []gatecast.Seq) []gatecast.Seq {
		n, _ := slices.BinarySearch(tidy(list), last+1)
		return tidy(list)[:n:n]
	}
	p.Head, p.Pending, p.Again = min(p.Head, last), beyond(p.Pending), beyond(p.Again)
	if p.Replay != nil {
		r := *p.Replay
		r.To, r.Position = min(r.To, last), min(r.Position, last)
		p.Replay = &r
	}
	return p
}

// lenient writes what is no UTF-8 in a text as U+FFFD, rather than nothing.
var lenient = jsontext.AllowInvalidUTF8(true)

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return cmp.Or(t.UnixMilli(), 1) // 0 is taken
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
