package runtime

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/distribution/reference"

	"github.com/podstead/podstead/pod"
)

// The reasons of refusals, as Kubernetes names them in waiting.reason.
const (
	reasonImagePull = "ErrImagePull"
	reasonImageName = "InvalidImageName"
)

// labelImported marks the images that came out of an archive, which can't be
// fetched again from anywhere: a garbage collector leaves them alone.
const labelImported = "podstead.dev/imported"

// normalise turns a name as people write it into the full one: nginx is
// docker.io/library/nginx:latest.
func normalise(ref string) (reference.Named, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return nil, &pod.Refused{
			Reason:  reasonImageName,
			Message: fmt.Sprintf("image %q is no valid image name (%v), such as registry.example.com/shop/web:1.2: it can't be fetched", ref, err),
		}
	}
	return named, nil
}

// Lookup implements agent.Images. A digest is found under whatever name its
// image has. An image that lacks content, or was never unpacked, counts as
// absent.
func (r *Runtime) Lookup(ctx context.Context, ref string) (pod.Image, bool, error) {
	ctx = r.scope(ctx)
	named, err := normalise(ref)
	if err != nil {
		return pod.Image{}, false, err
	}
	found, ok, err := r.find(ctx, named)
	if err != nil || !ok {
		return pod.Image{}, false, err
	}
	return r.present(ctx, pod.Image{Ref: named.String(), Digest: found.Target.Digest.String()})
}

// present completes an image that is there whole.
func (r *Runtime) present(ctx context.Context, img pod.Image) (pod.Image, bool, error) {
	info, err := r.info(ctx, img)
	if isNotFound(err) {
		return pod.Image{}, false, nil
	}
	if err != nil {
		return pod.Image{}, false, err
	}
	img.Size = info.size
	_, err = r.client.SnapshotService(r.cfg.Snapshotter).Stat(ctx, info.chainID)
	if isNotFound(err) {
		return pod.Image{}, false, nil
	}
	if err != nil {
		return pod.Image{}, false, failed("look for the unpacked image", img.Ref, err)
	}
	return img, true, nil
}

// find looks an image up by its name, or by its digest.
func (r *Runtime) find(ctx context.Context, named reference.Named) (images.Image, bool, error) {
	store := r.client.ImageService()
	img, err := store.Get(ctx, named.String())
	if err == nil {
		return img, true, nil
	}
	if !isNotFound(err) {
		return images.Image{}, false, failed("look for image", named.String(), err)
	}
	digested, ok := named.(reference.Canonical)
	if !ok {
		return images.Image{}, false, nil
	}
	list, err := store.List(ctx, "target.digest=="+digested.Digest().String())
	if err != nil {
		return images.Image{}, false, failed("look for image", named.String(), err)
	}
	if len(list) == 0 {
		return images.Image{}, false, nil
	}
	return list[0], true, nil
}

// finish makes an image that is present in containerd ready to be run: checks
// that this host can run it, and keeps its digest when its tag moves on.
func (r *Runtime) finish(ctx context.Context, named reference.Named, found images.Image) (pod.Image, error) {
	img := pod.Image{Ref: named.String(), Digest: found.Target.Digest.String()}
	info, err := r.info(ctx, img)
	if err != nil {
		return pod.Image{}, err
	}
	img.Size = info.size
	if _, ok := named.(reference.Canonical); ok {
		return img, nil
	}
	keep := images.Image{
		Name:   reference.TrimNamed(named).String() + "@" + img.Digest,
		Target: found.Target,
		Labels: found.Labels,
	}
	if _, err := r.client.ImageService().Create(ctx, keep); err != nil && !isAlreadyExists(err) {
		return pod.Image{}, failed("keep the digest of image", img.Ref, err)
	}
	return img, nil
}
