package runtime

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"os"
	goruntime "runtime"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// tarOf returns a layer of programs, read from files, and of texts.
func tarOf(files, texts map[string]string) tarball.Opener {
	return func() (io.ReadCloser, error) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, to := range slices.Sorted(maps.Keys(files)) {
			content, err := os.ReadFile(files[to])
			if err != nil {
				return nil, err
			}
			if err := addFile(w, to, content, 0o755); err != nil {
				return nil, err
			}
		}
		for _, to := range slices.Sorted(maps.Keys(texts)) {
			if err := addFile(w, to, []byte(texts[to]), 0o644); err != nil {
				return nil, err
			}
		}
		return io.NopCloser(&b), w.Close()
	}
}

func addFile(w *tar.Writer, name string, content []byte, mode int64) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: mode}); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// withConfig is an image's configuration for this machine.
func withConfig(img v1.Image, config v1.Config) *v1.ConfigFile {
	file, err := img.ConfigFile()
	if err != nil {
		panic(err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", goruntime.GOARCH, config
	return file
}

// writeArchive writes a docker archive with one image.
func writeArchive(path, ref string, img v1.Image) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(path, tag, img)
}
