package senselink

import (
	"encoding/json"
	"strconv"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/gatecast/gatecast"
)

func traitsOf(k gatecast.Kind, data string) gatecast.Traits {
	return TraitsOf(&gatecast.Event{Kind: k, Data: []byte(data)})
}

func TestTraitsAreReadFromTheVendorsOwnEvents(t *testing.T) {
	for name, want := range map[string]gatecast.Traits{
		"record.push.json":         {UserType: 1},
		"record.subscription.json": {UserType: 1, Abnormal: 40001},
		"record.old-shape.json":    {UserType: 3},
		"alarm.push.json":          {AlarmCode: 10002, AlarmLevel: 1},
	} {
		e := one(t, Options{}, golden(t, name))
		if got := TraitsOf(&e); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestTraitsAreNumbersOrStringsOfDigits(t *testing.T) {
	for data, want := range map[string]gatecast.Traits{
		`{"type":2,"abnormalType":20001}`:                        {UserType: 2, Abnormal: 20001},
		`{"abnormalType":"20001","type":"2"}`:                    {UserType: 2, Abnormal: 20001},
		"\n{ \"type\" :\t2 , \"abnormalType\"\r:\n20001 }\n":     {UserType: 2, Abnormal: 20001},
		`{"name":"},\"type\":3","x":[{"type":3},"]"],"type":2}`:  {UserType: 2},
		`{"x":{"type":3,"y":[{}]},"z":"\\","type":2,"w":"\\\""}`: {UserType: 2},
		`{"\u0074ype":2}`:                                                  {UserType: 2},
		`{"userType":3}`:                                                   {UserType: 3},
		`{"type":2,"userType":3}`:                                          {UserType: 2},
		`{"userType":3,"type":2}`:                                          {UserType: 2},
		`{"userType":3,"type":null}`:                                       {UserType: 3},
		`{"type":-7}`:                                                      {UserType: -7},
		`{"type":null,"abnormalType":null}`:                                {},
		`{"type":true,"abnormalType":[10001]}`:                             {},
		`{"type":1.0,"abnormalType":1e4}`:                                  {},
		`{"type":"","abnormalType":"x"}`:                                   {},
		`{"type":"+1","abnormalType":"-1"}`:                                {},
		`{"type":" 1","abnormalType":"1 "}`:                                {},
		`{"type":"1_0","abnormalType":"0x1"}`:                              {},
		`{"type":9223372036854775808,"abnormalType":99999999999999999999}`: {},
		`{"TYPE":1,"AbnormalType":1}`:                                      {},
		`{"code":10002,"level":1}`:                                         {},
		`{}`:                                                               {},
		``:                                                                 {},
	} {
		if got := traitsOf(gatecast.Record, data); got != want {
			t.Errorf("%s: %+v, want %+v", data, got, want)
		}
	}
}

func TestEachKindHasTraitsOfItsOwn(t *testing.T) {
	const data = `{"type":1,"userType":2,"abnormalType":3,"code":4,"level":"5"}`
	for kind, want := range map[gatecast.Kind]gatecast.Traits{
		gatecast.Record: {UserType: 1, Abnormal: 3},
		gatecast.Alarm:  {AlarmCode: 4, AlarmLevel: 5},
		gatecast.Notice: {},
	} {
		if got := traitsOf(kind, data); got != want {
			t.Errorf("%v: %+v, want %+v", kind, got, want)
		}
	}
}

func TestTraitsOfWhatIsNoJSONAreReadAsFarAsItGoes(t *testing.T) {
	for data, want := range map[string]int{
		`{"type":2,`: 2, `{"type":2`: 0, `{"type":"2`: 0, `{"type":`: 0, `{"type"`: 0, `{"type" 2}`: 0, `{"`: 0, `{`: 0,
		`["type",2]`: 0, `"type":2`: 0, `{"type":2}}}`: 2, `{"type":,"x":1}`: 0, `{"a":[1,"type":2}`: 0, `{"a\`: 0, `{"a":"\`: 0,
		`{type:2}`: 0, `{1:2,"type":2}`: 0, `null`: 0,
	} {
		if got := traitsOf(gatecast.Record, data).UserType; got != want {
			t.Errorf("%s: %d, want %d", data, got, want)
		}
	}
}

// model reads the traits by way of a map.
func model(k gatecast.Kind, data []byte) gatecast.Traits {
	var all map[string]json.RawMessage
	if json.Unmarshal(data, &all) != nil {
		return gatecast.Traits{}
	}
	number := func(name string) int {
		raw := all[name]
		if len(raw) > 2 && raw[0] == '"' {
			if raw = raw[1 : len(raw)-1]; raw[0] < '0' || raw[0] > '9' {
				return 0
			}
		}
		n, _ := strconv.Atoi(string(raw))
		if n == 1<<63-1 || n == -1<<63 { // out of range, or at its end, which nobody uses
			return 0
		}
		return n
	}
	switch k {
	case gatecast.Record:
		t := gatecast.Traits{UserType: number("type"), Abnormal: number("abnormalType")}
		if t.UserType == 0 {
			t.UserType = number("userType")
		}
		return t
	case gatecast.Alarm:
		return gatecast.Traits{AlarmCode: number("code"), AlarmLevel: number("level")}
	}
	return gatecast.Traits{}
}

func TestTraitsAreWhatAnyJSONParserFinds(t *testing.T) {
	scalar := rapid.SampledFrom([]string{
		`0`, `1`, `20001`, `-3`, `1.5`, `1e2`, `"2"`, `"x"`, `""`, `"a\"b"`, `"\\"`, `"}"`, `",\"type\":9"`, `null`, `true`, `"é\u00e9"`, `{}`, `[]`,
	})
	name := rapid.SampledFrom([]string{"type", "userType", "abnormalType", "code", "level", "other", "a}b", `q\"`, "é"})
	space := rapid.SampledFrom([]string{"", "", " ", "\n\t"})
	var value func(deep int) *rapid.Generator[string]
	object := func(deep int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			s := "{"
			for i, n := range rapid.SliceOfNDistinct(name, 0, 6, rapid.ID).Draw(t, "names") {
				if i > 0 {
					s += ","
				}
				s += space.Draw(t, "space") + `"` + n + `"` + space.Draw(t, "space") + ":" + value(deep).Draw(t, "value") + space.Draw(t, "space")
			}
			return s + "}"
		})
	}
	value = func(deep int) *rapid.Generator[string] {
		if deep == 0 {
			return scalar
		}
		return rapid.OneOf(scalar, object(deep-1), rapid.Map(object(deep-1), func(s string) string { return "[" + s + "," + s + "]" }))
	}
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]gatecast.Kind{gatecast.Record, gatecast.Alarm}).Draw(t, "kind")
		data := object(2).Draw(t, "data")
		if got, want := traitsOf(kind, data), model(kind, []byte(data)); got != want {
			t.Fatalf("%s: %+v, want %+v", data, got, want)
		}
	})
}

func FuzzTraits(f *testing.F) {
	for _, name := range []string{"record.push.json", "record.old-shape.json", "alarm.push.json"} {
		f.Add([]byte(dataOf(golden(f, name))))
	}
	f.Add([]byte(`{"\u0074ype":"2","x":["\\\"",{"type":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, k := range gatecast.Kinds() {
			got := TraitsOf(&gatecast.Event{Kind: k, Data: data})
			if !jsontext.Value(data).IsValid() || trim(data)[0] != '{' { // strict: no name twice
				continue
			}
			if want := model(k, data); got != want {
				t.Fatalf("%s: %+v, want %+v", data, got, want)
			}
		}
	})
}
