package push

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// album keeps photos in memory: what begins with a JPEG's first bytes.
type album struct {
	lenient bool
	fail    error

	mu   sync.Mutex
	kept map[string]string // content by ID
}

func (a *album) Keep(_ string, content []byte) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.fail
	if !bytes.HasPrefix(content, []byte("\xff\xd8\xff")) {
		err = gatecast.Errorf(gatecast.Invalid, "this is no photo")
	}
	if err != nil && a.lenient {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if a.kept == nil {
		a.kept = make(map[string]string)
	}
	id := gatecast.PhotoID(content)
	a.kept[id] = string(content)
	return id, nil
}

func photoOf(n int) string { return "\xff\xd8\xff" + strings.Repeat(string(rune('a'+n)), 300) }

func idOf(n int) string { return gatecast.PhotoID([]byte(photoOf(n))) }

func inline(n int) string {
	return "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString([]byte(photoOf(n)))
}

// form packs parts, name after name with its content.
func form(t *testing.T, parts ...string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		make := w.CreateFormField
		if parts[i] != eventPart {
			make = func(name string) (io.Writer, error) { return w.CreateFormFile(name, name+".jpg") }
		}
		p, err := make(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(p, parts[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

func withPhotos(a *album) Options { return Options{Decode: senselink.Options{Photos: a}} }

const record = `{"eventType":30000,"messageId":"m","data":{"id":1,"avatar":""}}`

func TestAnEventAndItsPhotosCanBeSentAsParts(t *testing.T) {
	for name, parts := range map[string][]string{
		"the event first": {"event", record, "avatar", photoOf(1), "signAvatar", photoOf(2)},
		"the event last":  {"avatar", photoOf(1), "signAvatar", photoOf(2), "event", record},
	} {
		body, contentType := form(t, parts...)
		for _, encoding := range []string{"", "gzip"} {
			j, a := &journal{}, &album{}
			sent := body
			if encoding != "" {
				sent = zipped(t, body)
			}
			w := post(New(j, withPhotos(a)), sent, contentType, "Content-Encoding", encoding)
			if w.Code != http.StatusOK {
				t.Fatalf("%s: %d %s", name, w.Code, w.Body)
			}
			want := fmt.Sprintf(`{"id":1,"avatar":%q,"signAvatar":%q}`, idOf(1), idOf(2))
			if got := string(j.events[0].Data); got != want || a.kept[idOf(1)] != photoOf(1) || a.kept[idOf(2)] != photoOf(2) {
				t.Errorf("%s: stored %s", name, got)
			}
		}
	}
}

func TestAFormThatCannotBeUnderstoodIsRefusedWithTheRemedy(t *testing.T) {
	many := []string{"event", record}
	for n := range mostParts {
		many = append(many, fmt.Sprint("photo", n), photoOf(n))
	}
	for name, v := range map[string]struct {
		parts  []string
		status int
		remedy string
	}{
		"no event":           {[]string{"avatar", photoOf(1)}, 422, "event"},
		"two events":         {[]string{"event", record, "event", record}, 422, "event"},
		"a photo twice":      {[]string{"event", record, "avatar", photoOf(1), "avatar", photoOf(1)}, 422, "name"},
		"no such field":      {[]string{"event", record, "photo", photoOf(1)}, 422, "signAvatar"},
		"too many parts":     {many, 422, "one for each photo"},
		"no photo":           {[]string{"event", record, "avatar", "<svg/>"}, 422, ""},
		"no JSON":            {[]string{"event", "hello", "avatar", photoOf(1)}, 400, ""},
		"an empty event":     {[]string{"event", "", "avatar", photoOf(1)}, 400, ""},
		"an array":           {[]string{"event", "[" + record + "]", "avatar", photoOf(1)}, 422, ""},
		"a body too large":   {[]string{"event", record, "avatar", photoOf(1) + strings.Repeat("x", 10_000)}, 413, "ingest.max_body"},
		"an event too large": {[]string{"event", strings.Replace(record, `"avatar":""`, `"remark":"`+strings.Repeat("x", 5000)+`"`, 1)}, 413, "ingest.max_event"},
	} {
		body, contentType := form(t, v.parts...)
		o := withPhotos(&album{})
		o.Decode.MaxBody, o.Decode.MaxEvent = 9000, 4000
		for _, encoding := range []string{"", "gzip"} {
			j, sent := &journal{}, body
			if encoding != "" {
				sent = zipped(t, body)
			}
			d := refusal(t, post(New(j, o), sent, contentType, "Content-Encoding", encoding), v.status)
			if !strings.Contains(d.Remedy, v.remedy) || j.calls != 0 {
				t.Errorf("%s: %+v", name, d)
			}
		}
	}
}

func TestAFormThatIsCutOffIsMalformed(t *testing.T) {
	body, contentType := form(t, "event", record, "avatar", photoOf(1))
	h := New(&journal{}, withPhotos(&album{}))
	for _, cut := range []int{200, len(body) / 2, len(body) - 10} {
		refusal(t, post(h, body[:cut], contentType), 400)
	}
	refusal(t, post(h, "", contentType), 422)
	refusal(t, post(h, body, "multipart/form-data"), 422)
	refusal(t, post(h, body, "multipart/form-data; boundary=another"), 422)
	if h.budget.used != 0 {
		t.Errorf("%d bytes are still charged", h.budget.used)
	}
}

func TestTheBytesOfAFormCountAsThoseOfAnyBody(t *testing.T) {
	body, contentType := form(t, "event", record, "avatar", photoOf(1)+strings.Repeat("x", 50_000))
	o := withPhotos(&album{})
	o.Decode.MaxBody, o.MaxInflight = 100_000, 100_000
	h := New(&journal{}, o)
	h.budget.used = 60_000 // of others
	d := refusal(t, post(h, body, contentType), 503)
	if !strings.Contains(d.Remedy, "ingest.max_inflight") || h.budget.used != 60_000 {
		t.Errorf("%+v, %d bytes are charged", d, h.budget.used)
	}
}

func TestAPhotoThatTheDiskDoesNotTakeIsAnsweredSoThatItIsSentAgain(t *testing.T) {
	j := &journal{}
	a := &album{fail: gatecast.Errorf(gatecast.Unavailable, "photos cannot be stored at the moment")}
	w := post(New(j, withPhotos(a)), `{"eventType":30000,"data":{"signAvatar":"`+inline(1)+`"}}`, "application/json")
	refusal(t, w, 503)
	if w.Header().Get("Retry-After") == "" || j.calls != 0 {
		t.Errorf("headers %v, %d calls of the journal", w.Header(), j.calls)
	}
}

// TestThePhotosOfASourceNeverRefuseItsEvents: its server would post nothing more.
func TestThePhotosOfASourceNeverRefuseItsEvents(t *testing.T) {
	strict, lenient := &album{}, &album{lenient: true}
	o := withPhotos(strict)
	o.SourcePhotos = lenient
	s := newSite(o)
	thanked(t, s.post(`{"eventType":30000,"messageId":"a","data":{"id":1,"signAvatar":"`+inline(1)+`","docPhoto":"data:image/png;base64,AAAA"}}`))
	want := fmt.Sprintf(`{"id":1,"signAvatar":%q,"docPhoto":""}`, idOf(1))
	if got := string(s.journal.events[0].Data); got != want {
		t.Errorf("stored %s, want %s", got, want)
	}
	if lenient.kept[idOf(1)] != photoOf(1) || len(strict.kept) != 0 {
		t.Error("its photo was not kept where those of sources are")
	}
	if s.journal.stored() != "office:record:1" {
		t.Errorf("stored %s", s.journal.stored())
	}
}

func TestAnEventWithoutANumberIsTheSameWhenItsPhotoComesAgain(t *testing.T) {
	o := withPhotos(&album{lenient: true})
	s := newSite(o)
	body := `{"eventType":30000,"data":{"name":"x","signAvatar":"` + inline(1) + `"}}`
	thanked(t, s.post(body))
	thanked(t, s.post(body))
	if len(s.journal.events) != 1 {
		t.Errorf("stored %s", s.journal.stored())
	}
}

// TestAPhotoTakesNoMoreMemoryThanAnyBody holds what Options.MaxInflight says of
// a body, by comparing one whose photo is taken out with the same as it stands.
func TestAPhotoTakesNoMoreMemoryThanAnyBody(t *testing.T) {
	photo := "\xff\xd8\xff" + strings.Repeat("x", 6<<20)
	body := `{"eventType":30000,"data":{"id":1,"signAvatar":"` + base64.StdEncoding.EncodeToString([]byte(photo)) + `"}}`
	allocated := func(photos senselink.Photos) uint64 {
		h := New(&journal{}, Options{Decode: senselink.Options{MaxBody: 16 << 20, MaxEvent: 16 << 20, Photos: photos}})
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/api/v1/events", strings.NewReader(body))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h.ServeHTTP(w, r)
		runtime.ReadMemStats(&after)
		if w.Code != http.StatusOK {
			t.Fatal(w.Code, w.Body)
		}
		if n := testutil.ToFloat64(h.metrics.inflight); n != 0 {
			t.Errorf("%v bytes are still charged", n)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	if out, in := allocated(nowhere{}), allocated(nil); out > in+1<<20 {
		t.Errorf("%d bytes were allocated to take a photo out, %d to pass it on", out, in)
	}
}

// nowhere keeps nothing.
type nowhere struct{}

func (nowhere) Keep(_ string, content []byte) (string, error) { return gatecast.PhotoID(content), nil }
