package webhook

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/gatecast/gatecast"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sample is the event of the vendor's own example, more or less.
func sample() *gatecast.Event {
	return &gatecast.Event{
		Seq: 41, ID: "record:SPSP-1:1364591", Kind: gatecast.Record, Device: "SPSP-1",
		At: time.Unix(1583726626, 0).UTC(), Stored: time.UnixMilli(1583726626999).UTC(),
		Data: []byte(`{"id":1364591, "name":"山田 太郎 </script>", "verifyScore":0.9630}`),
	}
}

func TestTheBodyIsTheVendorsWithDataByteForByte(t *testing.T) {
	const data = `,"data":{"id":1364591, "name":"山田 太郎 </script>", "verifyScore":0.9630}}`
	const named = `,"messageId":"record:SPSP-1:1364591","sendTime":1583726626000`
	for _, c := range []struct {
		form Form
		want string
	}{
		{Form{}, `{"eventType":30000` + named + data},
		{Form{Epoch: "E1"}, `{"eventType":30000` + named + data},
		{Form{EventTypeString: true}, `{"eventType":"30000"` + named + data},
		{Form{OwnFields: true, Epoch: "E1"}, `{"eventType":30000` + named + `,"seq":41,"epoch":"E1"` + data},
		{Form{true, true, "E1"}, `{"eventType":"30000"` + named + `,"seq":41,"epoch":"E1"` + data},
	} {
		if got := string(AppendBody([]byte("before "), sample(), c.form)); got != "before "+c.want {
			t.Errorf("%+v:\n%s\nwant\n%s", c.form, got, c.want)
		}
	}
}

func TestThatAnEventIsLateIsToldOnlyToWhoAskedForOwnFields(t *testing.T) {
	e := sample()
	for _, c := range []struct {
		form Form
		late bool
		told bool
	}{
		{Form{}, true, false},
		{Form{EventTypeString: true, Epoch: "E1"}, true, false},
		{Form{OwnFields: true, Epoch: "E1"}, true, true},
		{Form{OwnFields: true, Epoch: "E1"}, false, false},
	} {
		e.Late = c.late
		body := AppendBody(nil, e, c.form)
		if told := bytes.Contains(body, []byte(`"epoch":"E1","late":true,"data":`)); told != c.told || bytes.Contains(body, []byte("late")) != c.told {
			t.Errorf("%+v, late %v: %s", c.form, c.late, body)
		}
		if m, err := Parse(body); err != nil || m[0].Late != c.told {
			t.Errorf("%s is read as %+v, %v", body, m, err)
		}
	}
}

func TestSendTimeIsWhenItHappenedOrElseWhenItWasStored(t *testing.T) {
	e := sample()
	for _, c := range []struct {
		at, stored time.Time
		want       string
	}{
		{e.At, e.Stored, `"sendTime":1583726626000,`},
		{time.Time{}, e.Stored, `"sendTime":1583726626999,`},
		{time.Time{}, time.Time{}, `"sendTime":0,`},
	} {
		e.At, e.Stored = c.at, c.stored
		if got := string(AppendBody(nil, e, Form{})); !strings.Contains(got, c.want) {
			t.Errorf("at %v, stored %v: %s", c.at, c.stored, got)
		}
	}
}

func TestAnEventWithoutDataIsSentWithAnEmptyObject(t *testing.T) {
	e := &gatecast.Event{ID: "x", Kind: gatecast.Notice}
	if got, want := string(AppendBody(nil, e, Form{})), `{"eventType":50000,"messageId":"x","sendTime":0,"data":{}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestABatchIsAnArrayOfTheSameBodies(t *testing.T) {
	one := string(AppendBody(nil, sample(), Form{}))
	for n, want := range []string{"[]", "[" + one + "]", "[" + one + "," + one + "]"} {
		var events []*gatecast.Event
		for range n {
			events = append(events, sample())
		}
		if got := string(AppendBatch(nil, events, Form{})); got != want {
			t.Errorf("%d events: %s\nwant %s", n, got, want)
		}
	}
}

func anEvent(t *rapid.T) *gatecast.Event {
	data, err := json.Marshal(rapid.MapOf(rapid.String(), rapid.OneOf(
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.Int64(), func(n int64) any { return n }),
	)).Draw(t, "data"))
	if err != nil {
		t.Fatal(err)
	}
	return &gatecast.Event{
		Seq: gatecast.Seq(rapid.Uint64().Draw(t, "seq")), ID: rapid.StringN(1, 40, 128).Draw(t, "id"),
		Kind: rapid.SampledFrom([]gatecast.Kind{gatecast.Record, gatecast.Alarm, gatecast.Notice}).Draw(t, "kind"),
		At:   time.Unix(rapid.Int64Range(1, 1<<36).Draw(t, "at"), 0).UTC(), Data: data,
	}
}

func TestParseReadsWhatWasAppendedInEveryForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Form{
			EventTypeString: rapid.Bool().Draw(t, "string"), OwnFields: rapid.Bool().Draw(t, "own"),
			Epoch: rapid.StringMatching(`[A-Za-z0-9]{1,22}`).Draw(t, "epoch"),
		}
		n := rapid.IntRange(0, 3).Draw(t, "events")
		events, want := make([]*gatecast.Event, 0, n), make([]Message, 0, n)
		for range n {
			e := anEvent(t)
			m := Message{EventType: int(e.Kind), MessageID: e.ID, SendTime: e.At, Data: e.Data}
			if f.OwnFields {
				m.Seq, m.Epoch = uint64(e.Seq), f.Epoch
			}
			events, want = append(events, e), append(want, m)
		}
		check := func(body []byte, want []Message) {
			got, err := Parse(body)
			if err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatal(diff)
			}
		}
		body := AppendBatch(nil, events, f)
		check(body, want)
		if n == 1 {
			check(AppendBody(nil, events[0], f), want)
		}
		if again := AppendBatch(nil, events, f); !bytes.Equal(again, body) {
			t.Fatalf("the second attempt sends %s after %s", again, body)
		}
	})
}
