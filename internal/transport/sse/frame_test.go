package sse

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
	"github.com/google/go-cmp/cmp"
)

// parse reads all of a stream that has ended.
func parse(t *testing.T, stream string) ([]message, *parser) {
	t.Helper()
	p := newParser(strings.NewReader(stream))
	var all []message
	for {
		m, err := p.next()
		if err != nil {
			return all, p
		}
		all = append(all, m)
	}
}

// unified is what becomes of the ends of line of a text in a stream.
func unified(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

func TestTheParserReadsTheExamplesOfTheStandard(t *testing.T) {
	cases := []struct {
		stream string
		want   []message
		lastID string
	}{
		{"data: YHOO\ndata: +2\ndata: 10\n\n", []message{{"message", "YHOO\n+2\n10", ""}}, ""},
		{
			": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
			[]message{{"message", "first event", "1"}, {"message", "second event", ""}, {"message", " third event", ""}},
			"",
		},
		{"data\n\ndata\ndata\n\ndata:", []message{{"message", "", ""}, {"message", "\n", ""}}, ""},
		{"\ufeffid: 7\r\rdata:x\r\n\r\nid: 8\n", []message{{"message", "x", "7"}}, "7"},
		{"event: add\nid: 9\n\nid: a\x00b\ndata: x\n\n", []message{{"message", "x", "9"}}, "9"},
	}
	for _, c := range cases {
		got, p := parse(t, c.stream)
		if diff := cmp.Diff(c.want, got); diff != "" || p.lastID != c.lastID {
			t.Errorf("%q: last event ID %q, want %q; messages %s", c.stream, p.lastID, c.lastID, diff)
		}
	}
}

func TestAPositionAloneDispatchesNothingAndIsKept(t *testing.T) {
	b := appendPosition(nil, 41)
	b = append(b, heartbeat...)
	got, p := parse(t, string(b))
	if len(got) != 0 || p.lastID != "41" || p.comments != 1 {
		t.Errorf("messages %v, last event ID %q, %d comments; want none, 41 and 1", got, p.lastID, p.comments)
	}
}

func TestNoticesCarryThePositionFromWhichAReaderComesBack(t *testing.T) {
	b := appendRetry(nil, 2*time.Second)
	b = appendResumed(append(b, '\n'), 41, 52, "e")
	b = appendGap(b, &gatecast.GapNotice{From: 3, To: 17, Reason: gatecast.GapRetention}, 52, "e")
	got, p := parse(t, string(b))
	want := []message{
		{"resumed", `{"after":41,"head":52,"epoch":"e"}`, "41"},
		{"gap", `{"from":3,"to":17,"reason":"retention","head":52,"epoch":"e"}`, "17"},
	}
	if diff := cmp.Diff(want, got); diff != "" || p.retry != 2*time.Second {
		t.Errorf("retry %v, messages %s", p.retry, diff)
	}
}

func FuzzWhateverASenderWritesComesBackAsTheSameJSON(f *testing.F) {
	f.Add([]byte(`{"id":1}`), true)
	f.Add([]byte("{\r\n\"a\" : 1,\n\n\r\"b\":2 }"), false)
	f.Add([]byte(" \n{\n}\r"), false)
	f.Add([]byte("id: 9\n\nevent: x\ndata: y\n\n"), false)
	f.Add([]byte(": \x00\xff\ufeff"), true)
	f.Fuzz(func(t *testing.T, data []byte, replay bool) {
		e := gatecast.Event{Seq: 41, Kind: gatecast.Alarm, Data: data}
		before := bytes.Clone(data)
		text := string(senselink.AppendNumbered(nil, &e, "epoch", replay))
		stream := appendEvent([]byte(heartbeat), &e, "epoch", replay)
		e.Seq, e.Data, e.Late = 42, []byte(`{}`), true
		stream = appendEvent(stream, &e, "epoch", false)
		got, p := parse(t, string(stream))
		want := []message{
			{"alarm", unified(text), "41"},
			{"alarm", `{"code":30100,"desc":"","message":"push alarm","seq":42,"epoch":"epoch","late":true,"data":{}}`, "42"},
		}
		if diff := cmp.Diff(want, got); diff != "" || p.comments != 1 {
			t.Fatalf("%d comments, messages %s", p.comments, diff)
		}
		if !bytes.Equal(before, data) {
			t.Fatal("the event's data was changed")
		}
		if json.Valid([]byte(text)) {
			if diff := cmp.Diff(value(t, text), value(t, got[0].Data)); diff != "" {
				t.Fatalf("the JSON means something else: %s", diff)
			}
		}
	})
}

func value(t fataler, text string) any {
	t.Helper()
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}
