package agent_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/podstead/podstead/pod"
)

// fakeDisk is one file system with images on it.
type fakeDisk struct {
	size, used int64
	stored     map[string]pod.StoredImage
	good       map[string]map[string]pod.RunImages
	// locked images can't be removed.
	locked map[string]bool
	// removed and notes tell what was done, in order.
	removed, noted []string
	// slow is how long a removal takes.
	slow time.Duration
}

type (
	fakeDisks      struct{ *fake }
	fakeGoodImages struct{ *fake }
)

// store puts an image of a size onto the disk.
func (f *fake) store(name string, size int64, lastUsed time.Time, change ...func(*pod.StoredImage)) {
	f.set(func(f *fake) {
		img := pod.StoredImage{Digest: digestOf(name), Names: []string{"docker.io/library/" + name}, Size: size, LastUsed: lastUsed}
		for _, c := range change {
			c(&img)
		}
		if f.disk.stored == nil {
			f.disk.stored = map[string]pod.StoredImage{}
		}
		f.disk.stored[img.Digest] = img
		f.disk.used += size
		f.images[name] = true
	})
}

func (f fakeDisks) Filesystems(context.Context) ([]pod.Filesystem, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.disk.size == 0 {
		return nil, nil
	}
	return []pod.Filesystem{{Uses: []string{"images", "state"}, Path: "/state", Size: f.disk.size, Available: max(0, f.disk.size-f.disk.used)}}, nil
}

func (f *fake) StoredImages(context.Context) ([]pod.StoredImage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.SortedFunc(maps.Values(f.disk.stored), func(a, b pod.StoredImage) int { return strings.Compare(a.Digest, b.Digest) }), nil
}

func (f *fake) RemoveImage(_ context.Context, img pod.StoredImage) error {
	f.mu.Lock()
	slow := f.disk.slow
	f.calls = append(f.calls, "removing "+img.Name())
	f.mu.Unlock()
	time.Sleep(slow)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "remove image "+img.Name())
	if f.disk.locked[img.Digest] {
		return fmt.Errorf("remove image %q: it is locked", img.Name())
	}
	f.disk.used -= f.disk.stored[img.Digest].Size
	delete(f.disk.stored, img.Digest)
	f.disk.removed = append(f.disk.removed, strings.TrimPrefix(img.Names[0], "docker.io/library/"))
	return nil
}

func (f *fake) NoteUse(_ context.Context, digest string, _ time.Time) error {
	f.set(func(f *fake) { f.disk.noted = append(f.disk.noted, digest) })
	return nil
}

func (f *fake) Sweep(context.Context) error {
	f.set(func(f *fake) { f.calls = append(f.calls, "sweep") })
	return nil
}

func (f *fake) DropLayer(ctx context.Context, id string) (c pod.Container, err error) {
	err = f.do(ctx, "drop layer", func() error {
		c = f.containers[id]
		c.Layer = false
		f.containers[id] = c
		return nil
	})
	return c, err
}

func (f fakeGoodImages) Load() (map[string]map[string]pod.RunImages, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.disk.good), nil
}

func (f fakeGoodImages) Save(good map[string]map[string]pod.RunImages) error {
	f.set(func(f *fake) { f.disk.good = good })
	return nil
}
