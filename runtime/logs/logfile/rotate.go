package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ensure makes sure that there is an open file which has a name: one that
// somebody deleted is made anew, for nobody could read it.
func (w *Writer) ensure() error {
	if w.file == nil {
		return w.open()
	}
	var st syscall.Stat_t
	err := syscall.Fstat(int(w.file.Fd()), &st)
	if err == nil && st.Nlink > 0 {
		// Somebody may have emptied it.
		w.size = st.Size
		return nil
	}
	w.file.Close()
	w.file = nil
	return w.open()
}

// open opens or makes the current file and ends a line that a crash left
// unfinished, so that it does not spoil the next.
func (w *Writer) open() error {
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return fmt.Errorf("make log folder: %w", err)
	}
	f, err := os.OpenFile(w.cfg.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o640)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	size, err := repair(f)
	if err != nil {
		f.Close()
		return fmt.Errorf("open log %q: %w", w.cfg.Path, err)
	}
	w.file, w.size = f, size
	return nil
}

// repair checks that nobody can have slipped us another file and returns the
// size after the last line was ended.
func repair(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.Mode().IsRegular() || ok && st.Nlink > 1 {
		return 0, fmt.Errorf("not a regular file with one name (mode %s)", info.Mode())
	}
	size := info.Size()
	if size == 0 {
		return 0, nil
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], size-1); err != nil || last[0] == '\n' {
		return size, err
	}
	if _, err := f.WriteString("\n"); err != nil {
		return 0, err
	}
	return size + 1, nil
}

// rotate renames the current file and opens a new one. The oldest files go
// first, so that there are never more than MaxFiles.
func (w *Writer) rotate() error {
	if w.file == nil {
		return w.open()
	}
	rotated, _, err := list(w.dir, w.attempt)
	if err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	last := ""
	if len(rotated) > 0 {
		last = rotated[len(rotated)-1]
	}
	for len(rotated) > 0 && len(rotated) >= w.cfg.MaxFiles-1 {
		if err := remove(filepath.Join(w.dir, rotated[0])); err != nil {
			return fmt.Errorf("rotate log: %w", err)
		}
		rotated = rotated[1:]
	}
	if w.cfg.MaxFiles == 1 {
		err = remove(w.cfg.Path)
	} else {
		err = os.Rename(w.cfg.Path, filepath.Join(w.dir, rotatedName(w.attempt, w.now, last)))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("rotate log: %w", err)
	}
	w.file.Close()
	w.file = nil
	w.cfg.Counters.rotated()
	return w.open()
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
