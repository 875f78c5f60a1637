package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/podstead/podstead/pod"
)

// maxImageInfos bounds what is remembered of images. A server runs a few
// dozen; when there are more, reading again costs little.
const maxImageInfos = 256

// imageInfo is what starting a container needs of an image. It belongs to a
// digest and so never changes.
type imageInfo struct {
	config  ocispec.ImageConfig
	chainID string
	size    int64
	// users is nil until a container of the image was started.
	users *userFiles
}

// info reads an image's configuration by its digest. An image for another
// platform is a *pod.Refused.
func (r *Runtime) info(ctx context.Context, img pod.Image) (*imageInfo, error) {
	r.mu.Lock()
	known := r.images[img.Digest]
	r.mu.Unlock()
	if known != nil {
		return known, nil
	}
	info, err := r.readInfo(ctx, img)
	if err != nil {
		return nil, err
	}
	r.remember(img.Digest, info)
	return info, nil
}

func (r *Runtime) remember(digest string, info *imageInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.images) >= maxImageInfos {
		clear(r.images)
	}
	r.images[digest] = info
}

func (r *Runtime) readInfo(ctx context.Context, img pod.Image) (*imageInfo, error) {
	store := r.client.ContentStore()
	root, err := rootDescriptor(ctx, store, img.Digest)
	if err != nil {
		return nil, failed("read image", img.Ref, err)
	}
	manifest, err := images.Manifest(ctx, store, root, platforms.Default())
	if err != nil {
		if wrong := wrongPlatform(ctx, store, img.Ref, root); wrong != nil {
			return nil, wrong
		}
		return nil, failed("read the manifest of image", img.Ref, err)
	}
	raw, err := content.ReadBlob(ctx, store, manifest.Config)
	if err != nil {
		return nil, failed("read the configuration of image", img.Ref, err)
	}
	var config ocispec.Image
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("read the configuration of image %q: %w", img.Ref, err)
	}
	if !platforms.Default().Match(config.Platform) {
		return nil, refusePlatform(img.Ref, platforms.Format(config.Platform))
	}
	info := &imageInfo{
		config:  config.Config,
		chainID: identity.ChainID(config.RootFS.DiffIDs).String(),
		size:    manifest.Config.Size,
	}
	for _, layer := range manifest.Layers {
		info.size += layer.Size
	}
	return info, nil
}

// rootDescriptor describes the manifest or index that a digest names. Its type
// is in the content itself.
func rootDescriptor(ctx context.Context, store content.Store, dgst string) (ocispec.Descriptor, error) {
	parsed, err := digest.Parse(dgst)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("digest %q: %w", dgst, err)
	}
	desc := ocispec.Descriptor{Digest: parsed}
	raw, err := content.ReadBlob(ctx, store, desc)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	var kind struct {
		MediaType string            `json:"mediaType"`
		Manifests []json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &kind); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("content %s: %w", dgst, err)
	}
	desc.Size, desc.MediaType = int64(len(raw)), kind.MediaType
	switch {
	case desc.MediaType != "":
	case kind.Manifests != nil:
		desc.MediaType = ocispec.MediaTypeImageIndex
	default:
		desc.MediaType = ocispec.MediaTypeImageManifest
	}
	return desc, nil
}

// wrongPlatform returns a refusal that names the platforms of an image when
// this host's is not among them, and nil when it is or nobody knows.
func wrongPlatform(ctx context.Context, store content.Store, ref string, root ocispec.Descriptor) error {
	var has []string
	if images.IsIndexType(root.MediaType) {
		raw, err := content.ReadBlob(ctx, store, root)
		if err != nil {
			return nil
		}
		var index ocispec.Index
		if json.Unmarshal(raw, &index) != nil {
			return nil
		}
		for _, m := range index.Manifests {
			if m.Platform == nil || platforms.Default().Match(*m.Platform) {
				return nil
			}
			// Attestations hide behind a platform that is none.
			if m.Platform.OS != "unknown" {
				has = append(has, platforms.Format(*m.Platform))
			}
		}
	} else {
		manifest, err := images.Manifest(ctx, store, root, nil)
		if err != nil {
			return nil
		}
		p, err := images.ConfigPlatform(ctx, store, manifest.Config)
		if err != nil || platforms.Default().Match(p) {
			return nil
		}
		has = append(has, platforms.Format(p))
	}
	return refusePlatform(ref, has...)
}

func refusePlatform(ref string, has ...string) error {
	return &pod.Refused{
		Reason: reasonImagePull,
		Message: fmt.Sprintf("image %q is for %s, this host is %s: it is not run and asked for again with back-off",
			ref, strings.Join(has, ", "), platforms.DefaultString()),
	}
}
