package volumes

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// maxOpen is how many folders above the present one are held open.
	maxOpen = 64
	// maxPending bounds the memory for folders that are yet to be read, in
	// bytes, and levelSize is what a level of nesting counts for there.
	maxPending = 32 << 20
	levelSize  = 128
	// batch is how many names are read at once.
	batch = 1024
)

// ErrTooLarge is wrapped by Usage when a volume has so many folders, beside or
// in each other, that they can't be remembered: what it takes is then at
// least what was returned.
var ErrTooLarge = errors.New("it has too many folders in each other to be measured")

// errMoved says that a folder was moved elsewhere while what is in it was
// counted.
var errMoved = errors.New("folders deep in it were moved while they were measured")

// meter adds up what one volume takes. It holds a bounded number of files
// open and uses no stack, whatever the depth: the volume may be made to harm.
type meter struct {
	bytes   int64
	seen    map[uint64]bool
	levels  []level
	pending int
}

// level is a folder on the way down to the present one.
type level struct {
	dir *os.File // nil while it is closed
	// dev and ino are to know it again.
	dev, ino uint64
	// below are names in it that are folders and yet to be read; whole tells
	// that all its names were read.
	below []string
	whole bool
}

func (m *meter) volume(ctx context.Context, dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer m.close()
	if err := m.enter(fd); err != nil {
		return err
	}
	for len(m.levels) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.step(); err != nil {
			return err
		}
	}
	return nil
}

// step reads some names, goes one folder down, or goes one up.
func (m *meter) step() error {
	top := &m.levels[len(m.levels)-1]
	switch n := len(top.below); {
	case n > 0:
		name := top.below[n-1]
		top.below = top.below[:n-1]
		m.pending -= len(name)
		return m.down(top, name)
	case !top.whole:
		return m.read(top)
	default:
		return m.up()
	}
}

// enter makes an open folder the present one.
func (m *meter) enter(fd int) error {
	dir := os.NewFile(uintptr(fd), "folder")
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		dir.Close()
		return err
	}
	m.levels = append(m.levels, level{dir: dir, dev: st.Dev, ino: st.Ino})
	return m.remember(levelSize)
}

func (m *meter) remember(size int) error {
	m.pending += size
	if m.pending > maxPending {
		return ErrTooLarge
	}
	return nil
}

// read adds up the next names in a folder.
func (m *meter) read(l *level) error {
	names, err := l.dir.Readdirnames(batch)
	if errors.Is(err, io.EOF) {
		l.whole = true
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := m.entry(l, name); err != nil {
			return err
		}
	}
	return nil
}

// entry adds one name. What vanishes meanwhile does not count.
func (m *meter) entry(l *level, name string) error {
	var st unix.Stat_t
	err := unix.Fstatat(int(l.dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		l.below = append(l.below, name)
		return m.remember(len(name))
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

// down enters a folder. One that is gone, became something else, or has
// something mounted on it does not count.
func (m *meter) down(l *level, name string) error {
	fd, err := openFolder(int(l.dir.Fd()), name)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.EXDEV):
		return nil
	case err != nil:
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return err
	}
	m.bytes += st.Blocks * 512
	if len(m.levels) >= maxOpen {
		// It is closed now and found again from below, so all of it has to be
		// read before.
		for !l.whole {
			if err := m.read(l); err != nil {
				unix.Close(fd)
				return err
			}
		}
		l.dir.Close()
		l.dir = nil
	}
	return m.enter(fd)
}

func openFolder(at int, name string) (int, error) {
	return unix.Openat2(at, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	})
}

// up leaves the present folder. The one above, if it was closed, is opened
// again, and must be the same.
func (m *meter) up() error {
	last := len(m.levels) - 1
	from := m.levels[last].dir
	defer from.Close()
	m.levels = m.levels[:last]
	m.pending -= levelSize
	if last == 0 || m.levels[last-1].dir != nil {
		return nil
	}
	above := &m.levels[last-1]
	fd, err := unix.Openat(int(from.Fd()), "..", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	above.dir = os.NewFile(uintptr(fd), "folder")
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Dev != above.dev || st.Ino != above.ino {
		return errMoved
	}
	return nil
}

// close closes what is open.
func (m *meter) close() {
	for _, l := range m.levels {
		if l.dir != nil {
			l.dir.Close()
		}
	}
	m.levels = nil
}
