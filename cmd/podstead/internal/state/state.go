// Package state keeps the few things that can't be observed again, each in a
// file that is replaced whole and carries a checksum. A file that is lost or
// damaged is begun anew; no container notices.
package state

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/podstead/podstead/internal/ownfile"
)

// envelope is what a file holds: the value, and the checksum of its text.
type envelope struct {
	Sum  string          `json:"sum"`
	Data json.RawMessage `json:"data"`
}

// maxBytes bounds what is read back; larger files are damaged.
const maxBytes = 64 << 20

// File keeps one value of type T. It is used by one goroutine at a time.
type File[T any] struct {
	path string
	// saved is the text that the file is known to hold.
	saved string
}

// NewFile returns the file at a path; its folder must exist.
func NewFile[T any](path string) *File[T] { return &File[T]{path: path} }

// Load returns the value. ok is false when there is none; a damaged file, or
// whatever took its place, is put aside beside itself, and the error tells so.
func (f *File[T]) Load() (value T, ok bool, err error) {
	text, err := ownfile.Read(f.path, maxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return value, false, nil
	}
	var data []byte
	if err == nil {
		data, err = open(text)
	}
	if err == nil {
		err = json.Unmarshal(data, &value)
	}
	if err != nil {
		var none T
		return none, false, f.putAside(err)
	}
	f.saved = string(data)
	return value, true, nil
}

func open(text []byte) ([]byte, error) {
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, err
	}
	if sum(e.Data) != e.Sum {
		return nil, errors.New("its checksum does not fit its content")
	}
	return e.Data, nil
}

func (f *File[T]) putAside(damage error) error {
	aside, err := ownfile.PutAside(f.path)
	if err != nil {
		return fmt.Errorf("%s is damaged (%w) and can't be put aside: %w", f.path, damage, err)
	}
	return fmt.Errorf("%s is damaged (%w); it was put aside as %s", f.path, damage, filepath.Base(aside))
}

// Save replaces the value durably, and does nothing when it is the same. When
// it fails the file holds what it held.
func (f *File[T]) Save(value T) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	if string(data) == f.saved {
		return nil
	}
	text, err := json.Marshal(envelope{Sum: sum(data), Data: data})
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	if err := renameio.WriteFile(f.path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", f.path, withoutPath(err))
	}
	if err := syncDir(filepath.Dir(f.path)); err != nil {
		return err
	}
	f.saved = string(data)
	return nil
}

// withoutPath leaves out the name of the temporary file, which is another one
// each time: the same failure is to read the same, so that it is told once.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// syncDir makes a rename in a folder last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}
