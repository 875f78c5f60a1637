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
