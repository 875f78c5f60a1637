package logs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/podstead/podstead/runtime/logs/logfile"
)

// logFile is an open log file. It stays readable when it is renamed or
// deleted.
type logFile struct {
	*os.File
	// name is what it was opened by; it sorts as files of one run follow
	// each other, but for the current file, which has no time in its name.
	name    string
	current bool
	attempt int
	// offset of the first byte that was not yet consumed.
	offset int64
}

// openSeries opens all files of a run, oldest first, as they were at one
// moment: a rotation meanwhile makes it look again.
func openSeries(dir string, attempt int) ([]*logFile, error) {
	for {
		paths, err := logfile.List(dir, attempt)
		if err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			return nil, fs.ErrNotExist
		}
		files, err := openAll(paths, dir, attempt)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			again, err := logfile.List(dir, attempt)
			if err == nil && slices.Equal(paths, again) {
				return files, nil
			}
		}
		closeAll(files)
	}
}

func openAll(paths []string, dir string, attempt int) ([]*logFile, error) {
	var files []*logFile
	for _, path := range paths {
		f, err := openLog(path)
		if err != nil {
			return files, err
		}
		f.current, f.attempt = path == logfile.Path(dir, attempt), attempt
		files = append(files, f)
	}
	return files, nil
}

func openLog(path string) (*logFile, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: syscall.EINVAL}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &logFile{File: f, name: filepath.Base(path)}, nil
}

func closeAll(files []*logFile) {
	for _, f := range files {
		f.Close()
	}
}

// successors returns what follows last in its run, oldest first. seen is the
// greatest name of a rotated file that is not newer than last.
func successors(dir string, last *logFile, seen string) ([]*logFile, error) {
	for try := 0; ; try++ {
		deleted, err := isDeleted(last.File)
		if err != nil {
			return nil, err
		}
		files, err := openSeries(dir, last.attempt)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(files, func(f *logFile) bool { return sameFile(f.File, last.File) })
		if at >= 0 {
			closeAll(files[:at+1])
			return files[at+1:], nil
		}
		if deleted || try > 10 {
			at = slices.IndexFunc(files, func(f *logFile) bool { return f.current || f.name > seen })
			if at < 0 {
				at = len(files)
			}
			closeAll(files[:at])
			return files[at:], nil
		}
		// It got another name while we looked; if it does so again and
		// again, somebody has moved it out of the folder.
		closeAll(files)
	}
}

func isDeleted(f *os.File) (bool, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return false, os.NewSyscallError("fstat", err)
	}
	return st.Nlink == 0, nil
}

func sameFile(a, b *os.File) bool {
	ai, aerr := a.Stat()
	bi, berr := b.Stat()
	return aerr == nil && berr == nil && os.SameFile(ai, bi)
}
