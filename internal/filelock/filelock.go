// Package filelock lets runs of tests keep out of each other's way.
package filelock

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Take takes a lock on a file, by the operations of flock(2), until unlock is
// called or this process ends. The file is made if it is missing. An error
// wraps that of the kernel: EWOULDBLOCK where LOCK_NB does not wait.
func Take(path string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
