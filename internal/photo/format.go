package photo

import (
	"bytes"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"

	"github.com/gatecast/gatecast"
)

// format is a kind of image that is taken in.
type format struct {
	magic  string // its first bytes
	media  string
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

// formats lists what cameras make and browsers show. WebP is not among them: a
// file may announce one size and hold a picture of another, so that its memory
// cannot be bounded before it is decoded.
func formats() [4]format {
	return [...]format{
		{"\xff\xd8\xff", "image/jpeg", jpeg.DecodeConfig, jpeg.Decode},
		{"\x89PNG\r\n\x1a\n", "image/png", png.DecodeConfig, png.Decode},
		{"GIF8", "image/gif", gif.DecodeConfig, gif.Decode},
		{"BM", "image/bmp", bmp.DecodeConfig, bmp.Decode},
	}
}

// headSize is how many bytes tell a format.
const headSize = 8

// formatOf tells a format by its first bytes.
func formatOf(head []byte) (format, bool) {
	for _, f := range formats() {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return f, true
		}
	}
	return format{}, false
}

// inspect checks that content is a photo within the limits. Only its header is
// decoded: a photo that is cut off behind it is taken in.
func (o *Options) inspect(content []byte) (format, error) {
	if n := int64(len(content)); n > o.MaxSize {
		e := gatecast.Errorf(gatecast.TooLarge, "the photo has %d bytes, more than %d", n, o.MaxSize)
		e.Remedy = "send a smaller one, or raise photos.max_size in the configuration"
		return format{}, e
	}
	f, known := formatOf(content)
	if !known {
		return format{}, noImage("this is no photo in JPEG, PNG, GIF or BMP", nil)
	}
	c, err := f.config(bytes.NewReader(content))
	if err != nil || c.Width < 1 || c.Height < 1 {
		return format{}, noImage("this begins like "+f.media+" and is none", err)
	}
	if max(c.Width, c.Height) > mostSide {
		e := gatecast.Errorf(gatecast.Invalid, "the photo has %d x %d pixels; no side may be longer than %d", c.Width, c.Height, mostSide)
		e.Remedy = "send one of a usual shape"
		return format{}, e
	}
	if int64(c.Width) > o.MaxPixels/int64(c.Height) {
		e := gatecast.Errorf(gatecast.Invalid, "the photo has %d x %d pixels, more than %d in all", c.Width, c.Height, o.MaxPixels)
		e.Remedy = "send a smaller one, or raise photos.max_pixels in the configuration"
		return format{}, e
	}
	return f, nil
}

// mostSide bounds what a small copy costs: scaling takes memory for each row,
// however short it is.
const mostSide = 16 << 10

func noImage(message string, cause error) error {
	e := gatecast.Errorf(gatecast.Invalid, "%s", message)
	e.Remedy = "send a photo as base64, as a data URL (data:image/jpeg;base64,…) or as a part of multipart/form-data, or the ID of one"
	e.Cause = cause
	return e
}
