package containerd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// reserveSize is the room that is set aside. A database of containerd grows
	// by its own size while it is small, later by 16 MiB; a few pages of that
	// are enough to delete everything.
	reserveSize = 8 << 20
	// reservePart is how much is given up at once.
	reservePart = 512 << 10
)

// Reserve is room on the file system of containerd's root that is set aside, so
// that on a full disk containers can still be ended and deleted: containerd
// writes that down before it gives room back. Its methods may be called from
// any goroutine.
type Reserve struct {
	root string
	mu   sync.Mutex
}

// NewReserve returns the reserve below the root of a containerd. It makes
// nothing.
func NewReserve(root string) *Reserve { return &Reserve{root: root} }

func (r *Reserve) path() string { return filepath.Join(r.root, "podstead.reserve") }

// Keep sets room aside when there is plenty: three times as much as is missing.
// It writes nothing while the reserve is whole.
func (r *Reserve) Keep() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	have := int64(0)
	info, err := os.Stat(r.path())
	switch {
	case err == nil:
		have = info.Size()
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("set room aside: %w", err)
	}
	missing := reserveSize - have
	var st unix.Statfs_t
	if err := unix.Statfs(r.root, &st); missing <= 0 || err != nil || int64(st.Bavail)*st.Bsize < 3*missing {
		return nil
	}
	f, err := os.OpenFile(r.path(), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("set room aside: %w", err)
	}
	if err := errors.Join(unix.Fallocate(int(f.Fd()), 0, have, missing), f.Close()); err != nil {
		return fmt.Errorf("set room aside in %s: %w", r.path(), err)
	}
	return nil
}

// Release gives a part of the reserve to containerd's databases, which write
// into holes of their files: others who write have no chance to take it. It
// tells whether there was any.
func (r *Reserve) Release() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	info, err := os.Stat(r.path())
	if err != nil || info.Size() == 0 {
		return false
	}
	if err := os.Truncate(r.path(), max(0, info.Size()-reservePart)); err != nil {
		return false
	}
	databases, err := filepath.Glob(filepath.Join(r.root, "*", "*.db"))
	if err != nil {
		return false
	}
	fillHoles(databases)
	return true
}

// fillPiece is how much each file gets before the next one has its turn.
const fillPiece = 64 << 10

// fillHoles makes room for the parts of files that were never written, as far
// as there is some. It changes nothing of what is read.
func fillHoles(paths []string) {
	at := map[string]int64{}
	for len(paths) > 0 {
		var more []string
		for _, path := range paths {
			end, full := fillHole(path, at[path])
			if full {
				return
			}
			if end > 0 {
				at[path] = end
				more = append(more, path)
			}
		}
		paths = more
	}
}

// fillHole fills a piece of the first hole of a file from an offset on and
// returns where the piece ends, 0 when there is no hole. full tells that there
// is no room.
func fillHole(path string, from int64) (end int64, full bool) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	fd := int(f.Fd())
	info, err := f.Stat()
	if err != nil || from >= info.Size() {
		return 0, false
	}
	hole, err := unix.Seek(fd, from, unix.SEEK_HOLE)
	if err != nil || hole >= info.Size() {
		return 0, false
	}
	n := min(fillPiece, info.Size()-hole)
	if err := unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, hole, n); err != nil {
		return 0, errors.Is(err, unix.ENOSPC)
	}
	return hole + n, false
}
