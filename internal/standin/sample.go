package standin

import (
	"fmt"
	"time"
)

// SampleRecord returns the data of an ordinary record, number n of a series: the
// person, the device and the photos follow from it.
func SampleRecord(n int, at time.Time) []byte {
	at = at.In(time.FixedZone("", 9*60*60))
	return fmt.Appendf(nil, `{"id":0,"userId":%[1]d,"name":"見本 %[1]d","type":1,"avatar":"5d79ac9f9812ae00%08[1]x","direction":%[2]d,`+
		`"verifyScore":0.963,"receptionUserId":0,"receptionUserName":"","groups":[{"id":1,"name":"Default group","type":1}],`+
		`"deviceName":"Gate %[3]d","sn":"SPSP-%032[3]x","signDate":"%[4]s","signTime":%[5]d,`+
		`"signAvatar":"5d901af663cdaf00%08[1]x","signBgAvatar":"5d901af663cdaf01%08[1]x","mobile":"","icNumber":"","idNumber":"",`+
		`"jobNumber":"%[6]d","remark":"","entryMode":1,"signTimeZone":"+09:00","docPhoto":"","location":"306","abnormalType":0,`+
		`"bodyTemperature":36.5,"mask":2}`,
		n, n%2, n%8+1, at.Format(time.DateOnly), at.Unix(), 10_000+n)
}

// SampleAlarm returns the data of one state (1 active, 2 being released, 3
// released) of alarm number n of a series; at is when the alarm began, and its
// zone is the one that alarmTime is written in.
func SampleAlarm(n, status int, at time.Time) []byte {
	released := ""
	if status == 3 {
		released = at.Add(time.Minute).Format(time.DateTime)
	}
	return fmt.Appendf(nil, `{"id":0,"level":1,"code":10002,"description":"ドアの強制開放","status":%[1]d,"traceId":"%08[2]x-10002-%[3]d",`+
		`"deviceId":%[4]d,"deviceName":"Gate %[5]d","deviceSn":"SPSE-%032[5]x","deviceLocation":"本社 1F","alarmTime":"%[6]s",`+
		`"releaseTime":"%[7]s","alarmPhoto":"64f12b8c63cdaf00%08[2]x","resloveOption":3}`,
		status, n, at.Unix(), 1561+n%8, n%8+1, at.Format(time.DateTime), released)
}
