package senselink

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatecast/gatecast"
)

func decode(o Options, f Format, body string) ([]gatecast.Event, error) {
	return NewDecoder(o).Decode(strings.NewReader(body), f, testNow)
}

// one decodes the only event of a body that must be good.
func one(t *testing.T, o Options, body string) gatecast.Event {
	t.Helper()
	events, err := decode(o, JSON, body)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if len(events) != 1 {
		t.Fatalf("%s: %d events", body, len(events))
	}
	return events[0]
}

// refused returns the error of a body that must not be accepted.
func refused(t *testing.T, o Options, f Format, body string) *gatecast.Error {
	t.Helper()
	events, err := decode(o, f, body)
	var e *gatecast.Error
	if !errors.As(err, &e) {
		t.Fatalf("%.200s: %d events, error %v; want a gatecast error", body, len(events), err)
	}
	if events != nil {
		t.Errorf("%.200s: events besides an error", body)
	}
	return e
}

func golden(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// dataOf returns the data object of a sample, byte for byte.
func dataOf(sample string) string {
	return sample[strings.Index(sample, `"data":`)+len(`"data":`) : len(sample)-1]
}

func TestSamplesFromTheFieldAreUnderstood(t *testing.T) {
	for name, want := range map[string]gatecast.Event{
		"record.push.json": {
			ID:   "record:SPSP-f26131cf5301be29b3a6f7be150ed330:1364591",
			Kind: gatecast.Record, Device: "SPSP-f26131cf5301be29b3a6f7be150ed330", Groups: []int64{1},
			At: time.Date(2019, 9, 29, 2, 46, 14, 0, time.UTC),
		},
		"record.subscription.json": {
			ID:   "75835750-6dd9-4eed-a929-ba1b4c062405",
			Kind: gatecast.Record, Device: "SPS-e33b1811dbd9189c5eeedffd557fd779", Groups: []int64{1},
			At: time.Date(2020, 3, 9, 4, 3, 45, 0, time.UTC),
		},
		"record.old-shape.json": {
			ID:   "record:SPS-23da60ccda8f91a865a7472c1c5d9df5:2",
			Kind: gatecast.Record, Device: "SPS-23da60ccda8f91a865a7472c1c5d9df5",
			At: time.Date(2019, 3, 7, 7, 42, 13, 0, time.UTC),
		},
		"alarm.push.json": {
			ID:   "alarm:SPSE-6b394fa48b464d54e41f3f1895178fb0:88012:1",
			Kind: gatecast.Alarm, Device: "SPSE-6b394fa48b464d54e41f3f1895178fb0",
			At: time.Date(2023, 9, 1, 9, 0, 0, 0, time.UTC),
		},
	} {
		sample := golden(t, name)
		got := one(t, Options{Source: "test"}, sample)
		want.Source = "test"
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(gatecast.Event{}, "Data")); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		wantData := dataOf(sample)
		if name == "record.old-shape.json" { // the one without a signDate
			wantData = strings.TrimSuffix(wantData, "}") + `,"signDate":"2019-03-07"}`
		}
		if diff := cmp.Diff(wantData, string(got.Data)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestWhatIsPushedIsDecodedToTheSameEvent(t *testing.T) {
	samples, err := filepath.Glob("testdata/*.json")
	if err != nil || len(samples) != 4 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, path := range samples {
		first := one(t, Options{}, golden(t, filepath.Base(path)))
		again := one(t, Options{}, string(AppendPush(nil, &first)))
		again.ID = first.ID // a push carries no messageId
		if diff := cmp.Diff(first, again); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
}

func TestDataKeepsItsBytes(t *testing.T) {
	data := "{ \"zzz\" : 1.50e+01,\n\t\"id\":7, \"x\":{\"b\":[1, 2],\"a\":\"\\u3042\\/\"}, \"signDate\":null }"
	for _, body := range []string{
		`{"eventType":30000,"data":` + data + `}`,
		`{"data":` + data + ` , "code" : "30000" }`, // kind after data
		"\xef\xbb\xbf [ {\"eventType\":\"30000\",\"data\":" + data + "}\r\n]\n",
	} {
		if got := string(one(t, Options{}, body).Data); got != data {
			t.Errorf("%s:\n got %s\nwant %s", body, got, data)
		}
	}
}

func TestBatchesKeepTheirOrder(t *testing.T) {
	event := func(id string) string { return `{"eventType":30000,"messageId":"` + id + `","data":{}}` }
	for _, v := range []struct {
		f    Format
		body string
		want string
	}{
		{JSON, event("a"), "a"},
		{JSON, "[" + event("a") + "," + event("b") + "]", "a b"},
		{JSON, " [ ] ", ""},
		{NDJSON, event("a") + "\n" + event("b") + "\r\n\n" + event("c"), "a b c"},
		{NDJSON, event("a") + "\n", "a"},
	} {
		events, err := decode(Options{}, v.f, v.body)
		if err != nil {
			t.Errorf("%s: %v", v.body, err)
		}
		var ids []string
		for _, e := range events {
			ids = append(ids, e.ID)
		}
		if got := strings.Join(ids, " "); got != v.want {
			t.Errorf("%s: %q, want %q", v.body, got, v.want)
		}
	}
}

func TestUnknownValuesAreAcceptedAndReported(t *testing.T) {
	var got []string
	o := Options{Unknown: func(field string) { got = append(got, field) }}
	one(t, o, `{"eventType":30000,"data":{"type":9,"userType":0,"entryMode":7,"abnormalType":1,"mask":3,"signTime":1,"signTimeZone":"JST","groups":[{"id":1,"type":3}],"level":99,"strange":true}}`)
	one(t, o, `{"eventType":30100,"data":{"level":0,"code":10007,"status":4,"resloveOption":4,"alarmTime":"9:00","type":9}}`)
	want := []string{
		"type", "userType", "entryMode", "abnormalType", "mask", "groups.type", "signTimeZone",
		"level", "code", "status", "resloveOption", "alarmTime",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = nil
	for _, name := range []string{"record.push.json", "record.subscription.json", "record.old-shape.json", "alarm.push.json"} {
		one(t, o, golden(t, name))
	}
	if len(got) != 0 {
		t.Errorf("samples have unknown values: %v", got)
	}
}

func TestABrokenReaderIsNotABrokenDecoder(t *testing.T) {
	own := gatecast.Errorf(gatecast.Unavailable, "too slow")
	for _, v := range []struct {
		err  error
		want gatecast.Code
	}{{errors.New("reset"), gatecast.Malformed}, {own, gatecast.Unavailable}} {
		_, err := NewDecoder(Options{}).Decode(iotest.ErrReader(v.err), JSON, testNow)
		if gatecast.CodeOf(err) != v.want || !errors.Is(err, v.err) {
			t.Errorf("%v became %v", v.err, err)
		}
	}
}

func TestEventsDoNotShareTheBodyTheyCameIn(t *testing.T) {
	d := NewDecoder(Options{})
	var kept []gatecast.Event
	body := func(i byte) string {
		return `{"eventType":30000,"messageId":"m","data":{"id":1,"sn":"` + strings.Repeat(string('a'+i), 20) + `"}}`
	}
	for i := range byte(20) {
		events, err := d.Decode(iotest.OneByteReader(strings.NewReader(body(i))), JSON, testNow)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, events...)
	}
	for i, e := range kept {
		sn := strings.Repeat(string(rune('a'+i)), 20)
		if e.Device != sn || !bytes.Contains(e.Data, []byte(sn)) {
			t.Errorf("event %d was overwritten: %s %s", i, e.Device, e.Data)
		}
	}
}

func TestADecoderServesManyAtOnce(t *testing.T) {
	d := NewDecoder(Options{})
	sample := golden(t, "record.push.json")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				events, err := d.Decode(strings.NewReader(sample), JSON, testNow)
				if err != nil || len(events) != 1 || !json.Valid(events[0].Data) {
					t.Errorf("%d events, %v", len(events), err)
					return
				}
			}
		})
	}
	wg.Wait()
}
