package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/podstead/podstead/internal/filelock"
)

// cacheEnv names another folder for images and running guests.
const cacheEnv = "PODSTEAD_GUESTS"

// unused is after what time an image that no recipe leads to is removed.
const unused = 7 * 24 * time.Hour

// cacheDir is where images and running guests are, for all checkouts.
func cacheDir() (string, error) {
	dir := os.Getenv(cacheEnv)
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(base, "podstead-test-guests")
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// image is a root file system with its kernel.
type image struct {
	dir    string
	unlock func()
}

func (i image) root() string    { return filepath.Join(i.dir, "root.ext4") }
func (i image) kernel() string  { return filepath.Join(i.dir, "vmlinuz") }
func (i image) drivers() string { return filepath.Join(i.dir, "drivers") }

// open returns the image of a suite, which is built first when there is none.
// It is not removed until unlock is called or this process ends.
func open(s Suite, progress func(string, ...any)) (image, error) {
	cache, err := cacheDir()
	if err != nil {
		return image{}, err
	}
	dir := filepath.Join(cache, s.key())
	for {
		unlock, err := filelock.Take(dir+".lock", syscall.LOCK_SH)
		if err != nil {
			return image{}, err
		}
		if _, err := os.Stat(dir); err == nil {
			now := time.Now()
			return image{dir, unlock}, os.Chtimes(dir+".lock", now, now)
		}
		unlock()
		if err := buildOnce(s, cache, dir, progress); err != nil {
			return image{}, fmt.Errorf("build the image of %s: %w", s, err)
		}
	}
}

// buildOnce builds an image unless somebody else did so while we waited.
func buildOnce(s Suite, cache, dir string, progress func(string, ...any)) error {
	unlock, err := filelock.Take(dir+".lock", syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := removeUnused(cache, dir); err != nil {
		return err
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil { // of a build that was killed
		return err
	}
	if err := build(s, part, progress); err != nil {
		return err
	}
	return os.Rename(part, dir)
}

// removeUnused removes images of other recipes that were not used for long.
func removeUnused(cache, but string) error {
	locks, err := filepath.Glob(filepath.Join(cache, "*-*.lock"))
	if err != nil {
		return err
	}
	for _, path := range locks {
		info, err := os.Stat(path)
		if err != nil || path == but+".lock" || time.Since(info.ModTime()) < unused {
			continue
		}
		unlock, err := filelock.Take(path, syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			continue // in use after all
		}
		dir := strings.TrimSuffix(path, ".lock")
		err = errors.Join(os.RemoveAll(dir), os.RemoveAll(dir+".part"), os.Remove(path))
		unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// maxGuests is how many guests run at a time on this machine, whoever starts
// them.
const maxGuests = 2

// takeSlot waits until fewer than maxGuests run and returns an empty folder
// for one. It is free again when unlock is called or this process ends.
func takeSlot() (dir string, unlock func(), err error) {
	cache, err := cacheDir()
	if err != nil {
		return "", nil, err
	}
	for ; ; time.Sleep(200 * time.Millisecond) {
		for number := range maxGuests {
			dir := filepath.Join(cache, fmt.Sprintf("guest%d", number))
			unlock, err := filelock.Take(dir+".lock", syscall.LOCK_EX|syscall.LOCK_NB)
			if errors.Is(err, syscall.EWOULDBLOCK) {
				continue
			}
			if err != nil {
				return "", nil, err
			}
			// What a run left that was killed.
			if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
				unlock()
				return "", nil, err
			}
			return dir, unlock, nil
		}
	}
}
