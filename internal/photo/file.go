package photo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gatecast/gatecast"
)

const (
	smallSuffix = ".small" // of the copy of a photo; no ID holds a dot
	tempSuffix  = ".tmp"   // of a file that is not whole yet

	touchEvery = time.Hour   // how exactly it is known when a photo last came in
	settling   = time.Minute // within which a name may not be on disk yet
)

// file is where a photo lies: DIR/2/b9/5d901af663cdaf0001252bb9. The end of an ID
// varies in all of the vendor's and of ours, its beginning does not. p must be
// valid, so that no part of the path is anybody's choice.
func (s *Store) file(p gatecast.Photo) string {
	return filepath.Join(s.opts.Dir, strconv.Itoa(int(p.Type)), p.ID[len(p.ID)-2:], p.ID)
}

func valid(p gatecast.Photo) bool {
	return (p.Type == gatecast.Registered || p.Type == gatecast.Captured) && gatecast.ValidPhotoID(p.ID)
}

// refresh reports whether a photo is there, and takes note that it has come in
// again. A photo that was there when this returns true is on disk.
func (s *Store) refresh(p gatecast.Photo) (there bool, err error) {
	name := s.file(p)
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now := s.opts.Now()
	if age := now.Sub(info.ModTime()); age.Abs() < settling {
		return true, syncDir(filepath.Dir(name)) // whoever stored it may not have come so far
	} else if age.Abs() < touchEvery {
		return true, nil
	}
	// If it was swept away meanwhile it is not there after all.
	err = os.Chtimes(name, now, now)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// write puts a photo in place so that it is whole or not there, also after a
// power cut.
func (s *Store) write(p gatecast.Photo, content []byte) error {
	name := s.file(p)
	shard := filepath.Dir(name)
	if err := s.makeShard(shard); err != nil {
		return fmt.Errorf("make a directory for photos: %w", err)
	}
	if err := s.replace(name, content, (*os.File).Sync); err != nil {
		return fmt.Errorf("write a photo: %w", err)
	}
	if err := syncDir(shard); err != nil {
		return fmt.Errorf("bring a photo's name to disk: %w", err)
	}
	return nil
}

// makeShard makes the directory of a photo, and brings its name to disk.
func (s *Store) makeShard(shard string) error {
	if _, err := os.Stat(shard); err == nil {
		return nil
	}
	if err := os.MkdirAll(shard, 0o700); err != nil {
		return err
	}
	of := filepath.Dir(shard)
	return errors.Join(syncDir(of), syncDir(filepath.Dir(of)), syncDir(filepath.Dir(s.opts.Dir)))
}

// replace writes a file and gives it its name when all of it is there.
func (s *Store) replace(name string, content []byte, sync func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+s.mark+"-*"+tempSuffix) // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		now := s.opts.Now()
		err = os.Chtimes(f.Name(), now, now)
	}
	if err == nil {
		err = sync(f)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// open opens a file and tells its format. A file that is no photo is as good as
// none: nobody is sent what somebody else put there.
func open(name string) (*os.File, format, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, format{}, err
	}
	var head [headSize]byte
	_, err = io.ReadFull(f, head[:])
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	kind, known := formatOf(head[:])
	if err == nil && !known {
		err = fmt.Errorf("%s is no photo: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, format{}, errors.Join(err, f.Close())
	}
	return f, kind, nil
}
