// Package ownfile reads files that podstead itself has written, which may be
// damaged, or something else by now, and puts those aside.
package ownfile

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Mark follows the name of a file that was put aside; then comes when.
const Mark = ".corrupt-"

// kept is how many files are kept aside of each, for analysis.
const kept = 3

// Read returns the content of a file of at most limit bytes. Links, FIFOs,
// folders and the like are an error, and are never waited for.
func Read(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("is %s (want a regular file)", Describe(info.Mode()))
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("has %d bytes (want at most %d)", info.Size(), limit)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// Describe names the kind of a file in words.
func Describe(mode fs.FileMode) string {
	switch mode.Type() {
	case 0:
		return "a file"
	case fs.ModeDir:
		return "a directory"
	case fs.ModeNamedPipe:
		return "a FIFO"
	case fs.ModeSocket:
		return "a socket"
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		return "a device"
	default:
		return mode.Type().String()
	}
}

// PutAside renames whatever is at a path, returns its new name, and forgets
// the oldest of those that were put aside before.
func PutAside(path string) (aside string, err error) {
	aside = path + Mark + time.Now().UTC().Format("20060102T150405.000000000Z")
	if err := os.Rename(path, aside); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return aside, nil
	}
	var old []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(path)+Mark) {
			old = append(old, e.Name())
		}
	}
	slices.Sort(old)
	for _, name := range old[:max(0, len(old)-kept)] {
		// One too many does no harm.
		_ = os.RemoveAll(filepath.Join(filepath.Dir(path), name))
	}
	return aside, nil
}
