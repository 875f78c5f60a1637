package cgroups

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
)

// reader reads the small files of one cgroup in one hierarchy. Statistics are
// read by the thousand: it opens files from their folder, and that from the
// folder of its tier, which spares the kernel the way there, and reads all
// into one buffer.
type reader struct {
	mount, at string
	folder    int
	// tiers are open folders by their path. They are left to be closed with
	// the garbage, since nobody knows which use of a reader is the last.
	tiers  map[string]*os.File
	buffer []byte
}

// usualStatistics is more than most files of statistics have, in bytes.
const usualStatistics = 8 << 10

// reader returns one that reads nothing yet; it is given back by free.
func (m *Manager) reader() *reader {
	if r, ok := m.readers.Get().(*reader); ok {
		return r
	}
	return newReader(usualStatistics)
}

func newReader(buffer int) *reader {
	return &reader{folder: -1, tiers: map[string]*os.File{}, buffer: make([]byte, buffer)}
}

func (m *Manager) free(r *reader) {
	r.leave()
	m.readers.Put(r)
}

// enter turns to a cgroup's folder in a hierarchy.
func (r *reader) enter(mount, at string) error {
	if r.mount == mount && r.at == at {
		return nil
	}
	r.leave()
	fd, err := r.open(mount, at)
	if err != nil {
		return &fs.PathError{Op: "open", Path: filepath.Join(mount, at), Err: err}
	}
	r.mount, r.at, r.folder = mount, at, fd
	return nil
}

func (r *reader) leave() {
	if r.folder >= 0 {
		_ = unix.Close(r.folder)
	}
	r.mount, r.at, r.folder = "", "", -1
}

const openFolder = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC

// open opens a cgroup's folder, by way of its tier's if it is of a pod.
func (r *reader) open(mount, at string) (int, error) {
	i := strings.Index(at, "/"+podPrefix)
	if i < 0 {
		return unix.Open(filepath.Join(mount, at), openFolder, 0)
	}
	tier := mount + at[:i]
	if known := r.tiers[tier]; known != nil {
		fd, err := unix.Openat(int(known.Fd()), at[i+1:], openFolder, 0)
		if !errors.Is(err, unix.ENOENT) {
			return fd, err
		}
		// The pod is gone, or the tier was and there is another one.
		_ = known.Close()
		delete(r.tiers, tier)
	}
	fd, err := unix.Open(tier, openFolder, 0)
	if err != nil {
		return -1, err
	}
	r.tiers[tier] = os.NewFile(uintptr(fd), tier)
	return unix.Openat(fd, at[i+1:], openFolder, 0)
}

// path is that of a file in the folder.
func (r *reader) path(name string) string { return filepath.Join(r.mount, r.at, name) }

// read returns the text of a file, which is there until the next is read.
func (r *reader) read(name string) ([]byte, error) {
	fd, err := unix.Openat(r.folder, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: r.path(name), Err: err}
	}
	defer unix.Close(fd)
	// What comes of a file of statistics and leaves room is whole: nobody has
	// to ask for its end.
	total := 0
	for {
		n, err := unix.Read(fd, r.buffer[total:])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, &fs.PathError{Op: "read", Path: r.path(name), Err: err}
		case n == 0 || total+n < len(r.buffer):
			return r.buffer[:total+n], nil
		default:
			total += n
			r.buffer = append(r.buffer, make([]byte, len(r.buffer))...)
		}
	}
}

// number reads a file of one number; "max" reads as none.
func (r *reader) number(name string) (int64, error) {
	text, err := r.read(name)
	if err != nil {
		return none, err
	}
	n, err := parse(string(bytes.TrimSpace(text)))
	if err != nil {
		return none, fmt.Errorf("read %s of %s: got %q, want a number", name, r.path(""), text)
	}
	return n, nil
}

// table reads a file of lines "name number".
func (r *reader) table(name string) (table, error) {
	text, err := r.read(name)
	return table(text), err
}

// table is the text of a file of lines "name number".
type table []byte

// get returns a number, pod.Unmeasured where the kernel does not tell it.
func (t table) get(name string) int64 {
	for line := range bytes.Lines(t) {
		if len(line) <= len(name) || line[len(name)] != ' ' || string(line[:len(name)]) != name {
			continue
		}
		if n, err := parse(string(bytes.TrimSpace(line[len(name):]))); err == nil {
			return n
		}
	}
	return pod.Unmeasured
}

// orZero is get where what is not told did not happen.
func (t table) orZero(name string) int64 { return max(0, t.get(name)) }
