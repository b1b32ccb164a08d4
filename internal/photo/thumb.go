package photo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"io/fs"
	"os"

	"golang.org/x/image/draw"

	"github.com/gatecast/gatecast"
)

// Thumbnail opens a small copy of a photo, a JPEG, and makes it if it is not
// there. A photo that is small already is opened itself. Its error is NotFound if
// there is no such photo, or nothing can be made of it.
func (s *Store) Thumbnail(ctx context.Context, p gatecast.Photo) (content io.ReadSeekCloser, media string, err error) {
	if !valid(p) {
		return nil, "", notFound()
	}
	name := s.file(p) + smallSuffix
	if f, kind, err := open(name); err == nil {
		return f, kind.media, nil
	}
	select {
	case s.thumbs <- struct{}{}:
		defer func() { <-s.thumbs }()
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
	small, err := s.shrink(p)
	switch {
	case errors.Is(err, errSmall):
		return s.Open(p)
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", notFound()
	case errors.Is(err, errBroken):
		s.opts.Log.Debug("a photo has no small copy", "type", int(p.Type), "id", p.ID, "err", err)
		return nil, "", notFound()
	case err != nil:
		return nil, "", err
	}
	// Without fsync: it can be made again.
	if err := s.replace(name, small, func(*os.File) error { return nil }); err != nil {
		s.opts.Log.Warn("a small copy of a photo cannot be kept", "err", err)
	} else {
		s.bytes.Add(roomOf(int64(len(small))))
	}
	return nopCloser{bytes.NewReader(small)}, "image/jpeg", nil
}

type nopCloser struct{ *bytes.Reader }

// Close is part of io.Closer.
func (nopCloser) Close() error { return nil }

var (
	errSmall  = errors.New("the photo is small already")
	errBroken = errors.New("the photo cannot be decoded")
)

// shrink makes a small copy. The pixels were counted when the photo came in, but
// the file may have been changed since, so they are counted again.
func (s *Store) shrink(p gatecast.Photo) (small []byte, err error) {
	content, err := os.ReadFile(s.file(p))
	if err != nil {
		return nil, err
	}
	f, err := s.opts.inspect(content)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	return shrink(f, content, s.opts.Thumb)
}

func shrink(f format, content []byte, most int) ([]byte, error) {
	img, err := f.decode(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	b := img.Bounds()
	if b.Dx() <= most && b.Dy() <= most {
		return nil, errSmall
	}
	w, h := fit(b.Dx(), b.Dy(), most)
	to := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(to, to.Bounds(), image.White, image.Point{}, draw.Src) // for photos that one can see through
	draw.BiLinear.Scale(to, to.Bounds(), img, b, draw.Over, nil)
	var out bytes.Buffer
	err = jpeg.Encode(&out, to, &jpeg.Options{Quality: 80})
	return out.Bytes(), err
}

// fit returns the sides of a rectangle of the same shape that is not longer
// than most.
func fit(w, h, most int) (int, int) {
	if w >= h {
		return most, max(1, h*most/w)
	}
	return max(1, w*most/h), most
}
