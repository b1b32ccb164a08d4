package photo

import (
	"errors"
	"io"
	"io/fs"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// Keep stores a photo that came in a field of an event, and returns its ID
// ([gatecast.PhotoID]). Its error is Invalid or TooLarge if this is no photo that
// can be kept, with what to do about it, and Unavailable if the disk does not take it.
func (s *Store) Keep(field string, content []byte) (id string, err error) {
	p := gatecast.Photo{Type: senselink.PhotoTypeOf(field), ID: gatecast.PhotoID(content)}
	if err := s.Put(p, content); err != nil {
		return "", err
	}
	return p.ID, nil
}

// Put stores a photo under an ID that somebody else gave it. One that is there
// already stays, and counts as come in now. The errors are those of Keep, and
// Invalid for an ID that cannot be one.
func (s *Store) Put(p gatecast.Photo, content []byte) error {
	if !valid(p) {
		return gatecast.Errorf(gatecast.Invalid, "this cannot be the type and ID of a photo")
	}
	if _, err := s.opts.inspect(content); err != nil {
		s.metrics.refused.WithLabelValues(gatecast.CodeOf(err).String()).Inc()
		return err
	}
	there, err := s.refresh(p)
	if err == nil && !there {
		err = s.add(p, content)
	}
	return s.told(err)
}

// add writes a photo that is not there, if there is room.
func (s *Store) add(p gatecast.Photo, content []byte) error {
	size := roomOf(int64(len(content)))
	if s.bytes.Load()+size > s.opts.MaxBytes {
		s.ring()
	}
	// Removing is faster than storing, so this is for when it does not work.
	if s.bytes.Load()+size > s.opts.MaxBytes+s.opts.MaxBytes/4 {
		return errors.New("photos.max_bytes is used up, and the oldest cannot be removed")
	}
	if err := s.write(p, content); err != nil {
		return err
	}
	s.bytes.Add(size)
	s.metrics.stored.WithLabelValues(p.Type.String()).Inc()
	return nil
}

// told tells the log when the disk fails and when it works again, and makes an
// error for whoever brought a photo.
func (s *Store) told(err error) error {
	if err == nil {
		if s.outage.CompareAndSwap(true, false) {
			s.opts.Log.Info("photos can be stored again")
		}
		return nil
	}
	s.metrics.failures.Inc()
	if s.outage.CompareAndSwap(false, true) {
		s.opts.Log.Error("photos cannot be stored", "err", err)
	}
	return unavailable(err)
}

// Has reports whether a photo is there, which counts as come in now. What cannot
// be looked up counts as not there.
func (s *Store) Has(p gatecast.Photo) bool {
	if !valid(p) {
		return false
	}
	there, err := s.refresh(p)
	return there && err == nil
}

// Open opens a photo for reading, and tells its media type. Its error is NotFound
// if there is no such photo.
func (s *Store) Open(p gatecast.Photo) (content io.ReadSeekCloser, media string, err error) {
	if !valid(p) {
		return nil, "", notFound()
	}
	f, kind, err := open(s.file(p))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", notFound()
	}
	if err != nil {
		return nil, "", err
	}
	return f, kind.media, nil
}

func notFound() error { return gatecast.Errorf(gatecast.NotFound, "image not exist") }
