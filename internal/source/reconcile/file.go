package reconcile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// The files of a source in Options.Dir. A source's name is made of letters,
// digits and '-'.
func noteFile(dir, source string) string { return filepath.Join(dir, source+".json") }
func idsFile(dir, source string) string  { return filepath.Join(dir, source+".ids") }

// files is Notes in files.
type files struct{ dir string }

func (f files) Take(_ context.Context, source string) ([]byte, error) {
	content, err := os.ReadFile(noteFile(f.dir, source))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return content, err
}

func (f files) Write(_ context.Context, source string, note []byte) error {
	return replace(noteFile(f.dir, source), note)
}

func (f files) Forget(_ context.Context, source string) error {
	return remove(noteFile(f.dir, source))
}

// forget removes what is kept of a source that is gone.
func (r *Reconciler) forget(ctx context.Context, source string) {
	if err := errors.Join(remove(idsFile(r.opts.Dir, source)), r.opts.Notes.Forget(ctx, source)); err != nil {
		r.opts.Log.Warn("what was kept of a source that is gone cannot be removed", "source", source, "err", err)
	}
}

func remove(name string) error {
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
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
