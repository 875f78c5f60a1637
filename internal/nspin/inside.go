package nspin

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Inside runs f on a thread of its own that is in the namespace pinned at
// path; the thread ends with f. Only what f itself does happens inside:
// goroutines that it starts are elsewhere. Sockets that f makes stay in the
// namespace and may be used by anybody.
func Inside(kind Kind, path string, f func() error) error {
	return onOwnThread(func() error {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open pinned namespace %s: %w", path, err)
		}
		err = unix.Setns(fd, int(kind))
		_ = unix.Close(fd)
		if err != nil {
			return fmt.Errorf("enter %s namespace %s: %w", kind, path, err)
		}
		return f()
	})
}
