// Package filelock keeps processes out of each other's way by locks on files.
package filelock

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Take takes a lock on a file, by the operations of flock(2), until unlock is
// called or this process ends. The file is made if it is missing. An error
// wraps that of the kernel: EWOULDBLOCK where LOCK_NB does not wait.
func Take(path string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { _ = f.Close() }, nil
}

// A process that was killed right when it started another one is survived by
// its lock until that one has become its program: so long a lock is waited for.
const (
	inherited = 2 * time.Second
	pause     = 10 * time.Millisecond
)

// Own takes a lock that one process alone may have. The error wraps EWOULDBLOCK
// when another process has it.
func Own(path string) (unlock func(), err error) {
	for deadline := time.Now().Add(inherited); ; time.Sleep(pause) {
		unlock, err = Take(path, unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			return unlock, err
		}
	}
}
