package bench

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/cgroups"
	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/sandbox"
	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/record"
)

// bare starts containers by containerd's own client: the same containerd,
// image, spec, logger, namespaces and cgroups as podstead's, without any of
// its decisions and records.
type bare struct {
	t       *testing.T
	h       *harness.Host
	like    template
	dir     string
	client  *containerd.Client
	image   containerd.Image
	cgroups *cgroups.Manager
	network *network.Network
	sandbox *sandbox.Sandboxes
}

// bareCIDRs are apart from every host's.
var bareCIDRs = []netip.Prefix{netip.MustParsePrefix("10.118.0.0/23"), netip.MustParsePrefix("fd5b:3c1e:9a28::/64")}

func newBare(t *testing.T, h *harness.Host, like template) *bare {
	t.Helper()
	b := &bare{t: t, h: h, like: like, dir: filepath.Join(h.Dir, "bare")}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	b.cgroups, err = cgroups.New(cgroups.Config{Root: h.CgroupRoot + "/bare"})
	must(err)
	b.network, err = network.New(network.Config{RunDir: b.dir, PodCIDRs: bareCIDRs})
	must(err)
	b.sandbox, err = sandbox.New(sandbox.Config{RunDir: b.dir, BootID: "bench", Now: func() pod.Stamp { return pod.Stamp{Wall: time.Now()} }})
	must(err)
	b.client, err = containerd.New(h.Containerd, containerd.WithDefaultNamespace("bare"))
	must(err)
	t.Cleanup(func() { b.client.Close() })
	must(b.importImage())
	return b
}

func (b *bare) importImage() error {
	archives, err := filepath.Glob(filepath.Join(b.h.Images, "*.tar"))
	if err != nil {
		return err
	}
	for _, path := range archives {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		_, err = b.client.Import(b.t.Context(), f)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if b.image, err = b.client.GetImage(b.t.Context(), witnessImage); err != nil {
		return err
	}
	return b.image.Unpack(b.t.Context(), b.like.container.Snapshotter)
}

// barePod is one that runs.
type barePod struct {
	name    string
	ip      string
	box     pod.Sandbox
	attempt int

	container containerd.Container
	task      containerd.Task
	exited    <-chan containerd.ExitStatus
}

func (b *bare) uid(name string) types.UID { return pod.UID("bench", pod.Instance{Key: b.key(name)}) }
func (b *bare) key(name string) pod.Key   { return pod.Key{Namespace: "default", Name: name} }

// start makes what a pod needs and starts its container.
func (b *bare) start(ctx context.Context, name string) (*barePod, error) {
	uid, like := b.uid(name), b.like.pod.DeepCopy()
	like.Name = name
	if err := b.cgroups.Prepare(ctx, uid, like); err != nil {
		return nil, err
	}
	net, err := b.network.Ensure(ctx, uid, like)
	if err != nil {
		return nil, err
	}
	box, err := b.sandbox.Prepare(ctx, pod.Instance{Key: b.key(name)}, uid, like, net)
	if err != nil {
		return nil, err
	}
	p := &barePod{name: name, ip: net.IPs[0], box: box}
	return p, b.run(ctx, p)
}

// run starts the next container of a pod.
func (b *bare) run(ctx context.Context, p *barePod) error {
	uid := b.uid(p.name)
	id := pod.ContainerID(uid, "app", p.attempt)
	spec, err := b.spec(p.name, uid, id)
	if err != nil {
		return err
	}
	message := filepath.Join(p.box.FilesDir, "app.0.message")
	if err := os.WriteFile(message, nil, 0o666); err != nil {
		return err
	}
	log := filepath.Join(b.dir, "logs", p.name, "app", id[:8]+".log")
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		return err
	}
	made := b.like.container
	p.container, err = b.client.NewContainer(ctx, id,
		containerd.WithImage(b.image), containerd.WithSnapshotter(made.Snapshotter), containerd.WithNewSnapshot(id, b.image),
		containerd.WithSpec(spec), containerd.WithRuntime(made.Runtime.Name, made.Runtime.Options))
	if err != nil {
		return err
	}
	logger := &url.URL{Scheme: "binary", Path: filepath.Join(b.h.Bin, "podstead-logger"), RawQuery: url.Values{
		"--path": {log}, "--max-size": {"10485760"}, "--max-files": {"5"}, "--status": {filepath.Join(p.box.FilesDir, "app.logger")},
	}.Encode()}
	if p.task, err = p.container.NewTask(ctx, cio.LogURI(logger)); err != nil {
		return err
	}
	// The wait outlives the call.
	if p.exited, err = p.task.Wait(b.t.Context()); err != nil {
		return err
	}
	return p.task.Start(ctx)
}

// spec is podstead's for another pod.
func (b *bare) spec(name string, uid types.UID, id string) (*oci.Spec, error) {
	text := strings.NewReplacer(
		b.like.container.ID, id, string(b.like.pod.UID), string(uid), b.like.name, name,
		filepath.Join(b.h.Dir, "run"), b.dir, b.h.CgroupRoot, b.h.CgroupRoot+"/bare",
	).Replace(string(b.like.container.Spec.GetValue()))
	var spec oci.Spec
	return &spec, json.Unmarshal([]byte(text), &spec)
}

// again waits for the end of a pod's container and starts it anew.
func (b *bare) again(ctx context.Context, p *barePod) error {
	<-p.exited
	if _, err := p.task.Delete(ctx); err != nil {
		return err
	}
	old := p.container
	p.attempt++
	if err := b.run(ctx, p); err != nil {
		return err
	}
	return old.Delete(ctx, containerd.WithSnapshotCleanup)
}

func (b *bare) remove(ctx context.Context, p *barePod) error {
	if err := p.task.Kill(ctx, syscall.SIGKILL); err != nil {
		return err
	}
	<-p.exited
	if _, err := p.task.Delete(ctx); err != nil {
		return err
	}
	uid := b.uid(p.name)
	return errors.Join(
		p.container.Delete(ctx, containerd.WithSnapshotCleanup),
		b.sandbox.Remove(ctx, uid), b.network.Remove(ctx, uid), b.cgroups.Remove(ctx, uid),
		os.RemoveAll(filepath.Join(b.dir, "logs", p.name)),
	)
}

// one starts a pod and crashes it. Ready it is when it answers, which is asked
// again and again.
func (b *bare) one(name string) life {
	b.t.Helper()
	ctx := b.t.Context()
	var l life
	from := record.Now()
	p, err := b.start(ctx, name)
	if err != nil {
		b.t.Fatal(err)
	}
	l.ready = answers(b.t, p.ip).Sub(from)
	l.start = started(b.t, b.h, name, 1).Sub(from)
	done := make(chan error, 1)
	pid := int(p.task.Pid())
	go func() { done <- b.again(ctx, p) }()
	from = kill(b.t, pid)
	if err := <-done; err != nil {
		b.t.Fatal(err)
	}
	l.readyAgain = answers(b.t, p.ip).Sub(from)
	l.again = started(b.t, b.h, name, 2).Sub(from)
	if err := b.remove(ctx, p); err != nil {
		b.t.Fatal(err)
	}
	return l
}

// fill starts many pods, so many at a time, and returns when the last one
// runs.
func (b *bare) fill(names []string, parallel int) time.Duration {
	b.t.Helper()
	pods := make([]*barePod, len(names))
	from := record.Now()
	b.each(names, parallel, func(ctx context.Context, i int) (err error) {
		pods[i], err = b.start(ctx, names[i])
		return err
	})
	took := last(b.t, b.h, names).Sub(from)
	b.each(names, 8, func(ctx context.Context, i int) error { return b.remove(ctx, pods[i]) })
	return took
}

func (b *bare) each(names []string, parallel int, do func(ctx context.Context, i int) error) {
	b.t.Helper()
	g, ctx := errgroup.WithContext(b.t.Context())
	g.SetLimit(parallel)
	for i := range names {
		g.Go(func() error { return do(ctx, i) })
	}
	if err := g.Wait(); err != nil {
		b.t.Fatal(err)
	}
}
