package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// DebianProgram returns a program of a Debian package, to be run on this host.
// It is unpacked once per version of the package.
func DebianProgram(ctx context.Context, pkg, program string) (string, error) {
	debs, err := Download(ctx, pkg)
	if err != nil {
		return "", err
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	for _, deb := range debs {
		if !strings.HasPrefix(filepath.Base(deb), pkg+"_") {
			continue
		}
		to := filepath.Join(cache, "bin", strings.TrimSuffix(filepath.Base(deb), ".deb"), filepath.Base(program))
		if _, err := os.Stat(to); err == nil {
			return to, nil
		}
		return to, extract(ctx, deb, program, to)
	}
	return "", fmt.Errorf("download %s: it is not among what was downloaded", pkg)
}

// extract copies one file out of a package.
func extract(ctx context.Context, deb, program, to string) error {
	content, err := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb).Output()
	if err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(deb), err)
	}
	r := tar.NewReader(bytes.NewReader(content))
	for {
		h, err := r.Next()
		if err != nil {
			return fmt.Errorf("find %s in %s: %w", program, filepath.Base(deb), err)
		}
		if strings.TrimPrefix(h.Name, ".") != program {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		f, err := os.CreateTemp(filepath.Dir(to), "part-*")
		if err != nil {
			return err
		}
		defer os.Remove(f.Name())
		_, err = io.Copy(f, r)
		if err := errors.Join(err, f.Chmod(0o755), f.Close()); err != nil {
			return err
		}
		return os.Rename(f.Name(), to)
	}
}
