package app

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast/internal/photo"
	"github.com/gatecast/gatecast/internal/source/image"
	"github.com/gatecast/gatecast/internal/view/vendor"
)

// pictures is everything that has to do with photos.
type pictures struct {
	store   *photo.Store
	door    *vendor.Door
	fetcher *image.Fetcher
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
	trust, err := p.trust()
	if err != nil {
		return pics, err
	}
	pics.fetcher, err = image.New(
		image.Parts{Sources: p.registry, Hub: p.hub, Store: shelf{pics.store, p.journal.Accepting}},
		image.Options{
			Dir: filepath.Join(p.dataDir, "sources"), PerSecond: c.FetchRate, Parallel: c.FetchParallel, For: c.FetchFor,
			MaxSize: int64(c.MaxSize), TLS: trust, Log: p.log,
		},
	)
	if err != nil {
		return pics, fmt.Errorf("prepare to fetch images: %w", err)
	}
	return pics, nil
}

// shelf is the store as long as the journal takes events: the last room on the
// disk is not for images.
type shelf struct {
	*photo.Store
	accepting func() error
}

// Accepting returns nil, or why nothing should be fetched now.
func (s shelf) Accepting() error { return s.accepting() }

// fetch fetches images until ctx ends.
func (p *parts) fetch(ctx context.Context) error {
	if !p.cfg.Photos.Fetch {
		<-ctx.Done()
		return ctx.Err()
	}
	return p.pictures.fetcher.Run(ctx)
}

// Metrics returns what there is to register.
func (pics *pictures) Metrics() []prometheus.Collector {
	return slices.Concat(pics.store.Metrics(), pics.door.Metrics(), pics.fetcher.Metrics())
}
