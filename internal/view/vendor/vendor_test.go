package vendor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/senselink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	key    = "0123456789abcdef"
	secret = "e30af86f8f4e75d128ba4288597dea3c"
	older  = "7ba41f9a8ac98f2c16ee904bc7ea624c"
	token  = "gct_of-somebody-who-may-read"
	id     = "5d901af663cdaf0001252bb9"
)

// world is everything around the door. It has one app and one photo.
type world struct {
	app   gatecast.App
	photo []byte
	fail  error
	now   time.Time
	log   bytes.Buffer
	door  *Door
	http.Handler
}

func newWorld(o Options) *world {
	w := &world{photo: []byte("\xff\xd8\xff and so on"), now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}
	w.app = gatecast.App{
		Key: key, Enabled: true, Window: gatecast.DefaultWindow,
		Secrets: []gatecast.Secret{{Value: secret}, {Value: older, Expires: w.now.Add(time.Hour)}},
	}
	o.Now = func() time.Time { return w.now }
	o.Log = slog.New(slog.NewTextHandler(&w.log, nil))
	w.door = NewDoor(w, w, o)
	mux := http.NewServeMux()
	mux.Handle("GET /v1/image/{type}/{id}", w.door.Images(w))
	w.Handler = mux
	return w
}

func (w *world) App(k string) (*gatecast.App, bool) { return &w.app, k == w.app.Key }

func (w *world) PrincipalByTokenHash(_ context.Context, hash [32]byte) (auth.Principal, error) {
	switch hash {
	case auth.HashToken(token):
		return auth.Principal{Name: "reader", Scopes: []auth.Scope{auth.Read}}, nil
	case auth.HashToken(token + "-not"):
		return auth.Principal{Name: "sender", Scopes: []auth.Scope{auth.Ingest}}, nil
	}
	return auth.Principal{}, gatecast.Errorf(gatecast.NotFound, "no such token")
}

type file struct{ *bytes.Reader }

func (file) Close() error { return nil }

func (w *world) Open(p gatecast.Photo) (io.ReadSeekCloser, string, error) {
	if w.fail != nil {
		return nil, "", w.fail
	}
	if p != (gatecast.Photo{Type: gatecast.Captured, ID: id}) {
		return nil, "", gatecast.Errorf(gatecast.NotFound, "image not exist")
	}
	return file{bytes.NewReader(w.photo)}, "image/jpeg", nil
}

func (w *world) Thumbnail(_ context.Context, p gatecast.Photo) (io.ReadSeekCloser, string, error) {
	f, media, err := w.Open(p)
	if err != nil {
		return nil, "", err
	}
	_, err = f.Seek(3, io.SeekStart)
	return file{bytes.NewReader([]byte("small"))}, media, err
}

// ask sends a request with headers, names and values in turn.
func (w *world) ask(method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	return rec
}

// query is a v4 signature.
func (w *world) query(k, s string, at time.Time) string {
	stamp := strconv.FormatInt(at.UnixMilli(), 10)
	return "app_key=" + k + "&timestamp=" + stamp + "&sign=" + senselink.Sign(stamp, s)
}

// headers is a v5 signature.
func (w *world) headers(k, s string, at time.Time) []string {
	stamp := strconv.FormatInt(at.UnixMilli(), 10)
	return []string{"appKey", k, "timestamp", stamp, "sign", senselink.Sign(stamp, s)}
}

const image = "/v1/image/2/" + id

// refused checks that an answer is a refusal in the vendor's words, and returns
// its desc.
func refused(t *testing.T, rec *httptest.ResponseRecorder, status, code int) string {
	t.Helper()
	var got struct {
		Code    int
		Message string
		Desc    string
		Data    map[string]any
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
	}
	if rec.Code != status || got.Code != code || got.Message != "Param Invalid" || got.Desc == "" || got.Data == nil || len(got.Data) != 0 {
		t.Errorf("status %d, want %d, code want %d: %s", rec.Code, status, code, rec.Body)
	}
	return got.Desc
}

func TestEitherSignatureOrATokenGetsTheImage(t *testing.T) {
	w := newWorld(Options{})
	signed := w.query(key, secret, w.now)
	for name, rec := range map[string]*httptest.ResponseRecorder{
		"v4":                           w.ask("GET", image+"?"+signed),
		"v4 beside a proxy's password": w.ask("GET", image+"?"+signed, "Authorization", "Basic eA=="),
		"v5":                           w.ask("GET", image, w.headers(key, secret, w.now)...),
		"the secret before a rotation": w.ask("GET", image+"?"+w.query(key, older, w.now)),
		"at the edge of the window":    w.ask("GET", image+"?"+w.query(key, secret, w.now.Add(-30*time.Minute))),
		"a token":                      w.ask("GET", image, "Authorization", "Bearer "+token),
	} {
		if rec.Code != http.StatusOK || !bytes.Equal(rec.Body.Bytes(), w.photo) {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
		for header, want := range map[string]string{
			"Content-Type": "image/jpeg", "Etag": `"` + id + `"`, "Cache-Control": "private, max-age=86400",
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
		} {
			if got := rec.Header().Get(header); got != want {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
	}
	if n := testutil.ToFloat64(w.door.metrics.images.WithLabelValues("ok")); n != 6 {
		t.Errorf("%v images were counted", n)
	}
}

func TestWhoeverIsNotLetInIsToldSoInTheVendorsWords(t *testing.T) {
	w := newWorld(Options{})
	expired := w.now.Add(-30*time.Minute - time.Millisecond)
	stamp := strconv.FormatInt(w.now.UnixMilli(), 10)
	for name, v := range map[string]struct {
		rec    *httptest.ResponseRecorder
		status int
		code   int
		desc   string
	}{
		"nothing":                {w.ask("GET", image), 401, 30001, "app_key"},
		"v4, no such app":        {w.ask("GET", image+"?"+w.query("fedcba9876543210", secret, w.now)), 401, 30001, "app key not exist"},
		"v5, no such app":        {w.ask("GET", image, w.headers("fedcba9876543210", secret, w.now)...), 401, 498, "app key not exist"},
		"v4, wrong secret":       {w.ask("GET", image+"?"+w.query(key, "x", w.now)), 401, 30001, "sign wrong"},
		"v5, wrong secret":       {w.ask("GET", image, w.headers(key, "x", w.now)...), 401, 498, "sign wrong"},
		"v4, expired":            {w.ask("GET", image+"?"+w.query(key, secret, expired)), 401, 30001, "expired"},
		"v5, expired":            {w.ask("GET", image, w.headers(key, secret, expired)...), 401, 498, "expired"},
		"v4, no sign":            {w.ask("GET", image+"?app_key="+key+"&timestamp="+stamp), 401, 30001, "sign is missing"},
		"v4, no timestamp":       {w.ask("GET", image+"?app_key="+key+"&sign=x"), 401, 30001, "timestamp is missing"},
		"v4, two keys":           {w.ask("GET", image+"?app_key=x&"+w.query(key, secret, w.now)), 401, 30001, "app_key is missing"},
		"v5, no sign":            {w.ask("GET", image, "appKey", key, "timestamp", stamp), 401, 498, "sign is missing"},
		"v5, key in the query":   {w.ask("GET", image+"?app_key="+key, w.headers(key, secret, w.now)[2:]...), 401, 30001, "timestamp is missing"},
		"a token that is none":   {w.ask("GET", image, "Authorization", "Bearer x"), 401, 30001, "token"},
		"a token without scope":  {w.ask("GET", image, "Authorization", "Bearer "+token+"-not"), 403, 30001, "read"},
		"a query that is broken": {w.ask("GET", image+"?sign=%zz"), 400, 30001, "query"},
	} {
		if desc := refused(t, v.rec, v.status, v.code); !strings.Contains(desc, v.desc) {
			t.Errorf("%s: %s", name, desc)
		}
	}
	if text := w.log.String(); strings.Contains(text, senselink.Sign(stamp, secret)) || strings.Contains(text, secret) || strings.Contains(text, token) {
		t.Errorf("the log tells a secret:\n%s", text)
	}
}

func TestADisabledAppIsRefusedAndOnlyItsOwnerIsToldWhy(t *testing.T) {
	w := newWorld(Options{})
	w.app.Enabled = false
	if desc := refused(t, w.ask("GET", image+"?"+w.query(key, secret, w.now)), 403, 30001); !strings.Contains(desc, "disabled") {
		t.Error(desc)
	}
	if desc := refused(t, w.ask("GET", image, w.headers(key, "wrong", w.now)...), 401, 498); strings.Contains(desc, "disabled") {
		t.Error(desc)
	}
}

func TestManyWrongSignaturesAreToldNothingAndKeepNobodyElseOut(t *testing.T) {
	w := newWorld(Options{Wrong: 5})
	told := 0
	for range 50 {
		rec := w.ask("GET", image+"?"+w.query(key, "wrong", w.now))
		if rec.Code == http.StatusUnauthorized {
			told++
		} else if desc := refused(t, rec, http.StatusTooManyRequests, 30001); rec.Header().Get("Retry-After") == "" || strings.Contains(desc, "sign wrong") {
			t.Errorf("%v %s", rec.Header(), desc)
		}
		if rec := w.ask("GET", image+"?"+w.query(key, secret, w.now)); rec.Code != http.StatusOK {
			t.Fatalf("the right signature is answered %d", rec.Code)
		}
	}
	if told < 5 || told == 50 {
		t.Errorf("%d of 50 were told", told)
	}
}

func TestWhatIsNotThereIsRefusedInTheCallersGeneration(t *testing.T) {
	w := newWorld(Options{})
	for path, status := range map[string]int{
		"/v1/image/1/" + id:                         404, // another type
		"/v1/image/2/ffffffffffffffffffffffff":      404,
		"/v1/image/2/short":                         404,
		"/v1/image/2/..%2f..%2f..%2fetc%2fpasswd00": 404,
		"/v1/image/3/" + id:                         422,
		"/v1/image/x/" + id:                         422,
		"/v1/image/02/" + id:                        422,
	} {
		refused(t, w.ask("GET", path+"?"+w.query(key, secret, w.now)), status, 30001)
		refused(t, w.ask("GET", path, w.headers(key, secret, w.now)...), status, 498)
		refused(t, w.ask("GET", path, "Authorization", "Bearer "+token), status, 30001)
		refused(t, w.ask("GET", path), 401, 30001) // who is not let in hears of nothing
	}
	refused(t, w.ask("GET", image+"?thumb=2&"+w.query(key, secret, w.now)), 422, 30001)
}

func TestAnImageCanBeAskedForInEveryWayThatHTTPHas(t *testing.T) {
	w := newWorld(Options{})
	target := image + "?" + w.query(key, secret, w.now)
	if rec := w.ask("HEAD", target); rec.Code != 200 || rec.Body.Len() != 0 || rec.Header().Get("Content-Length") != strconv.Itoa(len(w.photo)) {
		t.Errorf("HEAD: %d %v", rec.Code, rec.Header())
	}
	if rec := w.ask("GET", target, "Range", "bytes=4-6"); rec.Code != 206 || rec.Body.String() != "and" {
		t.Errorf("Range: %d %s", rec.Code, rec.Body)
	}
	if rec := w.ask("GET", target, "If-None-Match", `"`+id+`"`); rec.Code != 304 || rec.Body.Len() != 0 {
		t.Errorf("If-None-Match: %d %s", rec.Code, rec.Body)
	}
	if rec := w.ask("GET", image, "If-None-Match", `"`+id+`"`); rec.Code != 401 {
		t.Errorf("If-None-Match of a stranger: %d", rec.Code)
	}
	small := w.ask("GET", target+"&thumb=1")
	if small.Code != 200 || small.Body.String() != "small" || small.Header().Get("Etag") == `"`+id+`"` {
		t.Errorf("thumb: %d %s %v", small.Code, small.Body, small.Header())
	}
	if rec := w.ask("HEAD", image); rec.Code != 401 || rec.Body.Len() != 0 {
		t.Errorf("HEAD of a stranger: %d %s", rec.Code, rec.Body)
	}
	if rec := w.ask("POST", target); rec.Code != 405 {
		t.Errorf("POST: %d", rec.Code)
	}
}

func TestAFaultOfOurOwnIsLoggedAndNotTold(t *testing.T) {
	w := newWorld(Options{})
	w.fail = errors.New("open /var/lib/secret/place: input/output error")
	desc := refused(t, w.ask("GET", image+"?"+w.query(key, secret, w.now)), 500, 30001)
	if strings.Contains(desc, "place") || !strings.Contains(w.log.String(), "place") {
		t.Errorf("told %q, logged %s", desc, w.log.String())
	}
}
