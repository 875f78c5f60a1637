package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"

	"github.com/podstead/podstead/pod"
)

// archiveSuffixes are the ends of the names of image archives.
var archiveSuffixes = []string{".tar", ".tar.gz", ".tgz", ".tar.zst"}

// Import brings the images of an OCI or docker archive, which may be
// compressed, into containerd, under the names that the archive gives them. A
// name that is a tag only gets the archive's file name in front: 1.2 in
// shop.tar is docker.io/library/shop:1.2.
func (r *Runtime) Import(ctx context.Context, path string) ([]pod.Image, error) {
	return r.importArchive(ctx, path, nil)
}

// importArchive also puts labels on the images.
func (r *Runtime) importArchive(ctx context.Context, path string, labels map[string]string) ([]pod.Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("import images: %w", err)
	}
	defer f.Close()
	ctx, done, err := r.lease(r.scope(ctx))
	if err != nil {
		return nil, failed("import images from", path, err)
	}
	defer done()
	return r.importFrom(ctx, f, path, labels)
}

func (r *Runtime) importFrom(ctx context.Context, f io.Reader, path string, labels map[string]string) ([]pod.Image, error) {
	raw, err := compression.DecompressStream(f)
	if err != nil {
		return nil, fmt.Errorf("import images from %q: %w", path, err)
	}
	defer raw.Close()
	all := map[string]string{labelImported: "true"}
	maps.Copy(all, labels)
	found, err := r.client.Import(ctx, raw,
		containerd.WithImportPlatform(platforms.Default()),
		containerd.WithImageLabels(all),
		containerd.WithImageRefTranslator(func(name string) string { return archiveName(path, name) }),
	)
	if err != nil {
		return nil, failed("import images from", path, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("import images from %q: none of its images has a name (docker's RepoTags, or the annotation %s), so nothing is imported",
			path, images.AnnotationImageName)
	}
	var list []pod.Image
	var errs []error
	for _, img := range found {
		ready, err := r.unpack(ctx, img)
		if err != nil {
			errs = append(errs, fmt.Errorf("import images from %q: %w", path, err))
			continue
		}
		list = append(list, ready)
	}
	return list, errors.Join(errs...)
}

// unpack makes an imported image ready to be run.
func (r *Runtime) unpack(ctx context.Context, img images.Image) (pod.Image, error) {
	named, err := normalise(img.Name)
	if err != nil {
		return pod.Image{}, err
	}
	ready, err := r.finish(ctx, named, img)
	if err != nil {
		return pod.Image{}, err
	}
	here := containerd.NewImageWithPlatform(r.client, img, platforms.Default())
	if err := here.Unpack(ctx, r.cfg.Snapshotter); err != nil {
		return pod.Image{}, failed("unpack image", img.Name, err)
	}
	return ready, nil
}

// archiveName completes a name that an archive gives to an image.
func archiveName(path, name string) string {
	if !strings.ContainsAny(name, ":/") {
		name = archiveBase(path) + ":" + name
	}
	if named, err := reference.ParseDockerRef(name); err == nil {
		return named.String()
	}
	return name
}

// archiveBase is an archive's file name without the end that tells its type.
func archiveBase(path string) string {
	base := filepath.Base(path)
	for _, suffix := range archiveSuffixes {
		if rest, ok := strings.CutSuffix(base, suffix); ok && rest != "" {
			return strings.ToLower(rest)
		}
	}
	return strings.ToLower(base)
}
