package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/transfer"
	"github.com/containerd/containerd/v2/core/transfer/image"
	"github.com/containerd/containerd/v2/core/transfer/registry"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/podstead/podstead/pod"
)

// Pull implements agent.Images. containerd itself fetches and unpacks, so what
// is there already is not fetched again, also after a pull that was cut off.
// progress may be nil; it is called from one goroutine at a time and not after
// Pull has returned.
func (r *Runtime) Pull(ctx context.Context, ref string, progress func(pod.ImageProgress)) (pod.Image, error) {
	named, err := normalise(ref)
	if err != nil {
		return pod.Image{}, err
	}
	// The lease keeps what arrives until the image refers to it.
	ctx, done, err := r.leaseForPull(r.scope(ctx), named.String())
	if err != nil {
		return pod.Image{}, failed("pull", ref, err)
	}
	defer done()
	img, err := r.pull(ctx, named, progress)
	if err != nil {
		return pod.Image{}, err
	}
	return r.again(ctx, named, img, progress)
}

// again pulls once more if layers of the image were collected while it was
// pulled: before it had a name, nothing kept those that were there already.
func (r *Runtime) again(ctx context.Context, named reference.Named, img pod.Image, progress func(pod.ImageProgress)) (pod.Image, error) {
	if _, whole, err := r.present(ctx, img); whole || err != nil {
		return img, err
	}
	return r.pull(ctx, named, progress)
}

func (r *Runtime) pull(ctx context.Context, named reference.Named, progress func(pod.ImageProgress)) (pod.Image, error) {
	name := named.String()
	moving, alive, stop := stallGuard(ctx, r.cfg.StallTimeout)
	defer stop()
	moving, refuse := context.WithCancelCause(moving)
	defer refuse(nil)
	track := &tracker{report: progress, alive: alive, parts: map[string]*part{}}
	track.grown = func(sum pod.ImageProgress) { r.checkRoom(name, sum, refuse) }
	defer track.close()
	err := r.transfer(moving, name, track.event)
	if err != nil && strings.Contains(err.Error(), rangeRefused) {
		r.dropPartial(moving, track)
		err = r.transfer(moving, name, track.event)
	}
	// Without the service, its stream may break before it can say so.
	if isNotImplemented(err) || errors.Is(err, io.EOF) {
		err = r.fetch(moving, name, track)
	}
	if err != nil {
		return pod.Image{}, r.explainPull(ctx, moving, name, track, err)
	}
	track.allDone()
	found, err := r.client.ImageService().Get(ctx, name)
	if err != nil {
		return pod.Image{}, failed("pull", name, err)
	}
	return r.finish(ctx, named, found)
}

// transfer has containerd's transfer service do the work.
func (r *Runtime) transfer(ctx context.Context, name string, event transfer.ProgressFunc) error {
	var opts []registry.Opt
	if r.cfg.HostsDir != "" {
		opts = append(opts, registry.WithHostDir(r.cfg.HostsDir))
	}
	from, err := registry.NewOCIRegistry(ctx, name, opts...)
	if err != nil {
		return err
	}
	here := platforms.DefaultSpec()
	to := image.NewStore(name, image.WithPlatforms(here), image.WithUnpack(here, r.cfg.Snapshotter),
		image.WithImageLabels(map[string]string{labelFetched: "true"}))
	return r.client.Transfer(ctx, from, to, transfer.WithProgress(event))
}

// rangeRefused is in the error of a registry that can't send the rest of a
// layer of which the beginning is there.
const rangeRefused = "416 Requested Range Not Satisfiable"

// dropPartial throws the beginnings of an image's parts away. One that another
// pull is at work on stays.
func (r *Runtime) dropPartial(ctx context.Context, track *tracker) {
	for _, key := range track.keys() {
		_ = r.client.ContentStore().Abort(ctx, key)
	}
}

// explainPull finds out why a pull failed.
func (r *Runtime) explainPull(ctx, moving context.Context, name string, track *tracker, err error) error {
	if full, ok := errors.AsType[*pod.NoRoom](context.Cause(moving)); ok {
		err = full
	}
	if pod.DiskFull(err) {
		return r.explainFull(name, track, err)
	}
	if ctx.Err() == nil && moving.Err() != nil {
		return fmt.Errorf("pull %q: %w", name, context.Cause(moving))
	}
	if root := track.rootDescriptor(); root != nil {
		if wrong := wrongPlatform(ctx, r.client.ContentStore(), name, *root); wrong != nil {
			return wrong
		}
	}
	return failed("pull", name, err)
}

// errStalled is the cause of a pull's end when nothing moved.
var errStalled = errors.New("nothing arrived and nothing was unpacked")

// stallGuard returns a context that ends when alive is not called for so long.
func stallGuard(ctx context.Context, limit time.Duration) (_ context.Context, alive, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w for %s; it is tried again with back-off", errStalled, limit)) })
	return ctx, func() { timer.Reset(limit) }, func() { timer.Stop(); cancel(nil) }
}

// tracker adds up the progress of the parts of an image.
type tracker struct {
	report func(pod.ImageProgress)
	alive  func()
	// grown is told when it became known that the image is larger.
	grown func(pod.ImageProgress)

	mu     sync.Mutex
	closed bool
	root   *ocispec.Descriptor
	parts  map[string]*part
	last   pod.ImageProgress
}

// part is a layer, a configuration or a manifest.
type part struct {
	done, total int64
	unpacked    int64
	layer       bool
	complete    bool
}

func (t *tracker) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

func (t *tracker) rootDescriptor() *ocispec.Descriptor {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.root
}

// event takes what the transfer service tells. The service repeats itself
// while nothing moves, so only what differs is a sign of life.
func (t *tracker) event(e transfer.Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || e.Name == "" || e.Desc == nil {
		return
	}
	if e.Event == "fetching image content" {
		t.root = e.Desc
		t.alive()
		return
	}
	before := part{}
	p := t.parts[e.Name]
	if p == nil {
		p = &part{total: e.Desc.Size, layer: images.IsLayerType(e.Desc.MediaType)}
		t.parts[e.Name] = p
	} else {
		before = *p
	}
	switch e.Event {
	case "downloading":
		p.done = e.Progress
	case "extracting":
		p.unpacked = e.Progress
	case "complete", "already exists", "extracted":
		p.done, p.complete = p.total, true
	}
	if *p != before {
		t.alive()
		t.tell()
	}
}

// keys are the names under which parts arrive.
func (t *tracker) keys() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.parts))
}

// allDone takes the end of a pull for what the service no longer told, or tells
// too late.
func (t *tracker) allDone() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, p := range t.parts {
		p.done, p.complete = p.total, true
	}
	t.tell()
}

// tell reports the sum of the parts, if it differs from what was told last.
func (t *tracker) tell() {
	var sum pod.ImageProgress
	for _, p := range t.parts {
		sum.Done += p.done
		sum.Total += p.total
		if p.layer {
			sum.Layers++
		}
		if p.layer && p.complete {
			sum.LayersDone++
		}
	}
	if t.grown != nil && sum.Total > t.last.Total {
		t.grown(sum)
	}
	if t.report != nil && sum != t.last {
		t.report(sum)
	}
	t.last = sum
}

// sum is how far the parts have come together.
func (t *tracker) sum() pod.ImageProgress {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}
