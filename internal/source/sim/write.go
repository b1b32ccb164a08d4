package sim

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// zone is where the site stands.
func zone() *time.Location { return time.FixedZone("JST", 9*60*60) }

const (
	zoneText = "+09:00"
	dateText = "2006-01-02"
	timeText = "2006-01-02 15:04:05"
)

// A site started later does not use the IDs of an earlier one, for the journal
// would take its events for duplicates: IDs start where idsPerSecond since 1970
// would have led, counted round idRange (a year), and so still fit the 31 bits
// that some clients have for them.
const (
	idsPerSecond = 32
	idRange      = 1 << 30
)

// writer puts steps into the vendor's words.
type writer struct {
	rng        *rand.Rand
	zone       *time.Location
	images     *images
	lastRecord int64 // ID last used
	lastAlarm  int64 // ID last used
}

func newWriter(rng *rand.Rand, start time.Time) writer {
	base := max(start.Unix(), 0) * idsPerSecond % idRange
	return writer{rng: rng, zone: zone(), images: newImages(rng), lastRecord: base, lastAlarm: base / 16}
}

// recordData is the data of a record; its fields stand in the vendor's order.
type recordData struct {
	ID                int64    `json:"id"`
	UserID            int64    `json:"userId"`
	Name              string   `json:"name"`
	Type              int      `json:"type"`
	Avatar            string   `json:"avatar"`
	Direction         int      `json:"direction"`
	VerifyScore       float64  `json:"verifyScore"`
	ReceptionUserID   int64    `json:"receptionUserId"`
	ReceptionUserName string   `json:"receptionUserName"`
	Groups            []group  `json:"groups"`
	DeviceName        string   `json:"deviceName"`
	SN                string   `json:"sn"`
	SignDate          string   `json:"signDate"`
	SignTime          int64    `json:"signTime"`
	SignAvatar        string   `json:"signAvatar"`
	SignBgAvatar      string   `json:"signBgAvatar"`
	Mobile            string   `json:"mobile"`
	ICNumber          string   `json:"icNumber"`
	IDNumber          string   `json:"idNumber"`
	JobNumber         string   `json:"jobNumber"`
	Remark            string   `json:"remark"`
	EntryMode         int      `json:"entryMode"`
	SignTimeZone      string   `json:"signTimeZone"`
	DocPhoto          string   `json:"docPhoto"`
	Location          string   `json:"location"`
	AbnormalType      int      `json:"abnormalType"`
	BodyTemperature   *float64 `json:"bodyTemperature,omitempty"` // only devices that measure it
	Mask              *int     `json:"mask,omitempty"`            // only devices that look for it
}

// record writes a record step down as a push message.
func (w *writer) record(st step, at time.Time) []byte {
	w.lastRecord++
	at = at.In(w.zone)
	d := recordData{
		ID: w.lastRecord, Type: stranger, Groups: []group{},
		Direction: st.dev.direction, DeviceName: st.dev.name, SN: st.dev.sn, Location: st.dev.location,
		SignDate: at.Format(dateText), SignTime: at.Unix(), SignTimeZone: zoneText,
		EntryMode: st.mode, AbnormalType: st.abnormal,
	}
	d.SignAvatar, d.SignBgAvatar = w.images.next(at), w.images.next(at)
	if st.who != nil {
		w.describe(&d, st)
	}
	if st.dev.thermal {
		w.measure(&d, st)
	}
	return push(`{"code":30000,"message":"push record","desc":"","data":`, d)
}

// describe fills in who it was.
func (w *writer) describe(d *recordData, st step) {
	p := st.who
	d.UserID, d.Name, d.Type, d.Avatar, d.Groups = p.id, p.name, p.kind, p.avatar, p.groups
	d.Mobile, d.JobNumber, d.Remark = p.mobile, p.job, p.remark
	if p.host != nil {
		d.ReceptionUserID, d.ReceptionUserName = p.host.id, p.host.name
	}
	if st.mode == byFace || st.mode == byFaceAndCard {
		d.VerifyScore = math.Round(1000*(0.90+0.099*w.rng.Float64())) / 1000
	}
	if st.mode == byCard || st.mode == byFaceAndCard {
		d.ICNumber = p.card
	}
}

// measure fills in what a device with a thermal camera sees.
func (w *writer) measure(d *recordData, st step) {
	degrees := 36.0 + 0.9*w.rng.Float64()
	if st.abnormal == fever {
		degrees = 37.6 + 1.4*w.rng.Float64()
	}
	degrees = math.Round(10*degrees) / 10
	mask := maskWorn
	switch {
	case st.abnormal == noMask, st.who != nil && !st.who.careful && st.dev.place == canteen:
		mask = maskMissing
	case st.who == nil:
		mask = maskUnknown
	}
	d.BodyTemperature, d.Mask = &degrees, &mask
}

// Values of mask.
const (
	maskUnknown = 0
	maskMissing = 1
	maskWorn    = 2
)

// alarmData is the data of an alarm; its fields stand in the vendor's order.
type alarmData struct {
	ID             int64  `json:"id"`
	Level          int    `json:"level"`
	Code           int    `json:"code"`
	Description    string `json:"description"`
	Status         int    `json:"status"`
	TraceID        string `json:"traceId"`
	DeviceID       int64  `json:"deviceId"`
	DeviceName     string `json:"deviceName"`
	DeviceSN       string `json:"deviceSn"`
	DeviceLocation string `json:"deviceLocation"`
	AlarmTime      string `json:"alarmTime"`
	ReleaseTime    string `json:"releaseTime"`
	AlarmPhoto     string `json:"alarmPhoto"`
	ResloveOption  int    `json:"resloveOption"` // the vendor's spelling
}

// alarm writes an alarm step down as a push message. The first state of an
// alarm fixes its numbers, its time and its photo.
func (w *writer) alarm(st step, at time.Time) []byte {
	at = at.In(w.zone)
	a := st.alarm
	if st.status == active {
		w.lastAlarm++
		a.id, a.opened = w.lastAlarm, at
		a.trace = fmt.Sprintf("%08x-%d-%d", w.rng.Uint32(), a.rule.code, at.Unix())
		if a.rule.photo {
			a.photo = w.images.next(at)
		}
	}
	d := alarmData{
		ID: a.id, Level: a.rule.level, Code: a.rule.code, Description: a.rule.text,
		Status: st.status, TraceID: a.trace,
		DeviceID: st.dev.id, DeviceName: st.dev.name, DeviceSN: st.dev.sn, DeviceLocation: st.dev.location,
		AlarmTime: a.opened.Format(timeText), AlarmPhoto: a.photo, ResloveOption: a.rule.release,
	}
	if st.status == released {
		d.ReleaseTime = at.Format(timeText)
	}
	return push(`{"code":30100,"desc":"","message":"push alarm","data":`, d)
}

// push completes a message. The data is of our own types, which JSON can
// always express.
func push(head string, data any) []byte {
	text, err := json.Marshal(data)
	if err != nil {
		panic("sim: " + err.Error())
	}
	return append(append([]byte(head), text...), '}')
}

// images makes image IDs: time, a number of the server's, and a counter.
type images struct {
	server uint64 // 40 bits
	count  uint32 // 24 bits
}

func newImages(rng *rand.Rand) *images {
	return &images{server: rng.Uint64() >> 24, count: rng.Uint32() >> 8}
}

func (i *images) next(at time.Time) string {
	i.count = (i.count + 1) & 0xffffff
	return fmt.Sprintf("%08x%010x%06x", uint32(at.Unix()), i.server, i.count)
}
