package registry

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
)

// sealer encrypts the secrets of apps, subscriptions and sources with
// AES-256-GCM. They must be recoverable, because signatures are made with the
// plain secret and a receiver is sent its plain credentials; so they are
// encrypted, with a key that lies outside the bucket: a copy of the bucket
// alone, in a backup or on another machine's disk, opens no door.
type sealer struct {
	aead cipher.AEAD
	id   string // names the key without telling it
}

func newKey() (key [32]byte) {
	rand.Read(key[:])
	return key
}

func newSealer(key [32]byte) *sealer {
	// Neither call can fail: both errors are about lengths, which are fixed here.
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(append([]byte("gatecast key id\x00"), key[:]...))
	return &sealer{aead: aead, id: hex.EncodeToString(sum[:6])}
}

// binding says what a sealed text is and whose, so that one app's secret put
// into another's entry, or into another field, does not open.
type binding struct {
	what  string // "app secret"
	owner string // app key, subscription ID or name of a source
}

func appSecret(key string) binding { return binding{"app secret", key} }

func (b binding) aad() []byte { return []byte("gatecast " + b.what + "\x00" + b.owner) }

func (s *sealer) seal(to binding, plain []byte) []byte {
	return s.aead.Seal(nil, nil, plain, to.aad())
}

func (s *sealer) open(to binding, box []byte) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, box, to.aad())
	if err != nil {
		return nil, fmt.Errorf("decrypt %s of %s: %w", to.what, to.owner, err)
	}
	return plain, nil
}

// secrets encrypts each of a list.
func (s *sealer) secrets(to binding, list []gatecast.Secret) []sealedSecret {
	sealed := make([]sealedSecret, 0, len(list))
	for _, one := range list {
		sealed = append(sealed, sealedSecret{Box: s.seal(to, []byte(one.Value)), Created: one.Created, Expires: one.Expires})
	}
	return sealed
}

// openSecrets decrypts what secrets has encrypted.
func (s *sealer) openSecrets(to binding, sealed []sealedSecret) ([]gatecast.Secret, error) {
	list := make([]gatecast.Secret, 0, len(sealed))
	for _, one := range sealed {
		plain, err := s.open(to, one.Box)
		if err != nil {
			return nil, err
		}
		list = append(list, gatecast.Secret{Value: string(plain), Created: one.Created, Expires: one.Expires})
	}
	return list, nil
}

// unlessEmpty encrypts a text, and nothing to nothing.
func (s *sealer) unlessEmpty(to binding, plain string) []byte {
	if plain == "" {
		return nil
	}
	return s.seal(to, []byte(plain))
}

// openUnlessEmpty decrypts what unlessEmpty has encrypted.
func (s *sealer) openUnlessEmpty(to binding, box []byte) (string, error) {
	if len(box) == 0 {
		return "", nil
	}
	plain, err := s.open(to, box)
	return string(plain), err
}

// keyIDEntry is where the bucket notes which key its secrets are encrypted
// with, so that a wrong key is told from a damaged entry, and a second node
// cannot begin with a key of its own.
const keyIDEntry = "meta.secret-key"

// openSealer loads the key file, or makes it if the bucket was never used with one.
func openSealer(ctx context.Context, st bucket.Bucket, path string) (*sealer, error) {
	if path == "" {
		return nil, gatecast.Errorf(gatecast.Invalid, "the registry has no key file to encrypt secrets with")
	}
	e, err := st.Get(ctx, keyIDEntry)
	if err != nil && !errors.Is(err, bucket.ErrMissing) {
		return nil, fmt.Errorf("read the registry's key id: %w", err)
	}
	first := err != nil
	key, err := loadKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !first {
			return nil, keyError("the key file "+path+" is missing, but the registry's secrets are encrypted with one", string(e.Value))
		}
		key, err = createKey(path)
	}
	if err != nil {
		return nil, err
	}
	s := newSealer(key)
	if first {
		_, err = st.Put(ctx, keyIDEntry, []byte(s.id), 0)
		if errors.Is(err, bucket.ErrChanged) { // another node was faster; its key counts
			e, err = st.Get(ctx, keyIDEntry)
		} else {
			e.Value = []byte(s.id)
		}
		if err != nil {
			return nil, fmt.Errorf("note the registry's key id: %w", err)
		}
	}
	if string(e.Value) != s.id {
		return nil, keyError("the key file "+path+" (id "+s.id+") is not the one that the registry's secrets are encrypted with", string(e.Value))
	}
	return s, nil
}

func keyError(message, id string) error {
	return &gatecast.Error{
		Code:    gatecast.Invalid,
		Message: message,
		Remedy:  "restore the file with the id " + id + " from a backup, or copy it from another node of the cluster",
	}
}

// loadKey reads a key file: 64 hexadecimal digits and a line feed.
func loadKey(path string) (key [32]byte, err error) {
	text, err := readPrivate(path)
	if err != nil {
		return key, err
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(b) != len(key) {
		return key, &gatecast.Error{
			Code:    gatecast.Invalid,
			Message: fmt.Sprintf("the key file %s is damaged: it does not hold 64 hexadecimal digits", path),
			Remedy:  "restore it from a backup; if this was the first start ever, delete it and start again",
		}
	}
	return [32]byte(b), nil
}

// createKey makes a key file that did not exist before, and returns when it is on disk.
func createKey(path string) (key [32]byte, err error) {
	key = newKey()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) { // another process made it since we looked
		return loadKey(path)
	}
	if err != nil {
		return key, fmt.Errorf("make key file: %w", err)
	}
	if err := finish(f, hex.EncodeToString(key[:])+"\n"); err != nil {
		return key, fmt.Errorf("write key file: %w", errors.Join(err, os.Remove(path)))
	}
	return key, syncDir(filepath.Dir(path))
}

// finish writes text, forces it to disk and closes f.
func finish(f *os.File, text string) error {
	_, err := f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir forces a directory to disk, so that a new name in it survives a power cut.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such operation
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open directory to sync it: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// readPrivate reads a small file that nobody but its owner may read.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > 4096 {
		return nil, gatecast.Errorf(gatecast.Invalid, "%s is not a small regular file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, &gatecast.Error{
			Code:    gatecast.Invalid,
			Message: fmt.Sprintf("%s can be read or written by other users (mode %04o)", path, mode),
			Remedy:  "make it private: chmod 600 " + path,
		}
	}
	return os.ReadFile(path)
}
