// Package images builds the images of the tests: from static Go programs of
// this module and from Debian's packages. It writes them as archives and
// serves them from a registry in this process.
package images

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// WitnessPackage is the program of most test images.
const WitnessPackage = "github.com/podstead/podstead/test/witness"

// epoch is the time of every file, so that an image of the same content has
// the same digest.
var epoch = time.Unix(1_700_000_000, 0)

// File is a file to put into an image.
type File struct {
	Mode    int64
	UID     int
	GID     int
	Content []byte
}

// Options say what an image is besides its files.
type Options struct {
	// Config replaces the image's configuration.
	Config v1.Config
	// Files are put into a layer of their own, by absolute path; a path that
	// ends with a slash is a folder.
	Files map[string]File
	// Platform other than this host's.
	Architecture string
}

// CacheDir is where packages are kept between runs, for all checkouts.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	dir := filepath.Join(base, "podstead-test")
	return dir, os.MkdirAll(dir, 0o755)
}

// BuildDir is where the programs of this checkout are put: those of another
// one may be under test at the same time.
func BuildDir(ctx context.Context) (string, error) {
	file, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	dir := filepath.Join(filepath.Dir(strings.TrimSpace(string(file))), "bin", "test")
	return dir, os.MkdirAll(dir, 0o755)
}

// GoBinary builds a program of this module, statically, and returns its path.
// Go's own cache makes this cheap when nothing changed.
func GoBinary(ctx context.Context, pkg string) (string, error) {
	build, err := BuildDir(ctx)
	if err != nil {
		return "", err
	}
	if err := Track(ctx, pkg); err != nil {
		return "", err
	}
	out := filepath.Join(build, path.Base(pkg))
	// Several tests may do this at once, and in PID namespaces of their own
	// they have the same PID.
	dir, err := os.MkdirTemp(build, ".build-") // the dot hides it from "go list ./..."
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	part := filepath.Join(dir, path.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", part, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w: %s", pkg, err, text)
	}
	return out, os.Rename(part, out)
}

// FromGo makes an image of one static program, which is its entry point,
// with the users root, nobody and app (1000) and an empty /tmp and /data.
func FromGo(ctx context.Context, pkg string, o Options) (v1.Image, error) {
	binary, err := GoBinary(ctx, pkg)
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	entry := "/" + path.Base(pkg)
	base, err := layer(map[string]File{
		entry:         {Mode: 0o755, Content: program},
		"/etc/passwd": text("root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\napp:x:1000:1000:app:/data:/sbin/nologin\n"),
		"/etc/group":  text("root:x:0:\nnogroup:x:65534:\napp:x:1000:\nextra:x:2000:app\n"),
		"/tmp/":       {Mode: 0o1777},
		"/data/":      {Mode: 0o755, UID: 1000, GID: 1000},
	})
	if err != nil {
		return nil, err
	}
	if len(o.Config.Entrypoint) == 0 {
		o.Config.Entrypoint = []string{entry}
	}
	return assemble(o, base)
}

func text(s string) File { return File{Mode: 0o644, Content: []byte(s)} }

// assemble puts layers, the options' files and configuration together.
func assemble(o Options, layers ...v1.Layer) (v1.Image, error) {
	if len(o.Files) > 0 {
		l, err := layer(o.Files)
		if err != nil {
			return nil, err
		}
		layers = append(layers, l)
	}
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", runtime.GOARCH
	if o.Architecture != "" {
		file.Architecture = o.Architecture
	}
	file.Created = v1.Time{Time: epoch}
	file.Config = o.Config
	return mutate.ConfigFile(img, file)
}

// layer packs files, in the order of their names, with their folders.
func layer(files map[string]File) (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	made := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := folders(w, made, path.Dir(strings.TrimSuffix(name, "/"))); err != nil {
			return nil, err
		}
		f := files[name]
		h := &tar.Header{Name: strings.TrimPrefix(name, "/"), Mode: f.Mode, Uid: f.UID, Gid: f.GID,
			Size: int64(len(f.Content)), Typeflag: tar.TypeReg, ModTime: epoch}
		if before, ok := strings.CutSuffix(name, "/"); ok {
			h.Typeflag, made[before] = tar.TypeDir, true
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.Content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buf.Bytes())), nil
	}, tarball.WithCompressionLevel(1))
}

func folders(w *tar.Writer, made map[string]bool, dir string) error {
	if dir == "/" || dir == "." || made[dir] {
		return nil
	}
	if err := folders(w, made, path.Dir(dir)); err != nil {
		return err
	}
	made[dir] = true
	return w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(dir, "/") + "/", Mode: 0o755, Typeflag: tar.TypeDir, ModTime: epoch})
}
