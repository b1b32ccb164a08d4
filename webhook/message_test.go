package webhook

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
)

func TestParseReadsOneMessageOrAnArray(t *testing.T) {
	record := Message{
		EventType: 30000, MessageID: "m1", SendTime: time.UnixMilli(1583726626015).UTC(), Data: json.RawMessage(`{"id": 1}`),
	}
	numbered := record
	numbered.Seq, numbered.Epoch = 18446744073709551615, "E1"
	timeless := record
	timeless.SendTime = time.Time{}
	const tail = `"messageId":"m1","sendTime":1583726626015,"data":{"id": 1}}`
	for body, want := range map[string][]Message{
		`{"eventType":30000,` + tail:                                              {record},
		" \r\n\t" + `{"eventType":"30000",` + tail + "\n":                         {record},
		`{"eventType":30000,"seq":18446744073709551615,"epoch":"E1",` + tail:      {numbered},
		`{"eventType":30000,"messageId":"m1","data":{"id": 1}}`:                   {timeless},
		`{"eventType":30000,"messageId":"m1","sendTime":0,"data":{"id": 1}}`:      {timeless},
		`{"eventType":30000,"messageId":"m1","sendTime":null,"data":{"id": 1}}`:   {timeless},
		`{"new":{"eventType":1},"Data":1,"EVENTTYPE":7,"eventType":30000,` + tail: {record},
		`[]`:                                {},
		`[{"eventType":30000,` + tail + `]`: {record},
		` [ {"eventType":"30000",` + tail + `, {"eventType":30000,` + tail + `]`: {record, record},
	} {
		got, err := Parse([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}

func TestParseRefusesWhatIsNoMessageAndSaysWhere(t *testing.T) {
	const good = `{"eventType":30000,"messageId":"m1","data":{}}`
	for body, want := range map[string]struct {
		code  gatecast.Code
		index int
		path  string
	}{
		``:          {gatecast.Malformed, 0, ""},
		`{`:         {gatecast.Malformed, 0, ""},
		good + good: {gatecast.Malformed, 0, ""},
		`[` + good:  {gatecast.Malformed, 0, ""},
		`{"eventType":1,"eventType":2,"messageId":"m","data":{}}`: {gatecast.Malformed, 0, ""},
		"{\"eventType\":1,\"messageId\":\"\xff\",\"data\":{}}":    {gatecast.Malformed, 0, ""},
		`null`:             {gatecast.Invalid, 0, ""},
		`"message"`:        {gatecast.Invalid, -1, ""},
		`[null]`:           {gatecast.Invalid, 0, "/eventType"},
		`[` + good + `,7]`: {gatecast.Invalid, -1, "/1"},
		`{}`:               {gatecast.Invalid, -1, "/eventType"},
		`{"eventType":true,"messageId":"m1","data":{}}`:                 {gatecast.Invalid, -1, "/eventType"},
		`{"eventType":3e4,"messageId":"m1","data":{}}`:                  {gatecast.Invalid, -1, "/eventType"},
		`{"eventType":"","messageId":"m1","data":{}}`:                   {gatecast.Invalid, -1, "/eventType"},
		`{"eventType":4294967296,"messageId":"m1","data":{}}`:           {gatecast.Invalid, -1, "/eventType"},
		`{"eventType":30000,"data":{}}`:                                 {gatecast.Invalid, -1, "/messageId"},
		`{"eventType":30000,"messageId":7,"data":{}}`:                   {gatecast.Invalid, -1, "/messageId"},
		`{"eventType":30000,"messageId":"m1"}`:                          {gatecast.Invalid, -1, "/data"},
		`{"eventType":30000,"messageId":"m1","data":[]}`:                {gatecast.Invalid, -1, "/data"},
		`[` + good + `,{"eventType":30000,"messageId":"m","data":"x"}]`: {gatecast.Invalid, 1, "/data"},
		`{"eventType":30000,"messageId":"m1","sendTime":"1","data":{}}`: {gatecast.Invalid, -1, "/sendTime"},
		`{"eventType":30000,"messageId":"m1","seq":-1,"data":{}}`:       {gatecast.Invalid, -1, "/seq"},
	} {
		messages, err := Parse([]byte(body))
		var e *gatecast.Error
		if !errors.As(err, &e) || e.Code != want.code || messages != nil {
			t.Errorf("%s: %v, %v; want code %v", body, messages, err, want.code)
			continue
		}
		if want.path != "" && (e.At == nil || e.At.Index != want.index || e.At.Path != want.path) {
			t.Errorf("%s: at %+v, want %+v", body, e.At, want)
		}
	}
}
