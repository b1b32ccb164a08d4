package standin

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/gatecast/gatecast"
)

// Event is something that the server had: a record, or one state of an alarm.
type Event struct {
	Kind      gatecast.Kind
	ID        int64     // the vendor's number, as in Data
	Status    int64     // of an alarm: the state that it has reached; 0 for a record
	MessageID string    // as it is posted
	At        time.Time // when it happened, by its data; Added if that does not say
	Added     time.Time // when the server got it, by its own clock
	Data      []byte    // as it is pushed: a JSON object without white space
}

// Pushed returns the message as a WebSocket client gets it.
func (e Event) Pushed() []byte {
	head := `{"code":30000,"message":"push record","desc":"","data":`
	if e.Kind == gatecast.Alarm {
		head = `{"code":30100,"desc":"","message":"push alarm","data":`
	}
	return append(append([]byte(head), e.Data...), '}')
}

// Posted returns the body as a subscriber gets it.
func (e Event) Posted() []byte {
	b := fmt.Appendf(nil, `{"messageId":%q,"eventType":%d,"sendTime":%d,"data":`, e.MessageID, int(e.Kind), e.At.UnixMilli())
	return append(append(b, e.Data...), '}')
}

// MarshalJSON writes the event as GET /standin/events shows it.
func (e Event) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind      string          `json:"kind"`
		ID        int64           `json:"id"`
		Status    int64           `json:"status,omitempty"`
		MessageID string          `json:"message_id"`
		At        time.Time       `json:"at"`
		Added     time.Time       `json:"added"`
		Data      json.RawMessage `json:"data"`
	}{e.Kind.String(), e.ID, e.Status, e.MessageID, e.At, e.Added, e.Data})
}

// truth is what the server has.
type truth struct {
	opts       Options
	dice       *mrand.Rand // for the numbers of others
	events     []Event     // in the order in which they came; no element ever changes
	alarms     map[string]int64
	lastRecord int64
	lastAlarm  int64
	total      uint64 // with those that are forgotten
}

func newTruth(o Options) truth {
	return truth{
		opts:       o,
		dice:       mrand.New(mrand.NewPCG(uint64(o.Numbers.First), 1)), // equal options number equally
		alarms:     make(map[string]int64),
		lastRecord: o.Numbers.First - 1,
		lastAlarm:  o.Numbers.Alarm - 1,
	}
}

// add takes an event in, under a number of its own.
func (t *truth) add(kind gatecast.Kind, data []byte, now time.Time) (Event, error) {
	o, err := readObject(data)
	if err != nil {
		return Event{}, err
	}
	e := Event{Kind: kind, Added: now, MessageID: newMessageID()}
	switch kind {
	case gatecast.Record:
		t.lastRecord = t.after(t.lastRecord)
		e.ID = t.lastRecord
	case gatecast.Alarm:
		e.ID, e.Status = t.alarmNumber(o.text("traceId")), o.number("status")
	default:
		return Event{}, gatecast.Errorf(gatecast.Invalid, "an event is a record (30000) or an alarm (30100), not %d", int(kind))
	}
	o = o.with("id", e.ID)
	if t.opts.Company != 0 && o.get("companyId") == nil {
		value := []byte(strconv.FormatInt(t.opts.Company, 10))
		o = append(slices.DeleteFunc(o, func(m member) bool { return m.name == "companyId" }), member{"companyId", value})
	}
	e.At, e.Data = happened(kind, o, t.opts.Zone, now), o.bytes()
	t.keep(e)
	return e, nil
}

// alarmNumber is that of the alarm with this serial number, in all its states;
// an alarm without one is always another.
func (t *truth) alarmNumber(trace string) int64 {
	if id, ok := t.alarms[trace]; ok {
		return id
	}
	t.lastAlarm = t.after(t.lastAlarm)
	if trace != "" {
		t.alarms[trace] = t.lastAlarm
	}
	return t.lastAlarm
}

// after returns the number after last that is ours.
func (t *truth) after(last int64) int64 {
	if t.opts.Numbers.Others > 0 {
		last += t.dice.Int64N(int64(t.opts.Numbers.Others) + 1)
	}
	return last + 1
}

func (t *truth) keep(e Event) {
	t.total++
	t.events = append(t.events, e)
	if len(t.events) <= t.opts.Most {
		return
	}
	if old := t.events[0]; old.Kind == gatecast.Alarm {
		t.forgetAlarm(old)
	}
	t.events = t.events[1:]
}

// forgetAlarm drops the serial number of an alarm whose oldest state is
// forgotten: should another state come, it is another alarm.
func (t *truth) forgetAlarm(old Event) {
	if o, err := readObject(old.Data); err == nil {
		delete(t.alarms, o.text("traceId"))
	}
}

// happened reads the time of an event out of its data.
func happened(kind gatecast.Kind, o object, zone *time.Location, now time.Time) time.Time {
	if kind == gatecast.Alarm {
		if at, err := time.ParseInLocation(time.DateTime, o.text("alarmTime"), zone); err == nil {
			return at
		}
		return now
	}
	const millis = 100_000_000_000 // as seconds this is the year 5138
	switch at := o.number("signTime"); {
	case at > millis:
		return time.UnixMilli(at)
	case at > 0:
		return time.Unix(at, 0)
	}
	return now
}

// newMessageID makes a random UUID (RFC 9562, version 4).
func newMessageID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (package crypto/rand)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
