package client

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// Whatever number, epoch and data a server sends come out as they went in, and
// whatever else it sends comes out as no number at all.
func FuzzNumberedPush(f *testing.F) {
	f.Add(uint64(41), "E1", true, true, []byte(`{"id":1,"sn":"S"}`), []byte(`{"code":30000,"seq":-1,"epoch":"E"}`))
	f.Add(uint64(1<<63), "", false, true, []byte(`{"seq":9,"epoch":"F","replay":true}`), []byte(`{"code":30100,"seq":"7","epoch":7,"data":{}}`))
	f.Add(uint64(0), "é\"", false, false, []byte(`{}`), []byte(`{"code":20011,"data":{"from":1,"to":18446744073709551616}}`))
	f.Add(uint64(7), "x", false, true, []byte(`[]`), []byte(`{"code":20010,"data":{"after":1,"head":2,"epoch":"E"}}`))
	c, err := New(Options{URL: "http://gate.example"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, seq uint64, epoch string, replay, late bool, data, any []byte) {
		if m, err := c.decode(any); err == nil {
			if (m.number.Seq == 0) != (m.number.Epoch == "") || m.begin != nil && m.begin.start.Epoch == "" {
				t.Fatalf("%s: %+v", any, m)
			}
		}
		if !json.Valid(data) || !utf8.ValidString(epoch) || !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
			return
		}
		e := gatecast.Event{Seq: gatecast.Seq(seq), Kind: gatecast.Alarm, Late: late, Data: data}
		text := senselink.AppendNumbered(nil, &e, epoch, replay)
		m, err := c.decode(text)
		if err != nil || m.event == nil || !bytes.Equal(m.event.Raw, text) {
			t.Fatalf("%s: %+v, %v", text, m, err)
		}
		want := number{Position{epoch, e.Seq}, replay, late}
		if seq == 0 || epoch == "" {
			want = number{}
		}
		if m.number != want {
			t.Fatalf("%s: number %+v, want %+v", text, m.number, want)
		}
		if !bytes.Equal(m.data, bytes.TrimSpace(data)) {
			t.Fatalf("%s: data %s", text, m.data)
		}
	})
}
