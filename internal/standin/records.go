package standin

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
)

// column is a field of a record as the lists show it, which is not as it is
// pushed: names differ, and what is missing is null or zero.
type column struct {
	name string   // in snake case
	from []string // names that it has in a push; none: the lists know it, and the stand-in never has it
	none string   // what stands there if there is nothing; "" is null
	bare bool     // an empty text, and 0, count as nothing
}

// columns are those of the vendor's lists, in the vendor's order.
func columns() []column {
	return []column{
		{name: "id", from: []string{"id"}},
		{name: "direction", from: []string{"direction"}, none: "0"},
		{name: "latitude", from: []string{"latitude"}},
		{name: "longitude", from: []string{"longitude"}},
		{name: "address", from: []string{"address"}},
		{name: "location", from: []string{"location"}},
		{name: "remark", from: []string{"remark"}, bare: true},
		{name: "groups", from: []string{"groups"}, none: "[]"},
		{name: "mobile", from: []string{"mobile"}, bare: true},
		{name: "mask", from: []string{"mask"}, none: "0"},
		{name: "capture_picture", from: []string{"signAvatar"}, none: `""`},
		{name: "capture_bg_picture", from: []string{"signBgAvatar"}, none: `""`},
		{name: "avatar", from: []string{"avatar", "originAvatar"}, none: `""`},
		{name: "heat_avatar"},
		{name: "user_id", from: []string{"userId"}, none: "0"},
		{name: "user_name", from: []string{"name", "userName"}, none: `""`},
		{name: "user_type", from: []string{"type", "userType"}, none: "3"},
		{name: "group_id"},
		{name: "group_name"},
		{name: "device_name", from: []string{"deviceName"}, none: `""`},
		{name: "device_ldid", from: []string{"sn", "deviceSN"}, none: `""`},
		{name: "sign_time", from: []string{"signTime"}},
		{name: "country_code"},
		{name: "place_code"},
		{name: "on_business", none: "0"},
		{name: "entry_mode", from: []string{"entryMode"}, none: "1"},
		{name: "sign_time_zone", from: []string{"signTimeZone"}, none: `""`},
		{name: "user_group"},
		{name: "verify_score", from: []string{"verifyScore"}, none: "0.0"},
		{name: "mis_id"},
		{name: "mis_type"},
		{name: "doc_photo", from: []string{"docPhoto"}, none: `""`},
		{name: "ic_number", from: []string{"icNumber"}, none: `""`},
		{name: "id_number", from: []string{"idNumber"}, none: `""`},
		{name: "abnormal_type", from: []string{"abnormalType"}, none: "0"},
		{name: "job_number", from: []string{"jobNumber"}, bare: true},
		{name: "user_ic_number", from: []string{"userIcNumber"}},
		{name: "user_id_number", from: []string{"userIdNumber"}, none: `""`},
		{name: "reception_user_id", from: []string{"receptionUserId"}, bare: true},
		{name: "reception_user_name", from: []string{"receptionUserName"}, none: `""`},
		{name: "sign_date", from: []string{"signDate"}, none: `""`},
		{name: "user_remark"},
		{name: "body_temperature", from: []string{"bodyTemperature"}, none: "0.0"},
	}
}

// records is the list of records.
func (s *Server) records(q question) (reply, error) {
	p, err := readPaging(q.query)
	if err != nil {
		return reply{}, err
	}
	sp, err := readSpan(q.query, "dateTimeFrom", "dateTimeTo", time.DateTime, s.opts.Zone)
	if err != nil {
		return reply{}, err
	}
	all, short := s.find(func(e *Event) bool { return e.Kind == gatecast.Record && sp.holds(e.At) })
	total := len(all)
	rows := make([]json.RawMessage, 0, p.size)
	for _, e := range p.cut(all, short) {
		rows = append(rows, row(e.Data, q.style.headers))
	}
	var data any = map[string]any{"list": rows, "page_num": p.page, "page_size": p.size}
	if q.style.headers {
		data = map[string]any{"list": rows, "total": total, "pageNum": p.page, "pageSize": p.size}
	}
	return asJSON(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    any    `json:"data"`
	}{http.StatusOK, "OK", data}), nil
}

// find returns the events that fit, and whether lists come short.
func (s *Server) find(fits func(*Event) bool) (found []Event, short bool) {
	s.mu.Lock()
	all := s.truth.events // only ever added to behind its end
	short = s.trouble.on(RESTShort, s.opts.Now())
	s.mu.Unlock()
	for i := range all {
		if fits(&all[i]) {
			found = append(found, all[i])
		}
	}
	return found, short
}

// row is a record as a list shows it.
func row(data []byte, camel bool) []byte {
	o, err := readObject(data)
	if err != nil {
		return []byte("{}") // not possible: add has read it
	}
	var out object
	for _, c := range columns() {
		name := c.name
		if camel {
			name = camelCase(name)
		}
		out = append(out, member{name, c.value(o)})
	}
	return out.bytes()
}

// value is what stands in the column.
func (c column) value(o object) jsontext.Value {
	v := o.first(c.from...)
	if c.bare && (string(v) == `""` || string(v) == "0") {
		v = nil
	}
	switch {
	case v == nil && c.none == "":
		return jsontext.Value("null")
	case v == nil:
		return jsontext.Value(c.none)
	case c.name == "sign_time_zone" && (v[1] == '+' || v[1] == '-'):
		return jsontext.Value(`"GMT` + string(v[1:])) // the lists have it so, and pushes do not
	}
	return v
}

// camelCase turns capture_bg_picture into captureBgPicture.
func camelCase(snake string) string {
	var b strings.Builder
	for i, word := range strings.Split(snake, "_") {
		if i > 0 {
			word = strings.ToUpper(word[:1]) + word[1:]
		}
		b.WriteString(word)
	}
	return b.String()
}
