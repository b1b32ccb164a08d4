package photo

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gatecast/gatecast"
)

// FuzzPhoto holds that whatever comes in, only what is within the limits is ever
// decoded, and nothing that is decoded ends the program.
func FuzzPhoto(f *testing.F) {
	for _, content := range samples(f) {
		f.Add(content)
		f.Add(content[:len(content)/2])
	}
	f.Add([]byte("<svg/>"))
	f.Add([]byte("BM"))
	o := Options{MaxPixels: 4096, MaxSize: 64 << 10}.withDefaults()
	f.Fuzz(func(t *testing.T, content []byte) {
		kind, err := o.inspect(content)
		if err != nil {
			if code := gatecast.CodeOf(err); code != gatecast.Invalid && code != gatecast.TooLarge {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		img, err := kind.decode(bytes.NewReader(content))
		if err == nil && int64(img.Bounds().Dx())*int64(img.Bounds().Dy()) > o.MaxPixels {
			t.Fatalf("%s of %v was decoded", kind.media, img.Bounds())
		}
		small, err := shrink(kind, content, 16)
		switch {
		case errors.Is(err, errSmall), errors.Is(err, errBroken):
		case err != nil:
			t.Fatal(err)
		default:
			if again, known := formatOf(small); !known || again.media != "image/jpeg" {
				t.Fatal("the small copy is no JPEG")
			}
		}
	})
}
