package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/standin"
	"github.com/gatecast/gatecast/senselink"
)

// portrait is a photo that differs for each n.
func portrait(t *testing.T, n int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 240, 320))
	for i := range 240 * 320 {
		img.SetRGBA(i%240, i/240, color.RGBA{uint8(i % 240), uint8(i / 240), uint8(n), 255})
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(b.Bytes(), "%d", n) // two alike would be one
}

// run lets curl make one request, and returns what it printed.
func runCurl(t *testing.T, args ...string) string {
	t.Helper()
	if err := exec.Command("curl", "--version").Run(); err != nil {
		missing(t, "curl is not usable: %v", err)
	}
	out, err := exec.CommandContext(within(t), "curl", append([]string{"-sS", "--fail-with-body"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("curl: %v\n%s", err, out)
	}
	return string(out)
}

// photosOf are the IDs that a message of the push names.
func photosOf(t *testing.T, message string) (avatar, signAvatar string) {
	t.Helper()
	var m struct {
		Data struct{ Avatar, SignAvatar string }
	}
	if err := json.Unmarshal([]byte(message), &m); err != nil {
		t.Fatalf("%v: %s", err, message)
	}
	return m.Data.Avatar, m.Data.SignAvatar
}

// imageBySign asks for an image with either of the vendor's signatures.
func (s *server) imageBySign(t *testing.T, a app, typ int, id string, headers bool) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "image")
	stamp := fmt.Sprint(time.Now().UnixMilli())
	url := fmt.Sprintf("%s/v1/image/%d/%s", s.base, typ, id)
	args := []string{"-o", file, url + "?app_key=" + a.Key + "&timestamp=" + stamp + "&sign=" + sign(stamp, a.Secret)}
	if headers {
		args = []string{"-o", file, "-H", "appKey: " + a.Key, "-H", "timestamp: " + stamp, "-H", "sign: " + sign(stamp, a.Secret), url}
	}
	runCurl(t, args...)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestAPhotoThatCurlSendsComesBackThroughTheVendorsCall: a stock WebSocket client
// is pushed the ID, and what curl gets under it are the bytes that were sent,
// also after a kill -9.
func TestAPhotoThatCurlSendsComesBackThroughTheVendorsCall(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := start(t, data)
	consumer := s.createApp(t)
	client := usableStocks(t)[0]
	lines := client.run(t, s.signedURL(consumer))
	ctx := within(t)
	client.opened(ctx, t, lines)
	expect(ctx, t, lines, "text "+connected)

	face, scene := portrait(t, 1), portrait(t, 2)
	dir := t.TempDir()
	files := map[string][]byte{
		"face.jpg": face, "scene.jpg": scene,
		"event.json": fmt.Appendf(nil, `{"eventType":30000,"data":{"id":1,"avatar":"data:image/jpeg;base64,%s","signAvatar":"%s"}}`,
			base64.StdEncoding.EncodeToString(face), base64.StdEncoding.EncodeToString(scene)),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	post := [][]string{
		{"-H", "Content-Type: application/json", "--data-binary", "@" + filepath.Join(dir, "event.json")},
		{"-F", `event={"eventType":30000,"data":{"id":2,"avatar":""}}`, "-F", "avatar=@" + filepath.Join(dir, "face.jpg"), "-F", "signAvatar=@" + filepath.Join(dir, "scene.jpg")},
	}
	token := []string{"-H", "Authorization: Bearer " + s.token}
	for _, args := range post {
		runCurl(t, append(append(args, token...), s.base+"/api/v1/events")...)
		message := strings.TrimPrefix(next(ctx, t, lines), "text ")
		if len(message) > 500 {
			t.Fatalf("the photo was pushed itself: %.200s…", message)
		}
		avatar, signAvatar := photosOf(t, message)
		if len(avatar) != 24 || len(signAvatar) != 24 || avatar == signAvatar {
			t.Fatalf("pushed %s", message)
		}
		for _, headers := range []bool{false, true} {
			if !bytes.Equal(s.imageBySign(t, consumer, 1, avatar, headers), face) || !bytes.Equal(s.imageBySign(t, consumer, 2, signAvatar, headers), scene) {
				t.Error("the image is another one")
			}
		}
	}
	s.kill(t)
	s = start(t, data)
	if !bytes.Equal(s.imageBySign(t, consumer, 1, gatecast.PhotoID(face), false), face) {
		t.Error("after a kill -9 the image is another one")
	}
	answer := runCurl(t, append(append(post[0], token...), s.base+"/api/v1/events")...)
	if !strings.Contains(answer, `"duplicates":1`) {
		t.Errorf("the same event with the same photo again: %s", answer)
	}
}

// TestPhotosOfAcknowledgedEventsSurviveKill kills the server at random while
// photos come in. Each that was acknowledged is there afterwards, whole.
func TestPhotosOfAcknowledgedEventsSurviveKill(t *testing.T) {
	t.Parallel()
	rng := seeded(t)
	data := t.TempDir()
	var mu sync.Mutex // guards acked
	acked := make(map[string][]byte)
	number := 0
	s := start(t, data)
	for range rounds(4) {
		ctx, stop := context.WithCancel(within(t))
		var senders sync.WaitGroup
		for range 4 {
			first := number
			number += 1000
			senders.Go(func() {
				for n := first; ctx.Err() == nil; n++ {
					photo := portrait(t, n)
					body := fmt.Appendf(nil, `{"eventType":30000,"data":{"id":%d,"signAvatar":"%s"}}`, n+1, base64.StdEncoding.EncodeToString(photo))
					if _, err := s.post(ctx, "application/json", body); err == nil {
						mu.Lock()
						acked[gatecast.PhotoID(photo)] = photo
						mu.Unlock()
					}
				}
			})
		}
		want := len(acked) + 1 + rng.IntN(60)
		eventually(t, "enough photos are acknowledged", func(context.Context) bool {
			mu.Lock()
			defer mu.Unlock()
			return len(acked) >= want
		})
		s.kill(t)
		stop()
		senders.Wait()
		s = start(t, data)
	}
	for id, photo := range acked {
		status, content, err := s.do(within(t), http.MethodGet, "/v1/image/2/"+id, "", nil)
		if err != nil || status != http.StatusOK || content != string(photo) {
			t.Errorf("photo %s: status %d, %d bytes of %d, %v", id, status, len(content), len(photo), err)
		}
	}
	t.Logf("%d photos were acknowledged", len(acked))
	s.stop(t)
	for _, e := range openJournal(t, data) {
		for _, p := range senselink.PhotosOf(&e) {
			if _, err := os.Stat(filepath.Join(data, "photos", fmt.Sprint(int(p.Type)), p.ID[len(p.ID)-2:], p.ID)); err != nil {
				t.Errorf("event %s names a photo that is not there: %v", e.ID, err)
			}
		}
	}
}

// TestTheImagesOfASourceArriveWhateverHappens fetches from the vendor's server,
// played, while it fails and while gatecast is killed.
func TestTheImagesOfASourceArriveWhateverHappens(t *testing.T) {
	t.Parallel()
	vendor := standin.New(standin.Options{})
	defer vendor.Close()
	up := httptest.NewServer(vendor)
	defer up.Close()
	data := t.TempDir()
	s := start(t, data, "--photos.fetch_rate=200")
	source := fmt.Appendf(nil, `{"name":"hq","kind":"websocket","url":"ws%s","app_key":%q,"app_secret":%q,"rest":{"url":%q,"style":"v5"}}`,
		strings.TrimPrefix(up.URL, "http"), vendor.AppKey(), vendor.AppSecret(), up.URL)
	if status, answer, err := s.do(within(t), http.MethodPost, "/api/v1/sources", "application/json", source); err != nil || status != http.StatusCreated {
		t.Fatalf("add a source: %d %s, %v", status, answer, err)
	}
	eventually(t, "gatecast follows", func(context.Context) bool { return vendor.Status().Connections == 1 })
	want := make(map[gatecast.Photo]bool)
	add := func(n int) {
		e, err := vendor.Add(gatecast.Record, standin.SampleRecord(n, time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range senselink.PhotosOf(&gatecast.Event{Kind: gatecast.Record, Data: e.Data}) {
			want[p] = true
		}
	}
	for n := range 30 {
		add(n)
	}
	if err := vendor.Misbehave(standin.Misbehaviour{Mode: standin.REST500}); err != nil {
		t.Fatal(err)
	}
	for n := range 30 {
		add(30 + n)
	}
	s.kill(t)
	s = start(t, data, "--photos.fetch_rate=200")
	vendor.Behave()
	eventually(t, "gatecast follows again", func(context.Context) bool { return vendor.Status().Connections == 1 })
	for n := range 30 {
		add(60 + n)
	}
	eventually(t, "all images are here", func(ctx context.Context) bool {
		for p := range want {
			status, content, err := s.do(ctx, http.MethodGet, fmt.Sprintf("/v1/image/%d/%s", p.Type, p.ID), "", nil)
			if err != nil || status != http.StatusOK {
				return false
			}
			if _, err := jpeg.DecodeConfig(strings.NewReader(content)); err != nil {
				t.Fatalf("%v is no image: %v", p, err)
			}
			delete(want, p)
		}
		return true
	})
}
