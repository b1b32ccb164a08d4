package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
)

// EnsureAdminToken makes sure that the file at path holds a token with the
// scope admin, and reports whether it had to make one. The file is private to
// its owner, and is how the first administrator, and the CLI on the same
// machine, get in. A file whose token is still good stays as it is. A missing
// file, or one whose token was deleted, gets a new token; so deleting the file
// and starting again is the way back in for somebody who lost every token.
// Former tokens stay valid: another node may be using them.
func (r *Registry) EnsureAdminToken(ctx context.Context, path string) (made bool, err error) {
	text, err := readPrivate(path)
	if err == nil {
		p, lookErr := r.PrincipalByTokenHash(ctx, auth.HashToken(strings.TrimSpace(string(text))))
		if lookErr == nil && p.Has(auth.Admin) {
			return false, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("read admin token: %w", err)
	}
	name := "admin"
	t, plain, err := r.CreateToken(ctx, name, []auth.Scope{auth.Admin})
	if gatecast.CodeOf(err) == gatecast.Conflict {
		name += "-" + randomHex(3)
		t, plain, err = r.CreateToken(ctx, name, []auth.Scope{auth.Admin})
	}
	if err != nil {
		return false, err
	}
	if err := replacePrivate(path, plain+"\n"); err != nil {
		return false, fmt.Errorf("write admin token: %w", errors.Join(err, r.DeleteToken(ctx, t.ID)))
	}
	r.opts.Log.Info("made an admin token", "file", path, "name", t.Name, "id", t.ID)
	return true, nil
}

// replacePrivate writes a file that only its owner may read, so that at every
// moment path is the old file or the whole new one, also after a power cut.
func replacePrivate(path, text string) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	if err = finish(f, text); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(dir)
}
