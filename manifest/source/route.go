package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// step is one name that was looked up in one directory.
type step struct{ dir, name string }

// route is how a path leads to what it names, symbolic links followed.
type route struct {
	// real is the path without symbolic links; incomplete after an error.
	real string
	// steps are the look-ups, in order: whoever changes one of these names
	// changes what the path means.
	steps []step
	// untrusted names the first directory or link on the way that somebody
	// other than root can change; nil when there is none.
	untrusted error
}

// follow walks a path. An error tells where the way ends; the route up to
// there is returned all the same, so that it can be watched.
func follow(path string) (route, error) {
	r := route{real: "/"}
	r.distrust(r.real)
	rest := components(path)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			r.real = filepath.Dir(r.real)
			continue
		}
		r.steps = append(r.steps, step{r.real, name})
		next := filepath.Join(r.real, name)
		info, err := os.Lstat(next)
		if err != nil {
			return r, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			r.real = next
			if len(rest) > 0 {
				r.distrust(next)
			}
			continue
		}
		if links++; links > 40 {
			return r, &fs.PathError{Op: "follow", Path: path, Err: syscall.ELOOP}
		}
		r.distrustOwner(next, info)
		target, err := os.Readlink(next)
		if err != nil {
			return r, err
		}
		if filepath.IsAbs(target) {
			r.real = "/"
		}
		rest = append(components(target), rest...)
	}
	return r, nil
}

// components splits a path, without cleaning away "..", which means something
// else behind a symbolic link.
func components(path string) []string {
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		if name != "" && name != "." {
			names = append(names, name)
		}
	}
	return names
}

// distrust checks a directory on the way. In one with the sticky bit, such as
// /tmp, others can't touch what root put there.
func (r *route) distrust(dir string) {
	info, err := os.Stat(dir)
	if err != nil || r.untrusted != nil {
		return // the walk itself will report it
	}
	r.distrustOwner(dir, info)
	if info.Mode()&fs.ModeSticky == 0 {
		r.note(writableByOthers(dir, info))
	}
}

func (r *route) distrustOwner(path string, info fs.FileInfo) {
	r.note(foreignOwner(path, info))
}

func (r *route) note(err error) {
	if r.untrusted == nil {
		r.untrusted = err
	}
}

// exclusive checks that only root can change what info describes.
func exclusive(path string, info fs.FileInfo) error {
	return errors.Join(foreignOwner(path, info), writableByOthers(path, info))
}

// secret checks that only root can read what info describes.
func secret(path string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s can be read or written by others (mode %#o, want 0600)", path, info.Mode().Perm())
	}
	return foreignOwner(path, info)
}

func writableByOthers(path string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o022 == 0 {
		return nil
	}
	return fmt.Errorf("%s can be written by group or others (mode %#o, want %#o)",
		path, info.Mode().Perm(), info.Mode().Perm()&^0o022)
}

// foreignOwner accepts root, and the user that podstead itself runs as.
func foreignOwner(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 || int(stat.Uid) == os.Geteuid() {
		return nil
	}
	return fmt.Errorf("%s belongs to user %d (want root)", path, stat.Uid)
}
