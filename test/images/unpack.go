package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Unpack returns a folder with the files of one Debian package, without what
// it depends on. It is kept per version and must not be changed.
func Unpack(ctx context.Context, pkg string) (string, error) {
	debs, err := Download(ctx, pkg)
	if err != nil {
		return "", err
	}
	for _, deb := range debs {
		if strings.HasPrefix(filepath.Base(deb), pkg+"_") {
			return unpack(ctx, deb)
		}
	}
	return "", fmt.Errorf("unpack %s: apt knows no such package", pkg)
}

// Tree puts the files of Debian packages, and of what they depend on, into an
// empty folder in which programs can be run by chroot. Nothing is configured:
// no script of theirs has run.
func Tree(ctx context.Context, dir string, packages ...string) error {
	for _, name := range []string{"bin", "lib", "lib64", "sbin"} {
		if err := os.MkdirAll(filepath.Join(dir, "usr", name), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("usr/"+name, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	debs, err := Download(ctx, packages...)
	if err != nil {
		return err
	}
	merged, err := merge(ctx, debs)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", strings.Join(packages, ", "), err)
	}
	if text, err := exec.CommandContext(ctx, "tar", "-x", "--keep-directory-symlink", "-C", dir, "-f", merged).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack %s: %w: %s", strings.Join(packages, ", "), err, text)
	}
	return nil
}

func unpack(ctx context.Context, deb string) (string, error) {
	dir := strings.TrimSuffix(deb, ".deb")
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	part, err := os.MkdirTemp(filepath.Dir(dir), "unpack-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(part)
	if text, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, part).CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack %s: %w: %s", deb, err, text)
	}
	// Another test may have been faster.
	if err := os.Rename(part, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return dir, nil
}
