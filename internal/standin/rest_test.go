package standin_test

import (
	"bytes"
	"encoding/json"
	"image/jpeg"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/standin"
	"github.com/gatecast/gatecast/senselink"
)

// list returns the rows of a list of records.
func (w *world) list(path string, q url.Values, headers bool) []map[string]any {
	w.t.Helper()
	_, body := w.get(path, q, headers)
	return decode[struct {
		Data struct{ List []map[string]any }
	}](w.t, body).Data.List
}

// golden compares a body with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(bytes.TrimSpace(want)), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func readTestdata(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b)
}

func TestBodiesAreTheVendors(t *testing.T) {
	o := standin.Options{Numbers: standin.Numbers{First: 1364591, Alarm: 88012}, Zone: time.FixedZone("", 8*60*60)}
	inWorld(t, o, func(w *world) {
		c := w.join()
		for _, name := range []string{"record.push.json", "alarm.push.json"} {
			e, err := w.AddMessage(readTestdata(t, name))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, e.Pushed())
			c.expect(string(readTestdata(t, name)))
		}
		_, body := w.get("/api/v5/record/list", nil, false)
		golden(t, "record.list.v4.json", body)
		_, body = w.get("/sl/api/v5/records", nil, true)
		golden(t, "record.list.v5.json", body)
		_, body = w.get("/api/v2/device/alarm/list", nil, false)
		golden(t, "alarm.list.json", body)
		_, body = w.get("/api/v2/device/alarm/list", url.Values{"size": {"0"}}, false)
		golden(t, "refusal.v4.json", body)
		_, body = w.get("/sl/api/v5/records", url.Values{"dateTimeFrom": {"yesterday"}}, true)
		golden(t, "refusal.v5.json", body)
	})
}

func TestWhatIsPushedAndPostedCanBeDecoded(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		for _, e := range []standin.Event{w.record(1), w.alarm(1, 3)} {
			for _, body := range [][]byte{e.Pushed(), e.Posted()} {
				d := senselink.NewDecoder(senselink.Options{})
				got, err := d.Decode(bytes.NewReader(body), senselink.JSON, time.Now())
				if err != nil {
					t.Fatalf("%v in %s", err, body)
				}
				if got[0].Kind != e.Kind || !got[0].At.Equal(e.At) || !bytes.Equal(got[0].Data, e.Data) {
					t.Errorf("%s came back as %+v", body, got[0])
				}
			}
		}
	})
}

func TestPagesHoldEveryRowOnceInTheirOrder(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		var want []int64
		start := time.Now()
		for i := range 45 {
			e := w.add(gatecast.Record, standin.SampleRecord(i, start.Add(time.Duration(i*7%45)*time.Minute)))
			want = append(want, e.ID)
		}
		slices.SortFunc(want, func(a, b int64) int { return int((a-1)*7%45 - (b-1)*7%45) })
		for _, order := range []string{"asc", "desc"} {
			var got []int64
			for page := 1; page <= 6; page++ {
				for _, row := range w.list("/sl/api/v5/records", url.Values{"page": {strconv.Itoa(page)}, "size": {"10"}, "order": {order}}, true) {
					got = append(got, int64(row["id"].(float64)))
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", order, diff)
			}
			slices.Reverse(want)
		}
		if n := len(w.list("/api/v5/record/list", nil, false)); n != 20 {
			t.Errorf("a page has %d rows unless asked, want 20", n)
		}
		if n := len(w.list("/api/v5/record/list", url.Values{"page": {"1000000000"}, "size": {"1000"}}, false)); n != 0 {
			t.Errorf("the last page has %d rows, want none", n)
		}
	})
}

func TestRecordsAreFoundByTheirTimeInTheZone(t *testing.T) {
	zone := time.FixedZone("", 9*60*60)
	inWorld(t, standin.Options{Zone: zone}, func(w *world) {
		at := time.Date(2026, 11, 24, 9, 0, 0, 0, zone)
		for i := range 10 {
			w.add(gatecast.Record, standin.SampleRecord(i, at.Add(time.Duration(i)*time.Second)))
		}
		got := w.list("/api/v5/record/list", url.Values{
			"dateTimeFrom": {"2026-11-24 09:00:03"}, "dateTimeTo": {"2026-11-24 09:00:06"}, "order": {"asc"},
		}, false)
		if len(got) != 4 || got[0]["user_id"] != 3.0 || got[3]["user_id"] != 6.0 {
			t.Fatalf("got %v", got)
		}
	})
}

type alarmList struct {
	Total     int
	Size      int
	TotalPage int `json:"total_page"`
	Data      []struct {
		ID     int64
		Status int
	}
}

func TestAnAlarmIsOneRowInItsLatestState(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		w.alarm(1, 1)
		w.alarm(2, 1)
		w.alarm(1, 2)
		w.alarm(1, 3)
		ask := func(q url.Values) alarmList {
			_, body := w.get("/api/v2/device/alarm/list", q, true)
			return decode[alarmList](t, body)
		}
		all := ask(url.Values{"dateFrom": {"2023-09-01"}, "dateTo": {"2023-09-01"}, "size": {"1"}})
		if all.Total != 2 || all.TotalPage != 2 || all.Size != 1 {
			t.Errorf("got %+v, want 2 rows on 2 pages", all)
		}
		if got := ask(url.Values{"status": {"3"}}); got.Total != 1 || got.Data[0].ID != 1 {
			t.Errorf("released: got %+v", got)
		}
		if got := ask(url.Values{"status": {"1"}, "code": {"10002"}}); got.Total != 1 || got.Data[0].ID != 2 {
			t.Errorf("active: got %+v", got)
		}
		if got := ask(url.Values{"status": {"0"}}); got.Total != 2 {
			t.Errorf("all: got %+v", got)
		}
		if got := ask(url.Values{"dateFrom": {"2023-09-02"}}); got.Total != 0 {
			t.Errorf("later: got %+v", got)
		}
	})
}

func TestEachStyleWantsItsSignatureInItsPlace(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		refusal := func(path string, headers bool) int {
			_, body := w.get(path, nil, headers)
			return decode[struct{ Code int }](t, body).Code
		}
		for _, c := range []struct {
			path    string
			headers bool
			want    int
		}{
			{"/api/v5/record/list", false, 200},
			{"/api/v5/record/list", true, 30001},
			{"/sl/api/v5/records", true, 200},
			{"/sl/api/v5/records", false, 498},
			{"/api/v2/device/alarm/list", false, 200},
			{"/api/v2/device/alarm/list", true, 200},
		} {
			if got := refusal(c.path, c.headers); got != c.want {
				t.Errorf("%s, headers %v: code %d, want %d", c.path, c.headers, got, c.want)
			}
		}
	})
}

func TestAPhotoIsThereIfAnEventNamesIt(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		e := w.record(1)
		var data struct{ Avatar, SignBgAvatar string }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/v1/image/1/" + data.Avatar, "/v1/image/2/" + data.SignBgAvatar} {
			_, body := w.get(path, nil, false)
			if _, err := jpeg.Decode(bytes.NewReader(body)); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		for _, path := range []string{"/v1/image/2/" + data.Avatar, "/v1/image/1/ffffffffffffffffffffffff", "/v1/image/3/" + data.Avatar} {
			if _, body := w.get(path, nil, false); decode[struct{ Code int }](t, body).Code != 30001 {
				t.Errorf("%s: %.100s", path, body)
			}
		}
	})
}

func TestWrongParametersAreRefused(t *testing.T) {
	inWorld(t, standin.Options{}, func(w *world) {
		for _, q := range []url.Values{
			{"page": {"0"}},
			{"size": {"1001"}},
			{"order": {"sideways"}},
			{"dateTimeTo": {"2026-11-24"}},
		} {
			if _, body := w.get("/api/v5/record/list", q, false); decode[struct{ Code int }](t, body).Code != 30001 {
				t.Errorf("%v: %s", q, body)
			}
		}
		if status, _ := w.get("/api/v9/nothing", nil, false); status != http.StatusNotFound {
			t.Errorf("status %d for a path that is not", status)
		}
	})
}
