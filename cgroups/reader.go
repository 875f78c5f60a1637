package cgroups

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
)

// reader reads the small files of one cgroup in one hierarchy. Statistics are
// read by the thousand: it opens files from their folder, which spares the
// kernel the way there, and reads all into one buffer.
type reader struct {
	path   string
	folder int
	buffer []byte
}

// usualStatistics is more than most files of statistics have, in bytes.
const usualStatistics = 8 << 10

// reader returns one that reads nothing yet; it is given back by free.
func (m *Manager) reader() *reader {
	if r, ok := m.readers.Get().(*reader); ok {
		return r
	}
	return &reader{folder: -1, buffer: make([]byte, usualStatistics)}
}

func (m *Manager) free(r *reader) {
	r.leave()
	m.readers.Put(r)
}

// enter turns to a cgroup's folder in a hierarchy.
func (r *reader) enter(mount, at string) error {
	path := filepath.Join(mount, at)
	if path == r.path {
		return nil
	}
	r.leave()
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	r.path, r.folder = path, fd
	return nil
}

func (r *reader) leave() {
	if r.folder >= 0 {
		_ = unix.Close(r.folder)
	}
	r.path, r.folder = "", -1
}

// read returns the text of a file, which is there until the next is read.
func (r *reader) read(name string) ([]byte, error) {
	fd, err := unix.Openat(r.folder, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(r.path, name), Err: err}
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
			return nil, &fs.PathError{Op: "read", Path: filepath.Join(r.path, name), Err: err}
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
		return none, fmt.Errorf("read %s of %s: got %q, want a number", name, r.path, text)
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
