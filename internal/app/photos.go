package app

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast/internal/photo"
	"github.com/gatecast/gatecast/internal/view/vendor"
)

// pictures is everything that has to do with photos.
type pictures struct {
	store *photo.Store
	door  *vendor.Door
}

func (p *parts) buildPictures() (pics pictures, err error) {
	c := p.cfg.Photos
	pics.store, err = photo.Open(photo.Options{
		Dir: cmp.Or(c.Dir, filepath.Join(p.dataDir, "photos")), MaxSize: int64(c.MaxSize), MaxPixels: int64(c.MaxPixels),
		MaxBytes: int64(c.MaxBytes), Registered: c.LifetimeRegistered, Captured: c.LifetimeCaptured, Thumb: c.Thumbnail, Log: p.log,
	})
	if err != nil {
		return pics, fmt.Errorf("open the photos: %w", err)
	}
	pics.door = vendor.NewDoor(p.registry, p.registry, vendor.Options{Log: p.log})
	return pics, nil
}

// Metrics returns what there is to register.
func (pics *pictures) Metrics() []prometheus.Collector {
	return append(pics.store.Metrics(), pics.door.Metrics()...)
}
