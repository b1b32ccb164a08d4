package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/gatecast/gatecast"
)

// CursorStore keeps a subscription's cursor. Subscribe calls Load once, before
// it connects, and Save from one goroutine at a time, at most once in 100 ms
// and when the loop ends. An error of either ends the loop.
type CursorStore interface {
	// Load returns what was saved last; ok is false if nothing ever was.
	Load(ctx context.Context) (p Position, ok bool, err error)
	// Save must have made p durable when it returns, as far as the store means
	// to be.
	Save(ctx context.Context, p Position) error
}

// MemoryCursor returns a store that lasts as long as the process: a later loop
// with it goes on where the one before stopped.
func MemoryCursor() CursorStore { return &memoryCursor{} }

type memoryCursor struct {
	mu sync.Mutex // guards the cursor
	p  Position
	ok bool
}

func (m *memoryCursor) Load(context.Context) (Position, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.p, m.ok, nil
}

func (m *memoryCursor) Save(_ context.Context, p Position) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p, m.ok = p, true
	return nil
}

// FileCursor returns a store that is one small file at path, readable for its
// owner only. Its directory must exist. A save replaces the file as a whole and
// returns when it is on disk, so a crash leaves the old cursor or the new one. A
// file that is damaged is an error, never a fresh start. Each subscription
// needs a file of its own.
func FileCursor(path string) CursorStore { return fileCursor(path) }

type fileCursor string

// cursorFile is what the file holds, as JSON.
type cursorFile struct {
	Epoch string       `json:"epoch"`
	Seq   gatecast.Seq `json:"seq"`
	Sum   uint32       `json:"sum"` // of the others: a bit that flips in them is still JSON
}

// maxCursorFile is more than a cursor ever takes, in bytes.
const maxCursorFile = 4096

func sumOf(p Position) uint32 {
	text := fmt.Sprintf("%d %s", p.Seq, p.Epoch)
	return crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli))
}

func (f fileCursor) Load(context.Context) (Position, bool, error) {
	file, err := os.Open(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return Position{}, false, nil
	}
	if err != nil {
		return Position{}, false, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxCursorFile))
	if err != nil {
		return Position{}, false, err
	}
	var c cursorFile
	err = json.Unmarshal(text, &c)
	p := Position{Epoch: c.Epoch, Seq: c.Seq}
	if err != nil || p.Epoch == "" || c.Sum != sumOf(p) {
		e := gatecast.Errorf(gatecast.Malformed, "the cursor file %q is damaged, or is none", string(f))
		e.Remedy, e.Cause = "restore it, or remove it to begin anew", err
		return Position{}, false, e
	}
	return p, true, nil
}

func (f fileCursor) Save(_ context.Context, p Position) error {
	text, err := json.Marshal(cursorFile{Epoch: p.Epoch, Seq: p.Seq, Sum: sumOf(p)})
	if err != nil {
		return err
	}
	dir, name := filepath.Split(string(f))
	dir = filepath.Clean(dir)
	temp, err := os.CreateTemp(dir, "."+name+".*") // with mode 0600
	if err != nil {
		return err
	}
	if err := writeAndSync(temp, append(text, '\n')); err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	if err := os.Rename(temp.Name(), string(f)); err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return syncDir(dir)
}

func writeAndSync(file *os.File, text []byte) error {
	_, err := file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
