package daemon

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/pod"
)

// trusted refuses a configuration that anybody but root could change: the
// file, what it is a link to, or a folder above them.
func trusted(file string) error {
	refuse := func(message string) error {
		return &config.Error{File: file, Problems: []pod.Problem{{
			Origin: pod.Origin{File: file}, Severity: pod.Error, Reason: pod.ReasonPolicy, Message: message,
			Want: "a file and folders that belong to root and are writable by root alone",
		}}}
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return refuse(err.Error())
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return refuse(err.Error())
	}
	for _, start := range []string{abs, real} {
		for path := start; ; path = filepath.Dir(path) {
			info, err := os.Stat(path)
			if err != nil {
				return refuse(err.Error())
			}
			if why := writableByOthers(info); why != "" {
				return refuse(path + " " + why)
			}
			if path == "/" {
				break
			}
		}
	}
	return nil
}

// writableByOthers says why a file can't be trusted. In a sticky folder, such
// as /tmp, others can't replace what is root's.
func writableByOthers(info fs.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return "has no owner that could be read"
	case stat.Uid != 0:
		return fmt.Sprintf("belongs to user %d", stat.Uid)
	case info.Mode().Perm()&0o022 != 0 && (!info.IsDir() || info.Mode()&fs.ModeSticky == 0):
		return fmt.Sprintf("can be written by others (mode %#o)", info.Mode().Perm())
	}
	return ""
}
