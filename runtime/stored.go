package runtime

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"

	"github.com/podstead/podstead/pod"
)

// Labels of images.
const (
	// labelFetched marks images that podstead fetched from a registry and can
	// fetch again: no others are collected.
	labelFetched = "podstead.dev/fetched"
	// labelLastUsed is when the last container of an image was removed.
	labelLastUsed = "podstead.dev/last-used"
	// labelPinned is containerd's own, which people set with ctr.
	labelPinned = "io.cri-containerd.pinned"
)

// StoredImages implements agent.Images. Images are told apart by their digest.
func (r *Runtime) StoredImages(ctx context.Context) ([]pod.StoredImage, error) {
	ctx = r.scope(ctx)
	list, err := r.client.ImageService().List(ctx)
	if err != nil {
		return nil, failed("list images of namespace", r.cfg.Namespace, err)
	}
	all, err := r.client.ContainerService().List(ctx)
	if err != nil {
		return nil, failed("list containers of namespace", r.cfg.Namespace, err)
	}
	byDigest := map[string][]images.Image{}
	for _, img := range list {
		byDigest[img.Target.Digest.String()] = append(byDigest[img.Target.Digest.String()], img)
	}
	stored := make([]pod.StoredImage, 0, len(byDigest))
	for _, digest := range slices.Sorted(maps.Keys(byDigest)) {
		s := r.storedImage(digest, byDigest[digest], all)
		s.Size = r.storedSize(ctx, s)
		stored = append(stored, s)
	}
	return stored, nil
}

func (r *Runtime) storedImage(digest string, list []images.Image, all []containers.Container) pod.StoredImage {
	s := pod.StoredImage{Digest: digest}
	fetched := false
	for _, img := range list {
		s.Names = append(s.Names, img.Name)
		fetched = fetched || img.Labels[labelFetched] != ""
		s.LastUsed = latest(s.LastUsed, lastUsed(img))
		switch {
		case img.Labels[labelImported] != "":
			s.Pinned = "imported from an archive"
		case img.Labels[labelPinned] == "pinned":
			s.Pinned = "pinned by the label " + labelPinned
		}
	}
	slices.Sort(s.Names)
	foreign := func(c containers.Container) bool {
		return c.Labels[labelNode] != r.cfg.NodeID && slices.Contains(s.Names, c.Image)
	}
	switch {
	case slices.ContainsFunc(all, foreign):
		s.Pinned = "used by a container that is not podstead's"
	case s.Pinned == "" && !fetched:
		s.Pinned = "not fetched by podstead"
	}
	return s
}

// lastUsed is when an image was last used, as far as it bears a label of that,
// or when it came.
func lastUsed(img images.Image) time.Time {
	if at, err := time.Parse(time.RFC3339, img.Labels[labelLastUsed]); err == nil {
		return at
	}
	return img.CreatedAt.Truncate(time.Second).UTC()
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// storedSize adds up content and unpacked layers. What can't be read counts
// nothing.
func (r *Runtime) storedSize(ctx context.Context, s pod.StoredImage) int64 {
	info, err := r.info(ctx, pod.Image{Ref: s.Name(), Digest: s.Digest})
	if err != nil {
		return 0
	}
	size := info.size
	snapshots := r.client.SnapshotService(r.cfg.Snapshotter)
	for layer := info.chainID; layer != ""; {
		stat, err := snapshots.Stat(ctx, layer)
		if err != nil {
			break
		}
		if usage, err := snapshots.Usage(ctx, layer); err == nil {
			size += usage.Size
		}
		layer = stat.Parent
	}
	return size
}

// RemoveImage implements agent.Images. A name that belongs to another image by
// now is left alone. It returns when the space is free.
func (r *Runtime) RemoveImage(ctx context.Context, s pod.StoredImage) error {
	ctx = r.scope(ctx)
	for i, name := range s.Names {
		img, err := r.client.ImageService().Get(ctx, name)
		if isNotFound(err) || err == nil && img.Target.Digest.String() != s.Digest {
			continue
		}
		if err != nil {
			return failed("look for image", name, err)
		}
		opts := []images.DeleteOpt{images.DeleteTarget(&img.Target)}
		if i == len(s.Names)-1 {
			opts = append(opts, images.SynchronousDelete())
		}
		if err := r.whenFull(func() error { return r.client.ImageService().Delete(ctx, name, opts...) }); err != nil && !isNotFound(err) {
			return failed("remove image", name, err)
		}
	}
	r.forget(s.Digest)
	return nil
}

// forget drops what is remembered of an image.
func (r *Runtime) forget(digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.images, digest)
}

// NoteUse implements agent.Images.
func (r *Runtime) NoteUse(ctx context.Context, digest string, at time.Time) error {
	ctx = r.scope(ctx)
	list, err := r.client.ImageService().List(ctx, "target.digest=="+digest)
	if err != nil {
		return failed("look for image", digest, err)
	}
	var errs []error
	for _, img := range list {
		if strings.Contains(img.Name, "@") && len(list) > 1 {
			continue // one name tells it
		}
		img.Labels = map[string]string{labelLastUsed: at.UTC().Format(time.RFC3339)}
		_, err := r.client.ImageService().Update(ctx, img, "labels."+labelLastUsed)
		if err != nil && !isNotFound(err) {
			errs = append(errs, failed("note the use of image", img.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Sweep implements agent.Images: it has containerd delete, before it returns,
// what nothing refers to any more.
func (r *Runtime) Sweep(ctx context.Context) error {
	err := r.whenFull(func() error { return r.sweep(r.scope(ctx)) })
	if err != nil {
		return failed("collect garbage of namespace", r.cfg.Namespace, err)
	}
	return nil
}

func (r *Runtime) sweep(ctx context.Context) error {
	ctx, done, err := r.lease(ctx)
	if err != nil {
		return err
	}
	defer done()
	// Only the end of something starts the collector.
	lease, _ := leases.FromContext(ctx)
	err = r.client.LeasesService().Delete(ctx, leases.Lease{ID: lease}, leases.SynchronousDelete)
	if isNotFound(err) {
		return nil
	}
	return err
}

// DropLayer implements agent.Containers. The record is changed first: a layer
// that nothing refers to is collected whatever happens then.
func (r *Runtime) DropLayer(ctx context.Context, id string) (pod.Container, error) {
	ctx = r.scope(ctx)
	s, ok, err := r.look(ctx, id)
	if err != nil {
		return pod.Container{}, err
	}
	if !ok || s.state != pod.StateDead {
		return pod.Container{}, fmt.Errorf("drop the layer of container %q: it is not dead", id)
	}
	key := s.container.SnapshotKey
	if key == "" {
		return r.container(s), nil
	}
	err = r.whenFull(func() error {
		_, err := r.client.ContainerService().Update(ctx, containers.Container{ID: id}, "snapshotkey")
		return err
	})
	if err != nil {
		return pod.Container{}, failed("drop the layer of container", id, err)
	}
	if err := r.client.SnapshotService(s.container.Snapshotter).Remove(ctx, key); err != nil && !isNotFound(err) {
		return pod.Container{}, failed("remove the layer of container", id, err)
	}
	s.container.SnapshotKey = ""
	return r.container(s), nil
}

// snapshotterPlugin begins the name of a snapshotter among containerd's
// plug-ins; rootExport is what it calls its folder.
const (
	snapshotterPlugin = "type==io.containerd.snapshotter.v1,id=="
	rootExport        = "root"
)

// ImageRoot is the folder in which containerd unpacks images, as it says.
func (r *Runtime) ImageRoot(ctx context.Context) (string, error) {
	answer, err := r.client.IntrospectionService().Plugins(r.scope(ctx), snapshotterPlugin+r.cfg.Snapshotter)
	if err != nil {
		return "", failed("ask where images are kept by snapshotter", r.cfg.Snapshotter, err)
	}
	for _, p := range answer.Plugins {
		if root := p.Exports[rootExport]; root != "" {
			return root, nil
		}
	}
	return "", fmt.Errorf("snapshotter %q does not tell where it keeps images", r.cfg.Snapshotter)
}
