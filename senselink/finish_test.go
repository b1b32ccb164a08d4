package senselink

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
)

func TestMissingMembersAreFilledInBehindTheOthers(t *testing.T) {
	for data, want := range map[string]string{
		`{}`:                      `{"id":N}`,
		"{ \n}":                   "{\"id\":N \n}",
		`{"a":1}`:                 `{"a":1,"id":N}`,
		"{ \"a\" : 1 \n }":        "{ \"a\" : 1,\"id\":N \n }",
		`{"id":null}`:             `{"id":null}`,
		`{"id":5,"signTime":0}`:   `{"id":5,"signTime":0}`,
		`{"signTime":1569725174}`: `{"signTime":1569725174,"id":N,"signDate":"2019-09-29"}`,
		`{"id":5,"signTime":1569790800,"signTimeZone":"+08:00"}`:    `{"id":5,"signTime":1569790800,"signTimeZone":"+08:00","signDate":"2019-09-30"}`,
		`{"id":5,"signTime":1569790800,"signTimeZone":"-03:00"}`:    `{"id":5,"signTime":1569790800,"signTimeZone":"-03:00","signDate":"2019-09-29"}`,
		`{"id":5,"signTimeZone":"GMT+09:00","signTime":1569790800}`: `{"id":5,"signTimeZone":"GMT+09:00","signTime":1569790800,"signDate":"2019-09-30"}`,
		`{"id":5,"signTime":1569790800000,"signTimeZone":"?"}`:      `{"id":5,"signTime":1569790800000,"signTimeZone":"?","signDate":"2019-09-29"}`,
		`{"id":5,"signDate":"","signTime":1569725174}`:              `{"id":5,"signDate":"","signTime":1569725174}`,
	} {
		got := string(one(t, Options{}, `{"eventType":30000,"data":`+data+`}`).Data)
		got = regexp.MustCompile(`"id":1763350834090\d\d\d`).ReplaceAllString(got, `"id":N`)
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", data, got, want)
		}
	}
	if got := string(one(t, Options{}, `{"eventType":30100,"data":{"id":5,"signTime":1569725174}}`).Data); got != `{"id":5,"signTime":1569725174}` {
		t.Errorf("an alarm has no signDate, got %s", got)
	}
}

func TestNumbersFilledInOnlyEverGrow(t *testing.T) {
	var c Counter
	var mu sync.Mutex
	var all []int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				n := c.Next(testNow)
				mu.Lock()
				all = append(all, n)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(all)
	if len(slices.Compact(all)) != 2000 || all[0] != testNow.UnixMicro() || all[len(all)-1] >= 1<<53 {
		t.Errorf("not 2000 different numbers from the clock on and below 2^53")
	}
	last := c.Next(testNow.Add(-time.Hour)) // the clock is set back
	if restarted := new(Counter).Next(testNow.Add(time.Second)); restarted <= last {
		t.Errorf("%d after a restart, %d before", restarted, last)
	}
}

func TestIdentityIsStableOverRetries(t *testing.T) {
	long := strings.Repeat("あ", 40)
	sum := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	for body, want := range map[string]string{
		`{"eventType":30000,"messageId":"m-1","data":{"id":5,"sn":"S"}}`:            "m-1",
		`{"eventType":30000,"messageId":"","data":{"id":5,"sn":"S"}}`:               "record:S:5",
		`{"eventType":30000,"messageId":null,"data":{"id":5}}`:                      "record::5",
		`{"code":"30000","data":{"id":5,"sn":"","deviceSN":"OLD"}}`:                 "record:OLD:5",
		`{"code":30100,"data":{"id":5,"deviceSn":"S","status":3}}`:                  "alarm:S:5:3",
		`{"eventType":30000,"data":{"id":9223372036854775807,"sn":"` + long + `"}}`: "record:#" + sum(long) + ":9223372036854775807",
		`{"eventType":30000,"data":{"id":6,"sn":"a b"}}`:                            "record:#" + sum("a b") + ":6",
	} {
		a, b := one(t, Options{}, body), one(t, Options{}, body)
		if a.ID != b.ID {
			t.Errorf("%s: %s, then %s", body, a.ID, b.ID)
		}
		if a.ID != want {
			t.Errorf("%s: %s, want %s", body, a.ID, want)
		}
		if len(b.ID) > 128 {
			t.Errorf("%s: identity of %d bytes", body, len(b.ID))
		}
	}
}

func TestWithoutANumberEveryEventIsNew(t *testing.T) {
	uuid := regexp.MustCompile(`^019a8fe6-6baa-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for _, data := range []string{`{}`, `{"id":0}`, `{"id":null}`, `{"id":-3}`} {
		body := `{"eventType":30000,"data":` + data + `}`
		a, b := one(t, Options{}, body), one(t, Options{}, body)
		if a.ID == b.ID || !uuid.MatchString(a.ID) {
			t.Errorf("%s: %s and %s", data, a.ID, b.ID)
		}
	}
}

func TestRoutingFieldsComeFromOldNamesToo(t *testing.T) {
	for data, want := range map[string]gatecast.Event{
		`{"deviceSN":"OLD","groupId":7}`:                                 {Device: "OLD", Groups: []int64{7}},
		`{"deviceSN":"OLD","sn":"NEW","groupId":7,"groups":[]}`:          {Device: "NEW"},
		`{"s\u006e":"S","groups":[{"id":1},{"name":"x"},{"\u0069d":2}]}`: {Device: "S", Groups: []int64{1, 2}},
		`{"sn":null,"groups":null,"groupId":null}`:                       {},
		`{"deviceSn":"for alarms only"}`:                                 {},
	} {
		got := one(t, Options{}, `{"eventType":30000,"data":`+data+`}`)
		if diff := cmp.Diff(want, gatecast.Event{Device: got.Device, Groups: got.Groups}); diff != "" {
			t.Errorf("%s: %s", data, diff)
		}
	}
}

func TestTimeOfAnEvent(t *testing.T) {
	tokyo := time.FixedZone("", 9*3600)
	at := time.Date(2020, 3, 9, 4, 3, 45, 0, time.UTC)
	for body, want := range map[string]time.Time{
		`{"eventType":30000,"data":{"signTime":1583726625}}`:                            at,
		`{"eventType":30000,"data":{"signTime":1583726625999}}`:                         at,
		`{"eventType":30000,"sendTime":1,"data":{"signTime":1583726625}}`:               at,
		`{"eventType":30000,"sendTime":1583726625015,"data":{}}`:                        at,
		`{"eventType":30000,"sendTime":null,"data":{"signTime":0}}`:                     {},
		`{"eventType":30100,"data":{"alarmTime":"2020-03-09 13:03:45"}}`:                at,
		`{"eventType":30100,"data":{"alarmTime":"2020-03-09T12:03:45+08:00"}}`:          at,
		`{"eventType":30100,"sendTime":1583726625015,"data":{"alarmTime":"yesterday"}}`: at,
		`{"eventType":30100,"data":{"alarmTime":""}}`:                                   {},
	} {
		if got := one(t, Options{Zone: tokyo}, body).At; !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: %v, want %v", body, got, want)
		}
	}
}
