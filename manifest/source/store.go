package source

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/podstead/podstead/internal/ownfile"
	"github.com/podstead/podstead/pod"
)

const (
	storeVersion = 1
	// storeMaxBytes bounds what is read back; larger files are corrupt.
	storeMaxBytes = 64 << 20
)

// Store keeps the last good objects of sources on disk, one file per source, so
// that they run after a restart or reboot while the source can't be read. Any
// of its files may be lost. Its methods may be called by several goroutines
// for different sources.
type Store struct{ dir string }

// NewStore returns the store in a folder, which must exist and should be
// readable by root only: manifests may hold secrets.
func NewStore(dir string) *Store { return &Store{dir: dir} }

// saved is what is stored of a source.
type saved struct {
	// Time is when the source was read with this outcome.
	Time   time.Time    `json:"time"`
	Files  []savedFile  `json:"files"`
	Wanted []savedEntry `json:"wanted"`
	// Objects are those that are no pods. A podstead from before they were
	// known reads the rest.
	Objects []savedObject `json:"objects,omitempty"`
}

type savedFile struct {
	Path     string `json:"path"`
	Complete bool   `json:"complete"`
}

// savedEntry holds the pod as it was accepted, defaults included, so that a
// newer podstead with other defaults changes nothing.
type savedEntry struct {
	File string `json:"file"`
	pod.Desired
}

type savedObject struct {
	File string `json:"file"`
	pod.Object
}

// envelope is the format of the files.
type envelope struct {
	Version int             `json:"version"`
	SHA256  string          `json:"sha256"`
	Source  json.RawMessage `json:"source"`
}

var (
	errNoCopy  = errors.New("there is no last good copy")
	errVersion = errors.New("was written by a newer version of podstead")
)

func (s *Store) path(source string) string {
	return filepath.Join(s.dir, url.PathEscape(source)+".json")
}

// load reads what was saved. It returns errNoCopy when nothing was, and
// errVersion when a newer podstead wrote it; then it must not be overwritten.
// A file that is corrupt is put aside.
func (s *Store) load(source string) (saved, error) {
	s.removeTemporary(source)
	data, err := ownfile.Read(s.path(source), storeMaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return saved{}, errNoCopy
	}
	var found saved
	if err == nil {
		found, err = decode(data)
	}
	if err == nil || errors.Is(err, errVersion) {
		return found, err
	}
	aside, moveErr := ownfile.PutAside(s.path(source))
	if moveErr != nil {
		return saved{}, fmt.Errorf("last good copy %s is corrupt (%w) and can't be put aside: %w", s.path(source), err, moveErr)
	}
	return saved{}, fmt.Errorf("last good copy %s is corrupt: %w; it was put aside as %s", s.path(source), err, aside)
}

func decode(data []byte) (saved, error) {
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return saved{}, err
	}
	if e.Version > storeVersion {
		return saved{}, fmt.Errorf("version %d (want at most %d): %w", e.Version, storeVersion, errVersion)
	}
	if got := checksum(e.Source); got != e.SHA256 {
		return saved{}, fmt.Errorf("checksum %s (want %s)", got, e.SHA256)
	}
	var found saved
	if err := json.Unmarshal(e.Source, &found); err != nil {
		return saved{}, err
	}
	for _, w := range found.Wanted {
		if w.Pod == nil {
			return saved{}, fmt.Errorf("pod %s has no content", w.Key)
		}
	}
	for _, w := range found.Objects {
		if w.Content() == nil {
			return saved{}, fmt.Errorf("%s has no content", w.ObjectKey)
		}
	}
	return found, nil
}

// save replaces what was saved: whole or not at all, also when the power
// fails.
func (s *Store) save(source string, state saved) error {
	payload, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encode last good copy: %w", err)
	}
	data, err := json.Marshal(envelope{Version: storeVersion, SHA256: checksum(payload), Source: payload})
	if err != nil {
		return fmt.Errorf("encode last good copy: %w", err)
	}
	if err := renameio.WriteFile(s.path(source), data, 0o600, renameio.WithTempDir(s.dir)); err != nil {
		return fmt.Errorf("write last good copy %s: %w", s.path(source), withoutPath(err))
	}
	return syncFolder(s.dir)
}

// withoutPath leaves out the name of the temporary file, which is another one
// each time: the same failure is to read the same, so that it is told once.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open folder of last good copies: %w", err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("sync folder of last good copies: %w", err)
	}
	return nil
}

// removeTemporary removes what a crash during save left.
func (s *Store) removeTemporary(source string) {
	name := filepath.Base(s.path(source))
	left, _ := filepath.Glob(filepath.Join(escapeGlob(s.dir), "."+escapeGlob(name)+"[0-9]*"))
	for _, path := range left {
		_ = os.Remove(path)
	}
}

func escapeGlob(path string) string {
	var b bytes.Buffer
	for i := range len(path) {
		if bytes.IndexByte([]byte(`*?[\`), path[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(path[i])
	}
	return b.String()
}
