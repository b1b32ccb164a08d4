package journal

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/gatecast/gatecast"
)

// ages is a file beside the journal that says how far it reached at times
// past, so that events lost at the front cannot pass for events removed by age:
// what was stored after such a time is not older than that. It is owned by
// whoever opens the journal, and then by the committer.
type ages struct {
	path string
	kept agesFile
}

type agesFile struct {
	Epoch  string        `json:"epoch"`   // of the journal
	MaxAge time.Duration `json:"max_age"` // in force when this was written; 0 means for ever
	Points []agePoint    `json:"points"`  // oldest first
}

// agePoint says that every event beyond Last was stored at At or later.
type agePoint struct {
	At   int64        `json:"at"` // Unix seconds
	Last gatecast.Seq `json:"last"`
}

const (
	agesPerLife = 256             // points in the time that an event is kept
	maxAges     = 2 * agesPerLife // the oldest go beyond it
)

// openAges reads the file; without one nothing is known.
func openAges(dir string) (*ages, error) {
	a := &ages{path: filepath.Join(dir, "ages.json")}
	b, err := os.ReadFile(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &a.kept)
	}
	if err != nil {
		a.kept = agesFile{}
		return a, fmt.Errorf("read the ages of events %s: %w", a.path, err)
	}
	return a, nil
}

// begin sets which journal is meant from now on, and how long it keeps events.
func (a *ages) begin(epoch string, maxAge time.Duration) {
	if a == nil {
		return
	}
	if a.kept.Epoch != epoch {
		a.kept.Points = nil
	}
	a.kept.Epoch, a.kept.MaxAge = epoch, maxAge
}

// note records that what comes after last is stored from now on, unless that
// was last done a moment ago.
func (a *ages) note(last gatecast.Seq, now time.Time) error {
	if a == nil || !a.add(last, now) {
		return nil
	}
	b, err := json.Marshal(a.kept)
	if err != nil {
		return fmt.Errorf("encode the ages of events: %w", err)
	}
	return replaceFile(a.path, b)
}

func (a *ages) add(last gatecast.Seq, now time.Time) bool {
	p := a.kept.Points
	for len(p) > 0 && p[len(p)-1].At > now.Unix() {
		p = p[:len(p)-1] // the clock was wrong, then or now
	}
	if len(p) > 0 && now.Sub(time.Unix(p[len(p)-1].At, 0)) < spacing(a.kept.MaxAge) {
		return false
	}
	p = append(p, agePoint{now.Unix(), last})
	a.kept.Points = p[max(0, len(p)-maxAges):]
	return true
}

// young returns the position after which no event of an epoch can have been
// removed by age yet, if that is known.
func (a *ages) young(epoch string, maxAge time.Duration, now time.Time) (after gatecast.Seq, known bool) {
	if a == nil || a.kept.Epoch != epoch {
		return 0, false
	}
	// The margin is for a clock that has gone back meanwhile.
	edge := now.Add(spacing(maxAge) - maxAge).Unix()
	p := a.kept.Points
	i := sort.Search(len(p), func(i int) bool { return p[i].At > edge })
	if i == len(p) || p[i].At > now.Unix() {
		return 0, false
	}
	return p[i].Last, true
}

// limit returns the age at which events may have been removed until now, if
// it is to be maxAge from now on; 0 means never.
func (a *ages) limit(maxAge time.Duration) time.Duration {
	if a == nil || a.kept.MaxAge == 0 {
		return maxAge
	}
	return min(cmp.Or(maxAge, a.kept.MaxAge), a.kept.MaxAge)
}

// spacing is the time between two points.
func spacing(maxAge time.Duration) time.Duration {
	if maxAge == 0 {
		maxAge = 30 * 24 * time.Hour // it may be limited some day
	}
	return max(maxAge/agesPerLife, clockSlack)
}
