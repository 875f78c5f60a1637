package volumes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

// maxDepth bounds the nesting of folders that Usage can measure.
const maxDepth = 256

// ErrTooDeep is wrapped by Usage when a volume nests folders deeper than 256:
// what it takes is then not known, and at least what was returned.
var ErrTooDeep = errors.New("folders are nested deeper than 256")

// Usage measures what the pod's own volumes take, in bytes of disk or memory,
// by name. Files with several links count once; what is mounted in a volume
// does not count. It reads every folder, so it takes time on large volumes,
// and stops when ctx ends. A volume that can't be measured has what was
// measured and is named in the error.
func (v *Volumes) Usage(ctx context.Context, uid types.UID) (map[string]int64, error) {
	dir, err := v.podDir(uid)
	if err != nil {
		return nil, err
	}
	usage := map[string]int64{}
	parent := filepath.Join(dir, volumesFolder)
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return usage, nil
	}
	if err != nil {
		return nil, fmt.Errorf("measure volumes of pod %s: %w", uid, err)
	}
	var failed []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		m := meter{seen: map[uint64]bool{}}
		if err := m.volume(ctx, filepath.Join(parent, e.Name())); err != nil {
			failed = append(failed, fmt.Errorf("measure volume %q of pod %s: %w", e.Name(), uid, err))
		}
		usage[e.Name()] = m.bytes
	}
	return usage, errors.Join(failed...)
}

type meter struct {
	bytes int64
	seen  map[uint64]bool
}

func (m *meter) volume(ctx context.Context, dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	d := os.NewFile(uintptr(fd), dir)
	defer d.Close()
	return m.folder(ctx, d, 0)
}

// folder adds up what is in d.
func (m *meter) folder(ctx context.Context, d *os.File, depth int) error {
	if depth > maxDepth {
		return ErrTooDeep
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		names, err := d.Readdirnames(1024)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := m.entry(ctx, d, name, depth); err != nil {
				return err
			}
		}
	}
}

// entry adds one name. What vanishes meanwhile does not count.
func (m *meter) entry(ctx context.Context, d *os.File, name string, depth int) error {
	var st unix.Stat_t
	err := unix.Fstatat(int(d.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return m.below(ctx, d, name, st.Blocks*512, depth)
	}
	if st.Nlink > 1 {
		if m.seen[st.Ino] {
			return nil
		}
		m.seen[st.Ino] = true
	}
	m.bytes += st.Blocks * 512
	return nil
}

func (m *meter) below(ctx context.Context, d *os.File, name string, size int64, depth int) error {
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	}
	fd, err := unix.Openat2(int(d.Fd()), name, &how)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.EXDEV):
		return nil
	case err != nil:
		return err
	}
	sub := os.NewFile(uintptr(fd), name)
	defer sub.Close()
	m.bytes += size
	return m.folder(ctx, sub, depth+1)
}
