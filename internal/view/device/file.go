package device

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/gatecast/gatecast"
)

const fileVersion = 1

// memo is what lies in the file.
type memo struct {
	Version int                `json:"version"`
	Epoch   string             `json:"epoch"` // of the journal
	Zone    string             `json:"zone"`  // of the rhythms
	Seq     gatecast.Seq       `json:"seq"`
	Newest  gatecast.Seq       `json:"newest"` // record or alarm up to there
	Sources map[string]*source `json:"sources"`
	Devices []*device          `json:"devices"` // the latest heard of first
}

// MarshalText writes a rhythm in base64: 4 bytes for each rate and one for each
// number of weeks.
func (r *rhythm) MarshalText() ([]byte, error) {
	b := make([]byte, 0, 5*week)
	for _, rate := range r.rate {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(rate))
	}
	return base64.StdEncoding.AppendEncode(nil, append(b, r.weeks[:]...)), nil
}

// UnmarshalText reads what MarshalText writes.
func (r *rhythm) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil || len(b) != 5*week {
		return errors.New("this is no rhythm")
	}
	*r = rhythm{}
	for slot := range r.rate {
		rate := math.Float32frombits(binary.LittleEndian.Uint32(b[4*slot:]))
		if !(rate >= 0 && rate < 1e12) {
			return errors.New("this is no rhythm")
		}
		r.add(slot, rate)
		r.weeks[slot] = min(b[4*week+slot], memory)
	}
	return nil
}

// load takes up what the file tells. A file that cannot be read, or is about
// another journal, is like none: everything is read again.
func (t *Tracker) load(extent gatecast.Extent) {
	r, err := t.read(extent)
	if err != nil {
		t.opts.Log.Warn("what is known of the devices is made anew from the journal", "err", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epoch = extent.Epoch
	if r == nil {
		return
	}
	t.seq, t.newest = r.Seq, r.Newest
	for _, d := range slices.Backward(r.Devices) {
		if t.known.devices[d.SN] == nil && len(t.known.devices) < t.opts.Max {
			t.known.add(d)
		}
	}
	for name, s := range r.Sources {
		t.sources[name] = s
	}
}

func (t *Tracker) read(extent gatecast.Extent) (*memo, error) {
	if t.opts.File == "" {
		return nil, nil
	}
	content, err := os.ReadFile(t.opts.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	r := &memo{}
	if err == nil {
		err = json.Unmarshal(content, r)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("read what is known of the devices: %w", err)
	case r.Version != fileVersion:
		return nil, fmt.Errorf("the file is of version %d", r.Version)
	case r.Epoch != extent.Epoch || r.Seq > extent.Last:
		return nil, errors.New("the file is about another journal")
	case r.Zone != t.opts.Zone.String():
		return nil, fmt.Errorf("the file is about weeks in the zone %s", r.Zone)
	case slices.Contains(r.Devices, nil):
		return nil, errors.New("the file has a device that is none")
	}
	for _, s := range r.Sources {
		if s == nil {
			return nil, errors.New("the file has a source that is none")
		}
	}
	return r, nil
}

// save writes the file, if there is anything new. It is called by Run alone,
// which is the only one that changes anything.
func (t *Tracker) save() {
	if t.opts.File == "" || !t.level {
		return
	}
	r := memo{Version: fileVersion, Epoch: t.epoch, Zone: t.opts.Zone.String(), Seq: t.seq, Newest: t.newest, Sources: t.sources}
	for e := t.known.order.Front(); e != nil; e = e.Next() {
		r.Devices = append(r.Devices, e.Value.(*device))
	}
	content, err := json.Marshal(r)
	if err == nil {
		err = replace(t.opts.File, append(content, '\n'))
	}
	if err != nil {
		t.opts.Log.Warn("what is known of the devices is not on disk; the journal will be read again", "err", err)
	}
}

// replace writes a file so that at every moment it is the old one or the whole
// new one, also after a power cut.
func replace(name string, content []byte) error {
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, "."+filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
