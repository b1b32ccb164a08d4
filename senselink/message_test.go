package senselink

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
)

func TestMessagesAreTheVendorsBytes(t *testing.T) {
	for _, v := range [][2]string{
		{Connected, `{"code":20000,"message":"Connected!","desc":"Connected!"}`},
		{HeartBeat, `{"code":10000,"desc":"heart beat","message":"heart beat"}`},
		{string(Denied(DescUnknownKey)), `{"code":20002,"message":"Permission Denied!","desc":"app key not exist"}`},
		{
			string(AppendPush(nil, &gatecast.Event{Kind: gatecast.Record, Data: []byte(`{ "a" : 1 }`)})),
			`{"code":30000,"desc":"","message":"push record","data":{ "a" : 1 }}`,
		},
		{
			string(AppendPush([]byte("x"), &gatecast.Event{Kind: gatecast.Alarm})),
			`x{"code":30100,"desc":"","message":"push alarm","data":{}}`,
		},
	} {
		if diff := cmp.Diff(v[1], v[0]); diff != "" {
			t.Error(diff)
		}
	}
}

func TestCodesAreTheOnesInTheMessages(t *testing.T) {
	for body, want := range map[string]int{Connected: CodeConnected, HeartBeat: CodeHeartBeat, string(Denied("")): CodeDenied} {
		var got struct{ Code int }
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Code != want {
			t.Errorf("%s: code %d, error %v; want %d", body, got.Code, err, want)
		}
	}
}

func TestDeniedEscapesItsText(t *testing.T) {
	for in, want := range map[string]string{
		`sign wrong: "x" \ <&>`: `sign wrong: "x" \ <&>`,
		"line\nbreak\x00あ":      "line\nbreak\x00あ",
		"bad \xff byte":         "bad � byte",
	} {
		var got struct{ Desc string }
		if err := json.Unmarshal(Denied(in), &got); err != nil || got.Desc != want {
			t.Errorf("Denied(%q) = %s: %q, %v", in, Denied(in), got.Desc, err)
		}
	}
}

func TestEncodingAPushAllocatesNothing(t *testing.T) {
	e := &gatecast.Event{Kind: gatecast.Record, Data: []byte(`{"id":1}`)}
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { buf = AppendPush(buf[:0], e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
