package images

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// unneeded are packages that others depend on for their installation, which
// does not take place here.
var unneeded = []string{
	"adduser", "debconf", "dmsetup", "dpkg", "init-system-helpers", "iproute2", "libbpf1", "libfile-find-rule-perl",
	"libnumber-compare-perl", "libpam-modules", "libpam-modules-bin", "libpam-runtime", "libpam-systemd", "libperl5.36",
	"libsystemd-shared", "libtext-glob-perl", "lsb-base", "mount", "passwd", "perl", "perl-base", "perl-modules-5.36",
	"polkitd", "systemd", "systemd-sysv", "sysvinit-utils", "tar", "ucf", "usrmerge",
}

// FromDebian makes an image of Debian packages and what they depend on,
// unpacked but not configured: no script of theirs has run. Packages are
// downloaded once per version.
func FromDebian(ctx context.Context, o Options, packages ...string) (v1.Image, error) {
	debs, err := Download(ctx, packages...)
	if err != nil {
		return nil, err
	}
	merged, err := merge(ctx, debs)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", strings.Join(packages, ", "), err)
	}
	l, err := tarball.LayerFromFile(merged, tarball.WithCompressionLevel(1))
	if err != nil {
		return nil, err
	}
	return assemble(o, l)
}

// Download returns the files of Debian packages and of what they depend on. It
// asks the network only for what it does not have yet.
func Download(ctx context.Context, packages ...string) ([]string, error) {
	paths, err := download(ctx, packages)
	if err != nil {
		return nil, fmt.Errorf("download %s: %w", strings.Join(packages, ", "), err)
	}
	return paths, nil
}

func download(ctx context.Context, packages []string) ([]string, error) {
	paths, err := downloadListed(ctx, packages)
	if err == nil {
		return paths, nil
	}
	// A fresh machine has no lists of packages, an old one may have old lists.
	if text, updated := exec.CommandContext(ctx, "apt-get", "update", "-qq").CombinedOutput(); updated != nil {
		return nil, fmt.Errorf("%w; apt-get update: %w: %s", err, updated, firstError(text))
	}
	return downloadListed(ctx, packages)
}

// downloadListed downloads packages as apt's lists know them.
func downloadListed(ctx context.Context, packages []string) ([]string, error) {
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	store := filepath.Join(cache, "debs")
	if err := os.MkdirAll(store, 0o755); err != nil {
		return nil, err
	}
	names, err := closure(ctx, cache, packages)
	if err != nil {
		return nil, err
	}
	var paths, missing []string
	for _, name := range names {
		path := filepath.Join(store, name)
		paths = append(paths, path)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, specOf(name))
		}
	}
	if len(missing) == 0 {
		return paths, nil
	}
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "APT::Sandbox::User=root", "download"}, missing...)...)
	cmd.Dir = store
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("apt-get download: %w: %s", err, firstError(text))
	}
	return paths, nil
}

// firstError is what went wrong first by the output of apt-get, which has a
// line for each package; all of it where no line is marked as an error.
func firstError(output []byte) string {
	for line := range strings.Lines(string(output)) {
		if strings.HasPrefix(line, "E: ") {
			return strings.TrimSpace(line)
		}
	}
	return strings.TrimSpace(string(output))
}

// specOf turns NAME_VERSION_ARCH.deb into what apt-get download wants.
func specOf(file string) string {
	parts := strings.Split(strings.TrimSuffix(file, ".deb"), "_")
	version, err := url.PathUnescape(parts[1])
	if err != nil {
		version = parts[1]
	}
	return parts[0] + "=" + version
}

// closure asks apt what an empty system would have to install.
func closure(ctx context.Context, cache string, packages []string) ([]string, error) {
	status := filepath.Join(cache, "empty-status")
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		return nil, err
	}
	args := []string{
		"-o", "Dir::State::status=" + status, "-o", "Debug::NoLocking=1", "-o", "APT::Install-Recommends=false",
		"-o", "Dir::Cache::archives=" + cache, "-y", "--print-uris", "-qq", "install",
	}
	out, err := exec.CommandContext(ctx, "apt-get", append(args, packages...)...).Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return nil, fmt.Errorf("apt-get install --print-uris: %w", err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || !strings.HasPrefix(fields[0], "'") {
			continue
		}
		if name, _, _ := strings.Cut(fields[1], "_"); !slices.Contains(unneeded, name) {
			names = append(names, fields[1])
		}
	}
	slices.Sort(names)
	return names, nil
}

// merge writes the content of packages as one tar, kept by their versions.
func merge(ctx context.Context, debs []string) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(debs, "\n")))
	out := filepath.Join(cache, fmt.Sprintf("debian-%x.tar", sum[:8]))
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	f, err := os.CreateTemp(cache, "debian-*.part")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	w := tar.NewWriter(f)
	seen := map[string]bool{}
	for _, deb := range debs {
		if err := appendDeb(ctx, w, seen, deb); err != nil {
			return "", fmt.Errorf("%s: %w", filepath.Base(deb), err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		return "", err
	}
	return out, os.Rename(f.Name(), out)
}

// appendDeb copies the files of one package, without its documentation.
func appendDeb(ctx context.Context, w *tar.Writer, seen map[string]bool, deb string) error {
	content, err := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb).Output()
	if err != nil {
		return err
	}
	r := tar.NewReader(bytes.NewReader(content))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		h.Name = strings.TrimPrefix(h.Name, "./")
		if h.Name == "" || seen[h.Name] || documentation(h.Name) {
			continue
		}
		seen[h.Name] = true
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
}

func documentation(name string) bool {
	for _, dir := range []string{"usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/lintian/"} {
		if strings.HasPrefix(name, dir) {
			return true
		}
	}
	return false
}
