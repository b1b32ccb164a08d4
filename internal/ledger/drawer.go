package ledger

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/gatecast/gatecast"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// drawers is how many keys the progress of all subscriptions lies under: enough
// that a commit of few changes writes little, and few enough that one of many
// changes needs few fsyncs. It must never change, nor may drawerOf: the
// progress lies where it does.
const drawers = 64

// drawerOf is the drawer of a subscription: FNV-1a, 32 bits, over its ID,
// modulo the number of drawers.
func drawerOf(id string) int {
	h := fnv.New32a()
	// A hash never fails to write.
	_, _ = h.Write([]byte(id))
	return int(h.Sum32() % drawers)
}

func drawerKey(d int) string { return fmt.Sprintf("drawer.%02d", d) }

// ownKey is where the progress of a subscription lies that has a key of its
// own: its drawer names it.
func ownKey(id string) string { return ownPrefix + id }

const ownPrefix = "own."

// drawerNumber is the drawer of a key; false if it is another kind of key.
func drawerNumber(key string) (int, bool) {
	var d int
	if _, err := fmt.Sscanf(key, "drawer.%02d", &d); err != nil || d < 0 || d >= drawers || drawerKey(d) != key {
		return 0, false
	}
	return d, true
}

const (
	// large is from how many bytes on a record has a key of its own: a drawer is
	// written whole, and what has many pending events should not be written
	// each time one of its neighbours moves.
	large = 32 << 10
	// small is below how many bytes it comes back into its drawer. The room
	// between keeps it from going to and fro.
	small = 8 << 10
)

// recordVersion goes up when an older gatecast would misread a value.
const recordVersion = 1

// drawerRecord is how a drawer lies in the bucket, and an own key, which holds
// one record.
type drawerRecord struct {
	V       int              `json:"v"`
	Writer  string           `json:"w"`           // names the store that wrote it
	Records []jsontext.Value `json:"s"`           // of record
	Own     []string         `json:"o,omitempty"` // IDs of those that have a key of their own
}

// envelope is what a value has beside its records and commas.
func envelope(writer string, own []string) int {
	n := len(`{"v":,"w":"","s":[],"o":[]}`) + len(strconv.Itoa(recordVersion)) + len(writer)
	for _, id := range own {
		n += len(id) + len(`"",`)
	}
	return n
}

func (d drawerRecord) encode() ([]byte, error) {
	d.V = recordVersion
	if d.Records == nil {
		d.Records = []jsontext.Value{}
	}
	value, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode a drawer: %w", err)
	}
	return value, nil
}

// decodeDrawer reads a drawer or an own key. Its error is Invalid if a newer
// gatecast has written it, and else says that it is damaged.
func decodeDrawer(value []byte) (drawerRecord, error) {
	if err := checkVersion(value, "progress of subscriptions was"); err != nil {
		return drawerRecord{}, err
	}
	var d drawerRecord
	if err := json.Unmarshal(value, &d); err != nil {
		return drawerRecord{}, fmt.Errorf("decode a drawer: %w", err)
	}
	for _, id := range d.Own {
		if !gatecast.ValidSubscriptionID(id) {
			return drawerRecord{}, fmt.Errorf("decode a drawer: %q is no ID", id)
		}
	}
	return d, nil
}

// parsed is a record and what it says.
type parsed struct {
	id  string
	p   gatecast.Progress
	raw []byte
}

func parse(raw jsontext.Value) (parsed, error) {
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return parsed{}, fmt.Errorf("decode the progress of a subscription: %w", err)
	}
	if !gatecast.ValidSubscriptionID(r.ID) {
		return parsed{}, fmt.Errorf("decode the progress of a subscription: %q is no ID", r.ID)
	}
	p, err := r.progress()
	return parsed{r.ID, p, slices.Clone(raw)}, err
}

// checkVersion looks at nothing but the version: all else may have changed.
func checkVersion(value []byte, what string) error {
	var d struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(value, &d); err != nil {
		return fmt.Errorf("decode a version: %w", err)
	}
	if d.V < 1 {
		return errors.New("decode a version: there is none")
	}
	if d.V > recordVersion {
		e := gatecast.Errorf(gatecast.Invalid, "%s written by a newer gatecast: version %d, this one knows %d", what, d.V, recordVersion)
		e.Remedy = "run the newer gatecast"
		return e
	}
	return nil
}

// ownID is the subscription of an own key.
func ownID(key string) (string, bool) {
	id, ok := strings.CutPrefix(key, ownPrefix)
	return id, ok && gatecast.ValidSubscriptionID(id)
}
