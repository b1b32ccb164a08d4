package reconcile

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// The files of a source in Options.Dir. A source's name is made of letters,
// digits and '-'.
func noteFile(dir, source string) string { return filepath.Join(dir, source+".json") }
func idsFile(dir, source string) string  { return filepath.Join(dir, source+".ids") }

// forget removes the files of a source that is gone.
func forget(dir, source string, log *slog.Logger) {
	for _, name := range []string{noteFile(dir, source), idsFile(dir, source)} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Warn("a file of a source that is gone cannot be removed", "file", name, "err", err)
		}
	}
}

// replace writes a file so that at every moment it is the old one or the whole
// new one, also after a power cut.
func replace(name string, content []byte) error {
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, "."+filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return err
	}
	if err = finish(f, content); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}

func finish(f *os.File, content []byte) error {
	_, err := f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
