package runtime

import (
	"context"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// fetchInterval is how often the progress of a fetch is read.
const fetchInterval = 300 * time.Millisecond

// fetch pulls through this process, for a containerd that is older than the
// transfer service.
func (r *Runtime) fetch(ctx context.Context, name string, track *tracker) error {
	hosts := config.HostOptions{}
	if r.cfg.HostsDir != "" {
		hosts.HostDir = config.HostDirFromRoot(r.cfg.HostsDir)
	}
	ctx, cancel := context.WithCancel(ctx)
	polled := make(chan struct{})
	go func() { defer close(polled); r.pollFetch(ctx, track) }()
	_, err := r.client.Pull(ctx, name,
		containerd.WithResolver(docker.NewResolver(docker.ResolverOptions{Hosts: config.ConfigureHosts(ctx, hosts)})),
		containerd.WithPlatformMatcher(platforms.Default()),
		containerd.WithPullUnpack,
		containerd.WithPullLabel(labelFetched, "true"),
		containerd.WithPullSnapshotter(r.cfg.Snapshotter),
		containerd.WithImageHandler(images.HandlerFunc(func(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
			track.expect(remotes.MakeRefKey(ctx, d), d)
			return nil, nil
		})),
	)
	cancel()
	<-polled
	return err
}

// pollFetch passes on how far each part has come, until ctx ends.
func (r *Runtime) pollFetch(ctx context.Context, track *tracker) {
	tick := time.NewTicker(fetchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		active, err := r.client.ContentStore().ListStatuses(ctx)
		if err != nil {
			continue
		}
		for _, s := range active {
			track.advance(s.Ref, s.Offset)
		}
	}
}

// expect takes note of a part that is about to be fetched.
func (t *tracker) expect(key string, d ocispec.Descriptor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.root == nil {
		t.root = &d
	}
	t.parts[key] = &part{total: d.Size, layer: images.IsLayerType(d.MediaType)}
	t.alive()
	t.tell()
}

// advance takes note of how much of a part is there.
func (t *tracker) advance(key string, done int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.parts[key]
	if p == nil || t.closed || p.done == done {
		return
	}
	p.done, p.complete = done, done == p.total
	t.alive()
	t.tell()
}
