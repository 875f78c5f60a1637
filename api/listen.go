package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// listen binds the socket. A socket that nobody answers at is left over from
// a podstead that was killed, and is replaced; one that is answered, or a
// file of another kind, is refused.
func listen(path string, group int) (net.Listener, error) {
	if err := prepareFolder(filepath.Dir(path), group); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for the API: %w", err)
	}
	if err := setSocketMode(path, group); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// prepareFolder makes the socket's folder private to root, or to root and
// the group. A folder that others may write to is refused: they could put
// their own socket there.
func prepareFolder(dir string, group int) error {
	mode := fs.FileMode(0o700)
	if group != 0 {
		mode = 0o750
	}
	switch err := os.Mkdir(dir, mode); {
	case err == nil:
		return setOwner(dir, mode, group)
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
			return fmt.Errorf("make the folder of the API's socket: %w", err)
		}
		return prepareFolder(dir, group)
	case !errors.Is(err, fs.ErrExist):
		return fmt.Errorf("make the folder of the API's socket: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the folder of the API's socket: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("the API's socket can't be made: %s is not a folder", dir)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("the API's socket is not made in %s: others may write there (mode %#o, want %#o)",
			dir, info.Mode().Perm(), mode)
	}
	return nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the API's socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("the API's socket can't be made: %s is there and is no socket: remove it or set another path", path)
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("the API's socket %s is in use: another podstead is running", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("see who answers at the API's socket: %w", err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("replace the API's old socket: %w", err)
	}
	return nil
}

func setSocketMode(path string, group int) error {
	mode := fs.FileMode(0o600)
	if group != 0 {
		mode = 0o660
	}
	return setOwner(path, mode, group)
}

func setOwner(path string, mode fs.FileMode, group int) error {
	if group != 0 {
		if err := os.Chown(path, -1, group); err != nil {
			return fmt.Errorf("give the API's socket to group %d: %w", group, err)
		}
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("protect the API's socket: %w", err)
	}
	return nil
}
