package client

import "github.com/gatecast/gatecast"

// Data is what an event says: a [Record] or an [Alarm].
type Data interface {
	kind() gatecast.Kind
	identity() (messageID string, natural bool)
}

// Record is an authentication record: the data of code 30000, field for field.
type Record struct {
	// MessageID names the event, at most 128 bytes: the server stores the same
	// one once. Empty means ID and SN name it or, if ID is 0, a random one
	// that only the retries of one Publish share.
	MessageID string `json:"-"`

	ID                int64    `json:"id,omitempty"`       // record ID; 0 lets the server choose
	UserID            int64    `json:"userId"`             // 0 unknown
	Name              string   `json:"name"`               // user's name
	Type              int      `json:"type"`               // 1 employee, 2 visitor, 3 stranger
	Avatar            string   `json:"avatar"`             // registered photo (image ID)
	Direction         int      `json:"direction"`          // access direction of the device
	VerifyScore       float64  `json:"verifyScore"`        // 0 to 1
	ReceptionUserID   int64    `json:"receptionUserId"`    // who receives the visitor
	ReceptionUserName string   `json:"receptionUserName"`  // their name
	Groups            []Group  `json:"groups"`             // of the user
	DeviceName        string   `json:"deviceName"`         // as the operator named it
	SN                string   `json:"sn"`                 // LDID of the device
	SignDate          string   `json:"signDate,omitempty"` // "2019-09-29"; empty lets the server fill it in
	SignTime          int64    `json:"signTime,omitempty"` // Unix time in seconds; 0 means now
	SignAvatar        string   `json:"signAvatar"`         // photo at authentication, thumbnail (image ID)
	SignBgAvatar      string   `json:"signBgAvatar"`       // photo at authentication, large (image ID)
	Mobile            string   `json:"mobile"`             // mobile number
	ICNumber          string   `json:"icNumber"`           // IC card number
	IDNumber          string   `json:"idNumber"`           // the vendor always sends it empty
	JobNumber         string   `json:"jobNumber"`          // employee number
	Remark            string   `json:"remark"`             // remarks
	EntryMode         int      `json:"entryMode"`          // 1 face, 2 QR code, 3 card, 4 face and card, 5 ID card, 6 face and ID card
	SignTimeZone      string   `json:"signTimeZone"`       // "+09:00"
	DocPhoto          string   `json:"docPhoto"`           // photo of the ID document
	Location          string   `json:"location"`           // where the device stands
	AbnormalType      int      `json:"abnormalType"`       // 0 none; else a code of the vendor's table
	BodyTemperature   *float64 `json:"bodyTemperature,omitempty"`
	Mask              *int     `json:"mask,omitempty"` // 0 unknown, 1 not worn, 2 worn
}

// Group is a group that a person belongs to.
type Group struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	Type int    `json:"type"` // 1 employees, 2 visitors, 5 deny list
}

// Alarm is a device alarm: the data of code 30100, field for field.
type Alarm struct {
	MessageID string `json:"-"` // as in [Record]; ID, DeviceSN and Status name it without

	ID             int64  `json:"id,omitempty"`        // alarm record ID; 0 lets the server choose
	Level          int    `json:"level"`               // 1 alert, 2 abnormality
	Code           int    `json:"code"`                // such as 10002, door forced open
	Description    string `json:"description"`         // for people
	Status         int    `json:"status"`              // 1 active, 2 being released, 3 released
	TraceID        string `json:"traceId"`             // stays the same through the alarm's states
	DeviceID       int64  `json:"deviceId"`            // device ID
	DeviceName     string `json:"deviceName"`          // as the operator named it
	DeviceSN       string `json:"deviceSn"`            // LDID of the device
	DeviceLocation string `json:"deviceLocation"`      // where it stands
	AlarmTime      string `json:"alarmTime,omitempty"` // "2006-01-02 15:04:05"; empty means now
	ReleaseTime    string `json:"releaseTime"`         // the same form; empty while active
	AlarmPhoto     string `json:"alarmPhoto"`          // photo (image ID)

	// ResolveOption says how it can be released: 0 need not be, 1 at the
	// device, 2 remotely, 3 both. The wire name is the vendor's spelling.
	ResolveOption int `json:"resloveOption"`
}

func (Record) kind() gatecast.Kind { return gatecast.Record }
func (Alarm) kind() gatecast.Kind  { return gatecast.Alarm }

func (r Record) identity() (string, bool) { return r.MessageID, r.ID > 0 }
func (a Alarm) identity() (string, bool)  { return a.MessageID, a.ID > 0 }
