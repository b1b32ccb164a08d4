package cursor

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math/bits"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
)

// drawers is how many keys the cursors lie under: enough that a commit of few
// changes writes little, and few enough that one of many changes needs few
// fsyncs. It must never change, nor may drawerOf: the cursors lie where they do.
const drawers = 64

// drawerOf is the drawer of a consumer: FNV-1a, 32 bits, over the app's key, a
// zero byte and the consumer's name, modulo the number of drawers.
func drawerOf(c gatecast.Consumer) int {
	h := fnv.New32a()
	// A hash never fails to write.
	_, _ = h.Write([]byte(c.App + "\x00" + c.Name))
	return int(h.Sum32() % drawers)
}

func drawerKey(d int) string { return fmt.Sprintf("drawer.%02d", d) }

// drawerNumber is the drawer of a key; false if it is another kind of key.
func drawerNumber(key string) (int, bool) {
	var d int
	if _, err := fmt.Sscanf(key, "drawer.%02d", &d); err != nil || d < 0 || d >= drawers || drawerKey(d) != key {
		return 0, false
	}
	return d, true
}

// mask is a set of drawers.
type mask uint64

func (m *mask) set(d int)   { *m |= 1 << d }
func (m *mask) clear(d int) { *m &^= 1 << d }

// all yields the drawers of a set in order.
func (m mask) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for rest := uint64(m); rest != 0; rest &= rest - 1 {
			if !yield(bits.TrailingZeros64(rest)) {
				return
			}
		}
	}
}

// recordVersion goes up when an older gatecast would misread a drawer.
const recordVersion = 1

// drawerRecord is how a drawer lies in the bucket.
type drawerRecord struct {
	V       int               `json:"v"`
	Cursors []json.RawMessage `json:"c"` // of record
}

// record is how a cursor lies in its drawer. Times are Unix milliseconds, 0 for
// none.
type record struct {
	App       string       `json:"a"`
	Name      string       `json:"n,omitempty"`
	Epoch     string       `json:"e"`
	Seq       gatecast.Seq `json:"s"`
	Confirmed int64        `json:"c,omitempty"`
	Complete  int64        `json:"f"`
	Lost      uint64       `json:"l,omitempty"`
	Used      int64        `json:"u"`
	Born      int64        `json:"b"`
}

func (s *slot) record() record {
	return record{
		App: s.cur.Consumer.App, Name: s.cur.Consumer.Name, Epoch: s.cur.Epoch, Seq: s.cur.Seq,
		Confirmed: millis(s.cur.Confirmed), Complete: millis(s.cur.Complete), Lost: s.cur.Lost,
		Used: millis(s.used), Born: millis(s.born),
	}
}

func (r record) slot() *slot {
	return &slot{
		cur: gatecast.Cursor{
			Consumer: r.consumer(), Epoch: r.Epoch, Seq: r.Seq,
			Confirmed: moment(r.Confirmed), Complete: moment(r.Complete), Lost: r.Lost,
		},
		used: moment(r.Used), noted: moment(r.Used), born: moment(r.Born),
	}
}

func (r record) consumer() gatecast.Consumer { return gatecast.Consumer{App: r.App, Name: r.Name} }

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// encode writes a drawer in at most limit bytes. Records that find no room are
// returned: those idle longest.
func encode(records []record, limit int) (value []byte, out []record, err error) {
	slices.SortFunc(records, func(a, b record) int { return cmp.Compare(b.Used, a.Used) })
	d := drawerRecord{V: recordVersion, Cursors: make([]json.RawMessage, 0, len(records))}
	room := limit - len(`{"v":1,"c":[`+`]}`) + len(",") // the first has no comma before it
	for i, r := range records {
		raw, err := json.Marshal(r)
		if err != nil {
			return nil, nil, fmt.Errorf("encode a cursor: %w", err)
		}
		if room -= len(",") + len(raw); room < 0 {
			out = records[i:]
			break
		}
		d.Cursors = append(d.Cursors, raw)
	}
	value, err = json.Marshal(d)
	return value, out, err
}

// decode reads a drawer. Its error is Invalid if a newer gatecast has written
// it, and else says that it is damaged.
func decode(value []byte) ([]record, error) {
	if err := checkVersion(value); err != nil {
		return nil, err
	}
	var d drawerRecord
	if err := json.Unmarshal(value, &d); err != nil {
		return nil, fmt.Errorf("decode a drawer: %w", err)
	}
	records := make([]record, len(d.Cursors))
	for i, raw := range d.Cursors {
		if err := json.Unmarshal(raw, &records[i]); err != nil {
			return nil, fmt.Errorf("decode a cursor: %w", err)
		}
	}
	return records, nil
}

// checkVersion looks at nothing but the version: all else may have changed.
func checkVersion(value []byte) error {
	var d struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(value, &d); err != nil {
		return fmt.Errorf("decode a drawer's version: %w", err)
	}
	if d.V < 1 {
		return errors.New("decode a drawer: it has no version")
	}
	if d.V > recordVersion {
		e := gatecast.Errorf(gatecast.Invalid, "the cursors were written by a newer gatecast: version %d, this one knows %d", d.V, recordVersion)
		e.Remedy = "run the newer gatecast"
		return e
	}
	return nil
}
