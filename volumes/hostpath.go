package volumes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// checkHostPath makes what a hostPath's type says is to be made and checks
// that what is there is of that type. Links are followed, as in Kubernetes: a
// hostPath is what the author of the manifest says. Without a type, a folder
// is made when nothing is there, as container runtimes do.
func checkHostPath(volume string, h *corev1.HostPathVolumeSource) error {
	want := corev1.HostPathUnset
	if h.Type != nil {
		want = *h.Type
	}
	if !filepath.IsAbs(h.Path) {
		return refuse(failedMount, "volume %q: hostPath %q is not an absolute path; the pod waits", volume, h.Path)
	}
	info, err := os.Stat(h.Path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeHostPath(h.Path, want); err == nil {
			info, err = os.Stat(h.Path)
		}
	}
	if err != nil {
		return refuse(failedMount, "volume %q: hostPath %s: %s, want %s; the pod waits and tries again", volume, h.Path, plainly(err), wanted(want))
	}
	if !fits(info.Mode(), want) {
		return refuse(failedMount, "volume %q: hostPath %s is %s, want %s; the pod waits and tries again", volume, h.Path, kindOf(info.Mode()), wanted(want))
	}
	return nil
}

// makeHostPath makes what is missing, if the type allows it. The modes don't
// depend on the daemon's umask.
func makeHostPath(path string, t corev1.HostPathType) error {
	switch t {
	case corev1.HostPathUnset, corev1.HostPathDirectoryOrCreate:
		return makeFolders(filepath.Clean(path))
	case corev1.HostPathFileOrCreate:
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		return errors.Join(f.Chmod(0o644), f.Close())
	default:
		return fs.ErrNotExist
	}
}

// makeFolders makes a folder and its missing parents with mode 0755.
func makeFolders(path string) error {
	err := os.Mkdir(path, 0o755)
	if errors.Is(err, fs.ErrNotExist) && path != filepath.Dir(path) {
		if err := makeFolders(filepath.Dir(path)); err != nil {
			return err
		}
		err = os.Mkdir(path, 0o755)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Chmod(path, 0o755)
}

// plainly says why a path can't be used, without the path.
func plainly(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "found nothing there"
	}
	if errno := unix.Errno(0); errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

func fits(mode fs.FileMode, t corev1.HostPathType) bool {
	switch t {
	case corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate:
		return mode.IsDir()
	case corev1.HostPathFile, corev1.HostPathFileOrCreate:
		return mode.IsRegular()
	case corev1.HostPathSocket:
		return mode&fs.ModeSocket != 0
	case corev1.HostPathCharDev:
		return mode&fs.ModeCharDevice != 0
	case corev1.HostPathBlockDev:
		return mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0
	default:
		return t == corev1.HostPathUnset
	}
}

func wanted(t corev1.HostPathType) string {
	words := map[corev1.HostPathType]string{
		corev1.HostPathUnset:             "anything",
		corev1.HostPathDirectory:         "a directory",
		corev1.HostPathDirectoryOrCreate: "a directory",
		corev1.HostPathFile:              "a file",
		corev1.HostPathFileOrCreate:      "a file",
		corev1.HostPathSocket:            "a socket",
		corev1.HostPathCharDev:           "a character device",
		corev1.HostPathBlockDev:          "a block device",
	}
	if word, ok := words[t]; ok {
		return fmt.Sprintf("%s (type %q)", word, t)
	}
	return fmt.Sprintf("a type that exists, not %q", t)
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode.IsRegular():
		return "a file"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeCharDevice != 0:
		return "a character device"
	case mode&fs.ModeDevice != 0:
		return "a block device"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	default:
		return "something else (" + mode.String() + ")"
	}
}
