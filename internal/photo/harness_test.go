package photo

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/image/bmp"

	"github.com/gatecast/gatecast"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that tests move.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time          { return c.at }
func (c *clock) forward(d time.Duration) { c.at = c.at.Add(d) }

func openStore(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "photos")
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// drawn is an image that differs for each n.
func drawn(w, h, n int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, color.RGBA{uint8(x + n), uint8(y), uint8(n), 255})
		}
	}
	return img
}

func encoded(t testing.TB, encode func(io.Writer, image.Image) error, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asJPEG(w io.Writer, img image.Image) error { return jpeg.Encode(w, img, nil) }
func asGIF(w io.Writer, img image.Image) error  { return gif.Encode(w, img, nil) }

// jpegOf differs for each n, also where compression makes images alike.
func jpegOf(t testing.TB, w, h, n int) []byte {
	return fmt.Appendf(encoded(t, asJPEG, drawn(w, h, n)), "%d", n)
}

// samples has a photo of each kind that is taken in.
func samples(t testing.TB) map[string][]byte {
	img := drawn(40, 30, 1)
	return map[string][]byte{
		"image/jpeg": encoded(t, asJPEG, img),
		"image/png":  encoded(t, png.Encode, img),
		"image/gif":  encoded(t, asGIF, img),
		"image/bmp":  encoded(t, bmp.Encode, img),
	}
}

func keep(t testing.TB, s *Store, field string, content []byte) string {
	t.Helper()
	id, err := s.Keep(field, content)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func captured(id string) gatecast.Photo {
	return gatecast.Photo{Type: gatecast.Captured, ID: id}
}

func registered(id string) gatecast.Photo {
	return gatecast.Photo{Type: gatecast.Registered, ID: id}
}

// read returns what is stored, and nil if nothing is.
func read(t testing.TB, s *Store, p gatecast.Photo) (content []byte, media string) {
	t.Helper()
	f, media, err := s.Open(p)
	if gatecast.CodeOf(err) == gatecast.NotFound {
		return nil, ""
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content, err = io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return content, media
}

// files lists every file below a directory, whoever made it.
func files(t testing.TB, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
