package senselink

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatecast/gatecast"
)

// album keeps photos in memory, and refuses what is none.
type album struct {
	kept  []string // fields
	photo map[string][]byte
	fail  error
}

func (a *album) Keep(field string, content []byte) (string, error) {
	if a.fail != nil {
		return "", a.fail
	}
	if !bytes.HasPrefix(content, []byte("\xff\xd8\xff")) {
		return "", gatecast.Errorf(gatecast.Invalid, "this is no photo")
	}
	if a.photo == nil {
		a.photo = make(map[string][]byte)
	}
	id := gatecast.PhotoID(content)
	a.kept, a.photo[id] = append(a.kept, field), bytes.Clone(content)
	return id, nil
}

// jpegLike is what this package takes for a photo: it decodes none.
func jpegLike(n int) []byte {
	return append([]byte("\xff\xd8\xff\xe0"), bytes.Repeat([]byte{byte(n), byte(n >> 8), 0xfb, 0xff, 0x3e}, 40)...)
}

func b64(content []byte) string { return base64.StdEncoding.EncodeToString(content) }

func decodeWithPhotos(t *testing.T, a *album, o Options, body string, f Format) ([]gatecast.Event, error) {
	t.Helper()
	o.Photos = a
	return NewDecoder(o).Decode(strings.NewReader(body), f, testNow)
}

func TestAPhotoInAnEventGivesWayToItsID(t *testing.T) {
	photo := jpegLike(1)
	id := gatecast.PhotoID(photo)
	escaped := strings.ReplaceAll(strings.ReplaceAll(b64(photo), "/", `\/`), "+", `\u002B`)
	lines := b64(photo)
	lines = lines[:76] + `\r\n` + lines[76:152] + `\r\n` + lines[152:] + `\n`
	for name, value := range map[string]string{
		"data URL":              "data:image/jpeg;base64," + b64(photo),
		"data URL, parameters":  "DATA:image/jpeg;name=a.jpg;base64," + b64(photo),
		"base64":                b64(photo),
		"base64, escaped":       escaped,
		"data URL, escaped":     `data:image\/jpeg;base64,` + escaped,
		"base64, without =":     strings.TrimRight(b64(photo), "="),
		"base64 for URLs":       "data:image/jpeg;base64," + base64.URLEncoding.EncodeToString(photo),
		"base64 in short lines": lines,
	} {
		a := &album{}
		body := `{"eventType":30000,"messageId":"m","data":{"id":1, "signAvatar" : "` + value + `","name":"見本"}}`
		events, err := decodeWithPhotos(t, a, Options{}, body, JSON)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := string(events[0].Data), `{"id":1, "signAvatar" : "`+id+`","name":"見本"}`; got != want {
			t.Errorf("%s: data is %s", name, got)
		}
		if !bytes.Equal(a.photo[id], photo) {
			t.Errorf("%s: %v were kept", name, a.kept)
		}
	}
}

func TestWhatIsAnIDOrNoPhotoFieldStaysAsItIs(t *testing.T) {
	long := b64(jpegLike(1))
	for _, data := range []string{
		`{"id":1,"avatar":"5d901af663cdaf0001252bb9","signAvatar":"","docPhoto":null}`,
		`{"id":1,"avatar":"/9j/4AAQSkZJRgABAQ=="}`,                                                         // too short
		`{"id":1,"avatar":"https://photos.example/` + strings.Repeat("a", 300) + `.jpg"}`,                  // a URL
		`{"id":1,"avatar":"` + strings.Repeat("0123456789abcdef", 20) + `"}`,                               // base64, and not of a photo
		`{"id":1,"remark":"` + long + `","alarmPhoto":"data:image/png;base64,x","other":["` + long + `"]}`, // of alarms, or nobody's
	} {
		a := &album{}
		events, err := decodeWithPhotos(t, a, Options{}, `{"code":30000,"data":`+data+`}`, JSON)
		if err != nil || string(events[0].Data) != data || len(a.kept) != 0 {
			t.Errorf("%s became %+v, %v, and %v were kept", data, events, err, a.kept)
		}
	}
	body := `{"code":30000,"data":{"id":1,"avatar":"data:image/png;base64,AAAA"}}`
	events, err := NewDecoder(Options{}).Decode(strings.NewReader(body), JSON, testNow)
	if err != nil || !strings.Contains(string(events[0].Data), "AAAA") {
		t.Errorf("where nobody keeps photos: %+v, %v", events, err)
	}
}

func TestAllPhotosOfABatchAreKeptAndTheRestIsAsItWas(t *testing.T) {
	plain := `{"eventType":30000,"data":{"id":1,"signTime":1700000000,"signTimeZone":"+09:00"}}`
	one := `{"data":{"signAvatar":"` + b64(jpegLike(1)) + `","signTime":1700000000,"avatar":"data:image/jpeg;base64,` + b64(jpegLike(2)) + `"},"eventType":"30000"}`
	alarm := `{"code":30100,"data":{"id":7,"status":1,"alarmPhoto":"` + b64(jpegLike(3)) + `"}}`
	for _, v := range []struct {
		body   string
		format Format
	}{
		{"[" + plain + "," + one + ", " + alarm + "]", JSON},
		{"\xef\xbb\xbf[" + plain + "," + one + "," + alarm + "]", JSON},
		{plain + "\n" + one + "\n" + alarm, NDJSON},
	} {
		a := &album{}
		events, err := decodeWithPhotos(t, a, Options{IDs: always(900)}, v.body, v.format)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			got = append(got, string(e.Data))
		}
		want := []string{
			`{"id":1,"signTime":1700000000,"signTimeZone":"+09:00","signDate":"2023-11-15"}`,
			`{"signAvatar":"` + gatecast.PhotoID(jpegLike(1)) + `","signTime":1700000000,"avatar":"` + gatecast.PhotoID(jpegLike(2)) + `","id":900,"signDate":"2023-11-14"}`,
			`{"id":7,"status":1,"alarmPhoto":"` + gatecast.PhotoID(jpegLike(3)) + `"}`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"signAvatar", "avatar", "alarmPhoto"}, a.kept); diff != "" {
			t.Error(diff)
		}
	}
}

// always gives out the same number.
type always int64

func (n always) Next(time.Time) int64 { return int64(n) }

func TestAPhotoThatIsRefusedRefusesTheBodyAndSaysWhere(t *testing.T) {
	good := `{"eventType":30000,"data":{"id":1,"signAvatar":"` + b64(jpegLike(1)) + `"}}`
	for name, value := range map[string]string{
		"no image":       "data:image/jpeg;base64," + b64([]byte("<svg/>")),
		"broken base64":  "data:image/jpeg;base64,/9j/4AA*",
		"no base64":      "data:image/png,%89PNG",
		"a WebP":         b64(append([]byte("RIFF0000WEBP"), make([]byte, 200)...)),
		"nothing in it":  "data:",
		"only a comma":   "data:,",
		"an empty image": "data:image/png;base64,",
	} {
		bad := `{"eventType":30000,"data":{"id":2,"docPhoto":"` + value + `"}}`
		_, err := decodeWithPhotos(t, &album{}, Options{}, "["+good+","+bad+"]", JSON)
		var e *gatecast.Error
		if !errors.As(err, &e) || e.Code != gatecast.Invalid || e.At == nil || e.At.Index != 1 || e.At.Path != "/data/docPhoto" {
			t.Errorf("%s: %#v", name, err)
		}
	}
	if _, err := decodeWithPhotos(t, &album{}, Options{}, `{"eventType":30000,"data":{"avatar":5}}`, JSON); gatecast.CodeOf(err) != gatecast.Invalid {
		t.Errorf("a number: %v", err)
	}
}

func TestOfABodyThatIsNoGoodNoPhotoIsKept(t *testing.T) {
	a := &album{}
	body := `{"eventType":30000,"data":{"id":1,"signAvatar":"` + b64(jpegLike(1)) + `"}}` + "\n" + `{"eventType":30000,"data":{"id":"x"}}`
	if _, err := decodeWithPhotos(t, a, Options{}, body, NDJSON); err == nil || len(a.kept) != 0 {
		t.Errorf("%v, and %v were kept", err, a.kept)
	}
}

func TestADiskThatTakesNoPhotoIsToldAsSuch(t *testing.T) {
	a := &album{fail: gatecast.Errorf(gatecast.Unavailable, "the disk is full")}
	body := `{"eventType":30000,"data":{"id":1,"signAvatar":"` + b64(jpegLike(1)) + `"}}`
	if _, err := decodeWithPhotos(t, a, Options{}, body, JSON); gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Error(err)
	}
}

func TestAnEventIsMeasuredWithoutItsPhotos(t *testing.T) {
	photo := append(jpegLike(1), make([]byte, 10_000)...)
	for _, form := range []string{`{"eventType":30000,"data":{"id":1,"signAvatar":"%s","remark":"%s"}}`, `{"data":{"id":1,"signAvatar":"%s","remark":"%s"},"eventType":30000}`} {
		body := func(remark int) string { return fmt.Sprintf(form, b64(photo), strings.Repeat("x", remark)) }
		events, err := decodeWithPhotos(t, &album{}, Options{MaxEvent: 1000}, body(800), JSON)
		if err != nil || len(events[0].Data) > 1000 {
			t.Errorf("an event of 900 bytes and a photo: %v", err)
		}
		if _, err := decodeWithPhotos(t, &album{}, Options{MaxEvent: 1000}, body(1000), JSON); gatecast.CodeOf(err) != gatecast.TooLarge {
			t.Errorf("an event of 1100 bytes and a photo: %v", err)
		}
	}
}

func TestAPhotoIsTheSameEventWhenItIsSentAgain(t *testing.T) {
	body := `{"eventType":30000,"data":{"id":5,"sn":"GATE-1","signAvatar":"` + b64(jpegLike(1)) + `"}}`
	var before gatecast.Event
	for i := range 2 {
		events, err := decodeWithPhotos(t, &album{}, Options{}, body, JSON)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, events[0]); i > 0 && diff != "" {
			t.Error(diff)
		}
		before = events[0]
	}
	if before.ID != "record:GATE-1:5" {
		t.Errorf("its ID is %q", before.ID)
	}
}

func TestPhotosBesideAnEventTakeThePlaceOfItsFields(t *testing.T) {
	id := func(n int) string { return gatecast.PhotoID(jpegLike(n)) }
	for data, want := range map[string]string{
		`{"id":1}`:                                      `{"id":1,"avatar":"` + id(1) + `","signAvatar":"` + id(2) + `"}`,
		`{"id":1,"avatar":"","signAvatar":null}`:        `{"id":1,"avatar":"` + id(1) + `","signAvatar":"` + id(2) + `"}`,
		`{"signAvatar":"file2.jpg","id":1,"avatar":""}`: `{"signAvatar":"` + id(2) + `","id":1,"avatar":"` + id(1) + `"}`,
	} {
		d := NewDecoder(Options{Photos: &album{}})
		beside := map[string][]byte{"avatar": jpegLike(1), "signAvatar": jpegLike(2)}
		events, err := d.DecodeWith(strings.NewReader(`{"eventType":30000,"data":`+data+`}`), beside, testNow)
		if err != nil || len(events) != 1 || string(events[0].Data) != want {
			t.Errorf("%s became %v, %v", data, events, err)
		}
	}
}

func TestPhotosBesideAnEventAreHeldToItsFields(t *testing.T) {
	d := NewDecoder(Options{Photos: &album{}})
	record := `{"eventType":30000,"data":{"id":1}}`
	for name, v := range map[string]struct {
		body  string
		field string
	}{
		"a field of alarms":   {record, "alarmPhoto"},
		"no field of photos":  {record, "name"},
		"several events":      {"[" + record + "]", "avatar"},
		"a field of records":  {`{"eventType":30100,"data":{"id":1}}`, "avatar"},
		"an unknown name":     {record, "photo"},
		"no photo":            {record, "docPhoto"},
		"an event of no kind": {`{"data":{"id":1}}`, "avatar"},
	} {
		content := jpegLike(1)
		if v.field == "docPhoto" {
			content = []byte("hello")
		}
		if _, err := d.DecodeWith(strings.NewReader(v.body), map[string][]byte{v.field: content}, testNow); gatecast.CodeOf(err) != gatecast.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewDecoder(Options{}).DecodeWith(strings.NewReader(record), map[string][]byte{"avatar": jpegLike(1)}, testNow); gatecast.CodeOf(err) != gatecast.Invalid {
		t.Errorf("where nobody keeps photos: %v", err)
	}
}

func TestThePhotosOfAnEventAreFound(t *testing.T) {
	e := &gatecast.Event{Kind: gatecast.Record, Data: []byte(dataOf(golden(t, "record.push.json")))}
	want := []gatecast.Photo{
		{Type: gatecast.Registered, ID: "5d79ac9f9812ae0001d7f082"},
		{Type: gatecast.Captured, ID: "5d901af663cdaf0001252bb9"},
		{Type: gatecast.Captured, ID: "5d901af663cdaf0001252bba"},
	}
	if diff := cmp.Diff(want, PhotosOf(e)); diff != "" {
		t.Error(diff)
	}
	alarm := &gatecast.Event{Kind: gatecast.Alarm, Data: []byte(`{"alarmPhoto":"64f12b8c63cdaf0000000001","avatar":"5d79ac9f9812ae0001d7f082"}`)}
	if diff := cmp.Diff([]gatecast.Photo{{Type: gatecast.Captured, ID: "64f12b8c63cdaf0000000001"}}, PhotosOf(alarm)); diff != "" {
		t.Error(diff)
	}
	for _, data := range []string{`{"avatar":5}`, `{"avatar":"","signAvatar":"../../etc/passwd","docPhoto":"http://a/b.jpg"}`, `{"avatar":`, ``} {
		if got := PhotosOf(&gatecast.Event{Kind: gatecast.Record, Data: []byte(data)}); got != nil {
			t.Errorf("%s names %v", data, got)
		}
	}
}

// TestAnEventIsTheSameWithItsPhotoInside compares any event that holds photos
// with the one that names their IDs.
func TestAnEventIsTheSameWithItsPhotoInside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		space := rapid.SampledFrom([]string{"", " ", "\n\t"})
		kindFirst := rapid.Bool().Draw(t, "kind first")
		var inside, outside strings.Builder
		both := func(s string) { inside.WriteString(s); outside.WriteString(s) }
		both("{")
		for i, field := range rapid.Permutation([]string{"avatar", "signAvatar", "remark", "docPhoto", "id", "signTime"}).Draw(t, "fields") {
			if i > 0 {
				both(space.Draw(t, "space") + ",")
			}
			both(space.Draw(t, "space") + `"` + field + `":` + space.Draw(t, "space"))
			switch field {
			case "id":
				both("77")
			case "signTime":
				both("1700000000")
			case "remark":
				both(`"a\"b,{}"`)
			default:
				photo := jpegLike(rapid.IntRange(0, 999).Draw(t, "photo"))
				inside.WriteString(`"data:image/jpeg;base64,` + b64(photo) + `"`)
				outside.WriteString(`"` + gatecast.PhotoID(photo) + `"`)
			}
		}
		both(space.Draw(t, "space") + "}")
		envelope := func(data string) string {
			if kindFirst {
				return `{"eventType":30000,"data":` + data + `}`
			}
			return `{"data":` + data + `,"eventType":30000}`
		}
		d := NewDecoder(Options{Photos: &album{}})
		got, err := d.Decode(strings.NewReader(envelope(inside.String())), JSON, testNow)
		if err != nil {
			t.Fatal(err)
		}
		want, err := d.Decode(strings.NewReader(envelope(outside.String())), JSON, testNow)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestEventsWithoutPhotosAllocateNothingMore(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop things at random under the race detector")
	}
	body := golden(t, "record.subscription.json")
	measure := func(o Options) float64 {
		d := NewDecoder(o)
		r := strings.NewReader(body)
		return testing.AllocsPerRun(200, func() {
			r.Reset(body)
			if _, err := d.Decode(r, JSON, testNow); err != nil {
				t.Fatal(err)
			}
		})
	}
	if with, without := measure(Options{Photos: &album{}}), measure(Options{}); with > without {
		t.Errorf("%v allocations where photos are kept, %v where they are not", with, without)
	}
}
