package reconcile

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// upstreamRow is a record, or an alarm in its present state.
type upstreamRow struct {
	kind   gatecast.Kind
	id     int64
	at     time.Time
	states []state // of an alarm; of a record one
	raw    string  // in place of what it is
	old    bool    // it happened a while before the server had it
}

type state struct {
	status int64
	added  time.Time
}

func (r *upstreamRow) now() state { return r.states[len(r.states)-1] }

func (r *upstreamRow) eventID() string {
	return gatecast.UpstreamID(sourceName, r.kind, r.id, r.now().status, nil)
}

// habits are ways in which servers differ.
type habits struct {
	most       int  // rows of a page, whatever was asked for; 0: as asked for
	silent     bool // no total, no page_size
	descending bool // whatever was asked for
	exclusive  bool // the end is not part of a stretch of time
	short      bool // the last row of each page is left out
	zone       *time.Location
	ahead      time.Duration // of our clock; less than nothing: behind
	dateless   bool          // answers do not tell what its clock shows
}

// fakeUpstream is a server with a truth of its own. It answers without a socket.
type fakeUpstream struct {
	mu     sync.Mutex
	habits habits
	last   int64
	rows   []*upstreamRow
	fail   error  // no connection
	status int    // an answer of this status, without JSON
	body   string // an answer with this body
	asked  []*http.Request
	onAsk  func() // before an answer is made, under mu
	delay  time.Duration
}

func newFakeUpstream() *fakeUpstream { return &fakeUpstream{habits: habits{zone: time.UTC}} }

// add makes a record that happened a while ago, or an alarm.
func (u *fakeUpstream) add(kind gatecast.Kind, ago time.Duration) *upstreamRow {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last++
	r := &upstreamRow{kind: kind, id: u.last, at: time.Now().Add(u.habits.ahead - ago), old: ago > 0}
	r.states = []state{{added: time.Now()}}
	if kind == gatecast.Alarm {
		r.states[0].status = 1
	}
	u.rows = append(u.rows, r)
	return r
}

// skip gives numbers to somebody else.
func (u *fakeUpstream) skip(n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last += n
}

// addRaw makes a row of the list of records.
func (u *fakeUpstream) addRaw(raw string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last++
	u.rows = append(u.rows, &upstreamRow{
		kind: gatecast.Record, id: u.last, at: time.Now(), raw: raw, states: []state{{added: time.Now()}},
	})
}

func (u *fakeUpstream) become(r *upstreamRow, status int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	r.states = append(r.states, state{status, time.Now()})
}

func (u *fakeUpstream) set(change func(*fakeUpstream)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(u)
}

func (u *fakeUpstream) questions() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.asked)
}

// RoundTrip is part of http.RoundTripper.
func (u *fakeUpstream) RoundTrip(r *http.Request) (*http.Response, error) {
	u.mu.Lock()
	delay := u.delay
	u.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked = append(u.asked, r)
	if u.onAsk != nil {
		u.onAsk()
	}
	if u.fail != nil {
		return nil, u.fail
	}
	w := httptest.NewRecorder()
	if !u.habits.dateless {
		w.Header().Set("Date", time.Now().Add(u.habits.ahead).UTC().Format(http.TimeFormat))
	}
	switch {
	case u.status != 0:
		http.Error(w, "oh no", u.status)
	case u.body != "":
		fmt.Fprint(w, u.body)
	default:
		u.answer(w, r)
	}
	return w.Result(), nil
}

func (u *fakeUpstream) answer(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if err := signed(r); err != nil {
		fmt.Fprintf(w, `{"code":30001,"message":"Param Invalid","desc":%q,"data":{}}`, err.Error())
		return
	}
	size, _ := strconv.Atoi(q.Get("size"))
	page, _ := strconv.Atoi(q.Get("page"))
	if u.habits.most > 0 {
		size = min(size, u.habits.most)
	}
	rows := u.choose(r.URL.Path, q)
	total := len(rows)
	from := min(total, (page-1)*size)
	rows = rows[from:min(total, from+size)]
	if u.habits.short && len(rows) > 0 {
		rows = rows[:len(rows)-1]
	}
	var texts []string
	for _, row := range rows {
		texts = append(texts, row.text(r.URL.Path, u.habits.zone))
	}
	name := map[string]string{recordsV4: "list", recordsV5: "resultList", alarms: "data"}[r.URL.Path]
	told := ""
	if !u.habits.silent {
		told = fmt.Sprintf(`"total":%d,"page_size":%d,`, total, size)
	}
	fmt.Fprintf(w, `{"code":200,"message":"OK","data":{%s"page_num":%d,%q:[%s]}}`, told, page, name, strings.Join(texts, ","))
}

func signed(r *http.Request) error {
	q := r.URL.Query()
	key, at, sign := q.Get("app_key"), q.Get("timestamp"), q.Get("sign")
	if r.URL.Path == recordsV5 {
		key, at, sign = r.Header.Get("appKey"), r.Header.Get("timestamp"), r.Header.Get("sign")
	}
	ms, _ := strconv.ParseInt(at, 10, 64)
	if age := time.Since(time.UnixMilli(ms)); age > 30*time.Minute || age < -30*time.Minute {
		return errors.New("timestamp")
	}
	if key != "k" || sign != senselink.Sign(at, "geheim") {
		return errors.New("sign error")
	}
	return nil
}

// choose returns the rows of a stretch of time, in order.
func (u *fakeUpstream) choose(path string, q url.Values) []*upstreamRow {
	kind, layout, from, to := gatecast.Record, time.DateTime, q.Get("dateTimeFrom"), q.Get("dateTimeTo")
	if path == alarms {
		kind, layout, from, to = gatecast.Alarm, time.DateOnly, q.Get("dateFrom"), q.Get("dateTo")
	}
	var rows []*upstreamRow
	for _, r := range u.rows {
		at := r.at.In(u.habits.zone).Format(layout)
		if r.kind == kind && at >= from && (at < to || at == to && !u.habits.exclusive) {
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, b *upstreamRow) int { return a.at.Compare(b.at) })
	if u.habits.descending || path == alarms {
		slices.Reverse(rows)
	}
	return rows
}

func (r *upstreamRow) text(path string, zone *time.Location) string {
	switch {
	case r.raw != "":
		return r.raw
	case path == alarms:
		return fmt.Sprintf(`{"id":%d,"level":1,"code":10002,"status":%d,"deviceSn":"SPSE-1","alarmTime":%q,"releaseTime":null}`,
			r.id, r.now().status, r.at.In(zone).Format(time.DateTime))
	case path == recordsV4:
		return fmt.Sprintf(`{"id":%d,"device_ldid":"SPSP-1","sign_time":%d,"user_name":"A","user_type":1,"capture_picture":"x"}`, r.id, r.at.Unix())
	}
	return fmt.Sprintf(`{"id":%d,"sn":"SPSP-1","signTime":%d,"name":"A","type":1,"signAvatar":"x"}`, r.id, r.at.Unix())
}
