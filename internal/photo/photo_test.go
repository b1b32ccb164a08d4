package photo

import (
	"bytes"
	"errors"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

func TestAPhotoComesBackByteForByteUnderAnIDMadeOfItsContent(t *testing.T) {
	s := openStore(t, Options{})
	for media, content := range samples(t) {
		id := keep(t, s, "signAvatar", content)
		if len(id) != 24 || id != gatecast.PhotoID(content) {
			t.Errorf("%s has the ID %q", media, id)
		}
		if got, as := read(t, s, captured(id)); !bytes.Equal(got, content) || as != media {
			t.Errorf("%s came back as %s with %d bytes of %d", media, as, len(got), len(content))
		}
		if got, _ := read(t, s, registered(id)); got != nil {
			t.Errorf("%s is there as a type that nobody has stored", media)
		}
	}
}

func TestAPhotoIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	id := keep(t, openStore(t, Options{Dir: dir}), "avatar", jpegOf(t, 8, 8, 1))
	again := openStore(t, Options{Dir: dir})
	if !again.Has(registered(id)) {
		t.Error("it is gone")
	}
}

func TestTheSamePhotoIsStoredOnceHoweverManyBringItAtOnce(t *testing.T) {
	s := openStore(t, Options{})
	content := jpegOf(t, 64, 64, 1)
	ids := make(chan string, 20)
	var all sync.WaitGroup
	for range cap(ids) {
		all.Go(func() {
			id, err := s.Keep("docPhoto", content)
			if err != nil {
				t.Error(err)
			}
			ids <- id
		})
	}
	all.Wait()
	for range cap(ids) {
		if id := <-ids; id != gatecast.PhotoID(content) {
			t.Errorf("ID %q", id)
		}
	}
	if got := files(t, s.opts.Dir); len(got) != 1 {
		t.Errorf("there are %d files: %v", len(got), got)
	}
}

func TestTheFirstPhotoUnderAnIDStays(t *testing.T) {
	s := openStore(t, Options{})
	first, second := jpegOf(t, 8, 8, 1), jpegOf(t, 8, 8, 2)
	p := captured("5d901af663cdaf0001252bb9")
	for _, content := range [][]byte{first, second} {
		if err := s.Put(p, content); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := read(t, s, p); !bytes.Equal(got, first) {
		t.Error("it was replaced")
	}
}

func TestOnlyPhotosWithinTheLimitsAreTakenWhateverTheyAreCalled(t *testing.T) {
	s := openStore(t, Options{MaxSize: 20_000, MaxPixels: 10_000})
	good := jpegOf(t, 100, 100, 1)
	if _, err := s.Keep("avatar", good); err != nil {
		t.Errorf("exactly at the limit: %v", err)
	}
	for name, v := range map[string]struct {
		content []byte
		code    gatecast.Code
		remedy  string
	}{
		"nothing":                  {nil, gatecast.Invalid, "base64"},
		"SVG":                      {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`), gatecast.Invalid, "base64"},
		"HTML":                     {[]byte("<!doctype html><script>alert(1)</script>"), gatecast.Invalid, "base64"},
		"a data URL not in base64": {[]byte("data:image/png,%89PNG"), gatecast.Invalid, "base64"},
		"WebP":                     {[]byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00"), gatecast.Invalid, "base64"},
		"a JPEG without a size":    {[]byte("\xff\xd8\xff\xe0 and then something else"), gatecast.Invalid, "base64"},
		"a BMP that is a text":     {[]byte("BMW is a make of cars"), gatecast.Invalid, "base64"},
		"a pixel too many":         {jpegOf(t, 101, 100, 1), gatecast.Invalid, "photos.max_pixels"},
		"a byte too many":          {append(bytes.Clone(good), make([]byte, 20_001-len(good))...), gatecast.TooLarge, "photos.max_size"},
	} {
		id, err := s.Keep("avatar", v.content)
		var e *gatecast.Error
		if id != "" || !errors.As(err, &e) || e.Code != v.code || !strings.Contains(e.Remedy, v.remedy) {
			t.Errorf("%s: %q, %v", name, id, err)
		}
	}
	if n := len(files(t, s.opts.Dir)); n != 1 {
		t.Errorf("%d files are there", n)
	}
}

func TestNoIDLeadsOutOfTheDirectory(t *testing.T) {
	s := openStore(t, Options{})
	content := jpegOf(t, 8, 8, 1)
	for _, id := range []string{
		"", "short", "../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "aaaaaaaaaaaaaaaa/../../b", "5d901af663cdaf0001252bb9\x00",
		"aaaaaaaaaaaaaaaa.small", ".5d901af663cdaf0001252bb", `aaaaaaaaaaaaaaaa\b`, strings.Repeat("a", 65), "5d901af663cdaf00 1252bb9",
	} {
		if err := s.Put(captured(id), content); gatecast.CodeOf(err) != gatecast.Invalid {
			t.Errorf("put %q: %v", id, err)
		}
		if _, _, err := s.Open(captured(id)); gatecast.CodeOf(err) != gatecast.NotFound {
			t.Errorf("open %q: %v", id, err)
		}
		if _, _, err := s.Thumbnail(t.Context(), captured(id)); gatecast.CodeOf(err) != gatecast.NotFound {
			t.Errorf("small copy of %q: %v", id, err)
		}
		if s.Has(captured(id)) {
			t.Errorf("has %q", id)
		}
	}
	if err := s.Put(gatecast.Photo{Type: 3, ID: "5d901af663cdaf0001252bb9"}, content); gatecast.CodeOf(err) != gatecast.Invalid {
		t.Errorf("a type that is none: %v", err)
	}
	if got := files(t, filepath.Dir(s.opts.Dir)); len(got) != 0 {
		t.Errorf("files were made: %v", got)
	}
}

func TestWhatSomebodyElsePutsIntoTheDirectoryIsNotServed(t *testing.T) {
	s := openStore(t, Options{})
	id := keep(t, s, "signAvatar", jpegOf(t, 8, 8, 1))
	if err := os.WriteFile(s.file(captured(id)), []byte("<script>alert(1)</script>"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _ := read(t, s, captured(id)); got != nil {
		t.Errorf("served %q", got)
	}
}

func TestADiskThatTakesNothingIsUnavailableAndWorksAgainByItself(t *testing.T) {
	s := openStore(t, Options{})
	content := jpegOf(t, 8, 8, 1)
	if err := os.RemoveAll(s.opts.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.opts.Dir, nil, 0o600); err != nil { // a file where the directory should be
		t.Fatal(err)
	}
	if _, err := s.Keep("avatar", content); gatecast.CodeOf(err) != gatecast.Unavailable {
		t.Errorf("the disk fails, and the answer is %v", err)
	}
	if err := os.Remove(s.opts.Dir); err != nil {
		t.Fatal(err)
	}
	id := keep(t, s, "avatar", content)
	if !s.Has(registered(id)) {
		t.Error("it is not there")
	}
}

func TestALenientStoreEmptiesTheFieldAndRefusesNothing(t *testing.T) {
	s := openStore(t, Options{})
	good := jpegOf(t, 8, 8, 1)
	if id, err := s.Lenient().Keep("avatar", good); id != gatecast.PhotoID(good) || err != nil {
		t.Errorf("a good photo: %q, %v", id, err)
	}
	if id, err := s.Lenient().Keep("avatar", []byte("<svg>")); id != "" || err != nil {
		t.Errorf("a bad one: %q, %v", id, err)
	}
	if n := counted(t, s.metrics.dropped.WithLabelValues("invalid")); n != 1 {
		t.Errorf("%v were counted", n)
	}
}

func TestASmallCopyIsMadeOnceAndFits(t *testing.T) {
	s := openStore(t, Options{Thumb: 50})
	for _, v := range []struct{ w, h, toW, toH int }{{200, 100, 50, 25}, {100, 300, 16, 50}, {4000, 1, 50, 1}} {
		id := keep(t, s, "signBgAvatar", jpegOf(t, v.w, v.h, 1))
		for range 2 {
			f, media, err := s.Thumbnail(t.Context(), captured(id))
			if err != nil {
				t.Fatal(err)
			}
			c, err := jpeg.DecodeConfig(f)
			if err != nil || media != "image/jpeg" || c.Width != v.toW || c.Height != v.toH {
				t.Errorf("%v: %s of %d x %d, %v", v, media, c.Width, c.Height, err)
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if n := len(files(t, s.opts.Dir)); n != 6 {
		t.Errorf("%d files for three photos and their small copies", n)
	}
}

func TestASmallPhotoIsItsOwnSmallCopy(t *testing.T) {
	s := openStore(t, Options{Thumb: 50})
	content := samples(t)["image/png"]
	id := keep(t, s, "avatar", content)
	f, media, err := s.Thumbnail(t.Context(), registered(id))
	if err != nil || media != "image/png" {
		t.Fatal(media, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestAPhotoThatIsCutOffIsKeptAndHasNoSmallCopy(t *testing.T) {
	s := openStore(t, Options{})
	content := jpegOf(t, 400, 400, 1)
	id := keep(t, s, "signAvatar", content[:len(content)/2])
	if _, _, err := s.Thumbnail(t.Context(), captured(id)); gatecast.CodeOf(err) != gatecast.NotFound {
		t.Errorf("its small copy: %v", err)
	}
}

func TestAPhotoNamedAgainCountsAsComeInNow(t *testing.T) {
	c := newClock()
	s := openStore(t, Options{Now: c.now})
	id := keep(t, s, "avatar", jpegOf(t, 8, 8, 1))
	c.forward(30 * 24 * time.Hour)
	if !s.Has(registered(id)) {
		t.Fatal("it is gone")
	}
	info, err := os.Stat(s.file(registered(id)))
	if err != nil || !info.ModTime().Equal(c.now()) {
		t.Errorf("it came in at %v, %v", info.ModTime(), err)
	}
}

func TestOptionsThatCannotStandAreRefused(t *testing.T) {
	for _, o := range []Options{{}, {Dir: "x", MaxSize: -1}, {Dir: "x", MaxBytes: 1}, {Dir: "x", Captured: -1}} {
		if _, err := Open(o); gatecast.CodeOf(err) != gatecast.Invalid {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
