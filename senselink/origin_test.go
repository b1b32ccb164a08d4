package senselink

import (
	"testing"

	"github.com/gatecast/gatecast"
)

func TestAnEventTellsWhichDeviceItCameFrom(t *testing.T) {
	for _, c := range []struct {
		kind gatecast.Kind
		data string
		want Origin
	}{
		{gatecast.Record, `{"deviceName":"East \"gate\"","location":"1F","sn":"S","code":30001,"traceId":"x","groups":[{"deviceName":"no"}]}`, Origin{Name: `East "gate"`, Place: "1F"}},
		{gatecast.Record, `{"deviceName":null,"location":7}`, Origin{}},
		{gatecast.Alarm, `{"deviceName":"g","deviceLocation":"B1","location":"no","deviceId":1561,"code":30001,"status":"3","traceId":"t-1"}`, Origin{Name: "g", Place: "B1", DeviceID: 1561, Code: AlarmOffline, Status: 3, Trace: "t-1"}},
		{gatecast.Alarm, `no JSON`, Origin{}},
	} {
		if got := OriginOf(&gatecast.Event{Kind: c.kind, Data: []byte(c.data)}); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.data, got, c.want)
		}
	}
}
