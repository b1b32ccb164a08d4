package vendor

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gatecast/gatecast"
)

// Photos keeps the images that events name.
type Photos interface {
	// Open opens an image and tells its media type. The error is NotFound if there
	// is none.
	Open(p gatecast.Photo) (content io.ReadSeekCloser, media string, err error)
	// Thumbnail opens a small copy of it.
	Thumbnail(ctx context.Context, p gatecast.Photo) (content io.ReadSeekCloser, media string, err error)
}

// mostCached is how long a caller may keep an image without asking again. There
// is no second image under an ID, but its time may be over.
const mostCached = 24 * time.Hour

// images serves GET /v1/image/{type}/{id}.
type images struct {
	door   *Door
	photos Photos
}

// Images returns the handler of GET /v1/image/{type}/{id}: an image to whoever the
// door lets in. ?thumb=1 asks for a small copy.
func (d *Door) Images(photos Photos) http.Handler { return d.Require(&images{d, photos}) }

// ServeHTTP answers with the image, or in the vendor's words.
func (s *images) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, small, err := asked(r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	open, tag := func() (io.ReadSeekCloser, string, error) { return s.photos.Open(p) }, p.ID
	if small {
		open = func() (io.ReadSeekCloser, string, error) { return s.photos.Thumbnail(r.Context(), p) }
		tag += ".small"
	}
	content, media, err := open()
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer func() { _ = content.Close() }() // it was only read
	s.door.metrics.images.WithLabelValues("ok").Inc()
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Etag", strconv.Quote(tag))
	h.Set("Cache-Control", "private, max-age="+strconv.Itoa(int(mostCached.Seconds())))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox") // whatever it is, it runs nothing
	http.ServeContent(w, r, "", time.Time{}, content)
}

func (s *images) refuse(w http.ResponseWriter, r *http.Request, err error) {
	code := gatecast.CodeOf(err)
	s.door.metrics.images.WithLabelValues(code.String()).Inc()
	if code == gatecast.Internal {
		s.door.opts.Log.Error("an image cannot be read", "path", r.URL.Path, "err", err)
	}
	Refuse(w, r, err)
}

// asked reads which image is wanted, and whether a small copy.
func asked(r *http.Request) (p gatecast.Photo, small bool, err error) {
	switch r.PathValue("type") {
	case "1":
		p.Type = gatecast.Registered
	case "2":
		p.Type = gatecast.Captured
	default:
		return p, false, gatecast.Errorf(gatecast.Invalid, "type is neither 1 (registered) nor 2 (captured)")
	}
	if p.ID = r.PathValue("id"); !gatecast.ValidPhotoID(p.ID) {
		return p, false, gatecast.Errorf(gatecast.NotFound, "image not exist")
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return p, false, gatecast.Errorf(gatecast.Malformed, "the query of the URL cannot be read")
	}
	switch q.Get("thumb") {
	case "", "0":
		return p, false, nil
	case "1":
		return p, true, nil
	}
	return p, false, gatecast.Errorf(gatecast.Invalid, "thumb is neither 0 nor 1")
}
