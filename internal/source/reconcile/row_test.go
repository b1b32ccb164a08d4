package reconcile

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

func TestARowBecomesWhatThePushWouldHaveSaid(t *testing.T) {
	tokyo := time.FixedZone("", 9*60*60)
	for name, c := range map[string]struct {
		kind      gatecast.Kind
		row, want string
	}{
		"a record in snake case": {
			gatecast.Record,
			`{"id": 7,"direction":1,"capture_picture":"a","capture_bg_picture":"b","avatar":"c","user_id":5,"user_name":"X_Y","user_type":1,` +
				`"device_name":"d","device_ldid":"SPSP-1","sign_time":1569737026,"entry_mode":1,"sign_time_zone":"+08:00","verify_score":0.96,` +
				`"doc_photo":"","ic_number":"","abnormal_type":0,"job_number":"12","reception_user_id":0,"reception_user_name":"","sign_date":"2019-09-29","body_temperature":36.5,"groups":[{"id":1,"name":"g","type":1}]}`,
			`{"id":7,"direction":1,"signAvatar":"a","signBgAvatar":"b","avatar":"c","userId":5,"name":"X_Y","type":1,` +
				`"deviceName":"d","sn":"SPSP-1","signTime":1569737026,"entryMode":1,"signTimeZone":"+08:00","verifyScore":0.96,` +
				`"docPhoto":"","icNumber":"","abnormalType":0,"jobNumber":"12","receptionUserId":0,"receptionUserName":"","signDate":"2019-09-29","bodyTemperature":36.5,"groups":[{"id":1,"name":"g","type":1}]}`,
		},
		"a record in camel case": {
			gatecast.Record,
			`{"id":7,"sn":"S","signTime":1569737026,"deviceLdid":"T","companyId":3,"newField":{"a_b":1}}`,
			`{"id":7,"sn":"S","signTime":1569737026,"companyId":3,"newField":{"a_b":1}}`,
		},
		"types of another age": {
			gatecast.Record,
			`{"id":"7","sign_time":"2019-09-29 14:03:46","mask":"","user_id":null,"job_number":12,"verify_score":"0.5","entry_mode":"face"}`,
			`{"id":7,"signTime":1569733426,"userId":0,"jobNumber":"12","verifyScore":0.5,"entryMode":"face"}`,
		},
		"nothing": {
			gatecast.Record,
			`{"id":7,"remark":null,"groups":null,"mask":null,"body_temperature":null,"reception_user_id":null,"heat_avatar":null,"sign_time":null}`,
			`{"id":7,"remark":"","groups":[],"receptionUserId":0}`,
		},
		"milliseconds": {gatecast.Record, `{"id":7,"signTime":1569733426123}`, `{"id":7,"signTime":1569733426}`},
		"an alarm": {
			gatecast.Alarm,
			`{"id":9,"level":1,"code":10002,"status":"3","trace_id":"t","device_ldid":"S","alarm_time":"2019-09-29 14:03:46","releaseTime":1569733426000,"resolve_option":3}`,
			`{"id":9,"level":1,"code":10002,"status":3,"traceId":"t","deviceSn":"S","alarmTime":"2019-09-29 14:03:46","releaseTime":"2019-09-29 14:03:46","resloveOption":3}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := translate(c.kind, jsontext.Value(c.row), tokyo)
			if err != nil || string(got) != c.want {
				t.Errorf("%v\n got %s\nwant %s", err, got, c.want)
			}
		})
	}
}

func FuzzTranslate(f *testing.F) {
	for _, row := range []string{
		`{"id":7,"user_name":"a","name":"b","_x":1,"y__é":"","sign_time":"9"}`, `{"id":"x","alarm_time":5,"":0}`, `[]`, `{"a":{"a":[1,2e400]}}`,
		`{"signTime":99999999999999999999}`, `{"signTime":100000000000000}`, "{\"\\u0061_\\u0062\":1}",
	} {
		f.Add(true, row)
		f.Add(false, row)
	}
	f.Fuzz(func(t *testing.T, record bool, row string) {
		kind := gatecast.Alarm
		if record {
			kind = gatecast.Record
		}
		out, err := translate(kind, jsontext.Value(row), time.UTC)
		if err != nil {
			return
		}
		if !json.Valid(out) || !jsontext.Value(out).IsValid() {
			t.Fatalf("%q became %q", row, out)
		}
		again, err := translate(kind, out, time.UTC)
		if err != nil || string(again) != string(out) {
			t.Fatalf("%q became %q, and that %q: %v", row, out, again, err)
		}
		d := senselink.NewDecoder(senselink.Options{})
		if events, err := d.Decode(strings.NewReader(`{"code":30000,"data":`+string(out)+`}`), senselink.JSON, time.Now()); err == nil && len(events) != 1 {
			t.Fatalf("%d events", len(events))
		}
	})
}
