package agent_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

// fake is everything below the agent, in memory. It tells the laws of the
// real thing: names are unique, only the exited are reaped, what is down
// answers nothing.
type fake struct {
	mu         sync.Mutex
	containers map[string]pod.Container
	sandboxes  map[types.UID]pod.Sandbox
	// images are those of the registry, present those that are here before
	// anybody pulls them.
	images, present map[string]bool
	// vanished images were removed by somebody; a pull brings them back.
	vanished map[string]bool
	pulls    map[string]int
	// silent images are never delivered, nor refused.
	silent map[string]bool
	down   bool
	// frozen: it takes questions and does not answer.
	frozen bool
	usage  int64
	// hanging is the pod whose volumes can't be measured in time.
	hanging types.UID
	history map[string]int
	calls   []string
	changed func(string)
	// delay is how long every operation takes.
	delay time.Duration
	// busy and most count operations at the same time.
	busy, most int
	refuse     error
	leftovers  []types.UID
	logs       map[types.UID]pod.Key
	stubborn   bool
	// brief containers have ended, and that was told, before their start
	// returns.
	brief bool
	// removable is how many containers can be removed; negative: all.
	removable int
	// full is why the history can't be saved.
	full error
	// taken: controllers were taken from the cgroups; broken is why they can't
	// be given back.
	taken  bool
	broken error
	// stuck is why volumes can't be removed.
	stuck error

	// targets are the probes to be made, verdicts what was saved of them.
	targets  []pod.ProbeTarget
	verdicts []pod.ProbeVerdict
	// hook is what hooks do; they succeed at once if it is nil.
	hook func(context.Context) error
	// wired is what the network was set to; unset is why it can't be.
	wired pod.NetworkConfig
	unset error
	// zone is what names are served, recorded what is kept of Services; nil if
	// nothing is.
	zone     pod.Zone
	recorded *agent.ServiceRecord
	// listeners hold ports of the host.
	listeners []pod.Listener
	// asking is how long it takes to tell who they are.
	asking time.Duration
	disk   fakeDisk
	// big images need so much room.
	big map[string]int64
	// crashing images end a second after they were started.
	crashing map[string]bool
	// records are what is stored of workloads, as text; lost is why they can't
	// be read, unstored why they can't be written.
	records  map[pod.ObjectKey]string
	lost     error
	unstored error
}

func newFake() *fake {
	return &fake{
		removable:  -1,
		containers: map[string]pod.Container{}, sandboxes: map[types.UID]pod.Sandbox{},
		images: map[string]bool{"app:1": true, "app:2": true}, present: map[string]bool{}, pulls: map[string]int{}, history: map[string]int{},
	}
}

// boot is an hour before the time at which synctest begins.
var boot = time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC)

func now() pod.Stamp {
	return pod.Stamp{Moment: pod.Moment(time.Since(boot)), Wall: time.Now()}
}

// resting returns now, and panics when it is asked so often at one moment that
// the loop can't be at rest: it would keep a processor busy, and a bubble would
// never end.
func resting() func() pod.Stamp {
	var mu sync.Mutex
	var last pod.Stamp
	asked := 0
	return func() pod.Stamp {
		mu.Lock()
		defer mu.Unlock()
		at := now()
		if asked++; at.Moment != last.Moment {
			last, asked = at, 0
		}
		if asked > 100_000 {
			panic("the agent does not come to rest")
		}
		return at
	}
}

// do runs f as one operation.
func (f *fake) do(ctx context.Context, call string, work func() error) error {
	f.mu.Lock()
	f.calls = append(f.calls, call)
	f.busy++
	f.most = max(f.most, f.busy)
	delay := f.delay
	f.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy--
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.down {
		return fmt.Errorf("%s: %w", call, pod.ErrUnavailable)
	}
	return work()
}

func (f *fake) List(ctx context.Context) (list []pod.Container, err error) {
	if err := f.Ping(ctx); err != nil {
		return nil, err
	}
	err = f.do(ctx, "list", func() error {
		for _, c := range f.containers {
			list = append(list, c)
		}
		return nil
	})
	return list, err
}

// Ping is answered while the runtime is not frozen.
func (f *fake) Ping(ctx context.Context) error {
	var frozen bool
	f.set(func(f *fake) { frozen = f.frozen })
	if frozen {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// Observe answers what was there when it was asked.
func (f *fake) Observe(ctx context.Context, id string) (c pod.Container, ok bool, err error) {
	f.set(func(f *fake) { c, ok = f.containers[id] })
	err = f.do(ctx, "observe", nothing)
	return c, ok, err
}

func (f *fake) Start(ctx context.Context, r pod.StartRequest) (c pod.Container, err error) {
	err = f.do(ctx, "start "+r.Name, func() error {
		if f.refuse != nil {
			return f.refuse
		}
		if f.vanished[r.Image.Ref] {
			return fmt.Errorf("read it: %w", pod.ErrImageGone)
		}
		if old, ok := f.containers[r.ID]; ok {
			c = old
			return nil
		}
		c = pod.Container{
			ID: r.ID, Instance: r.Instance, UID: r.UID, Name: r.Name, Role: r.Role, Attempt: r.Attempt,
			Failures: r.Failures, Sandbox: r.Sandbox.ID, Pod: r.Pod, Origin: r.Origin, Image: r.Image,
			State: pod.StateRunning, PID: 100 + len(f.calls), Created: now(), Started: now(), CgroupPath: r.CgroupPath,
			LogPath: fmt.Sprintf("/logs/%s/%d.log", r.Name, r.Attempt),
		}
		f.containers[r.ID] = c
		if f.crashing[r.Image.Ref] {
			time.AfterFunc(time.Second, func() { f.set(func(f *fake) { f.end(r.ID, 3) }) })
		}
		if f.brief {
			changed := f.changed
			f.changed = nil
			f.end(r.ID, 0)
			f.changed = changed
			changed(r.ID)
		}
		return nil
	})
	return c, err
}

func (f *fake) Stop(ctx context.Context, id string, s pod.Stopping) error {
	return f.do(ctx, "stop", func() error {
		c, ok := f.containers[id]
		if ok {
			c.Stopping = &s
			f.containers[id] = c
			if !f.stubborn && !s.Signalled.IsZero() {
				f.end(id, 143)
			}
		}
		return nil
	})
}

func (f *fake) Kill(ctx context.Context, id string) error {
	return f.do(ctx, "kill", func() error { f.end(id, 137); return nil })
}

// end ends a process and tells so, as containerd's events do.
func (f *fake) end(id string, code int) {
	c, ok := f.containers[id]
	if !ok || c.State != pod.StateRunning {
		return
	}
	c.State, c.PID = pod.StateExited, 0
	c.Exit = &pod.Exit{Code: code, Reason: pod.ExitError, LogTail: []string{"no database"}, At: now()}
	f.containers[id] = c
	if f.changed != nil {
		go f.changed(id)
	}
}

func (f *fake) Reap(ctx context.Context, id string) (c pod.Container, err error) {
	err = f.do(ctx, "reap", func() error {
		c = f.containers[id]
		if c.State != pod.StateExited && c.State != pod.StateDead {
			return fmt.Errorf("container is %s", c.State)
		}
		c.State = pod.StateDead
		f.containers[id] = c
		return nil
	})
	return c, err
}

func (f *fake) Remove(ctx context.Context, id string) error {
	return f.do(ctx, "remove", func() error {
		if f.removable == 0 {
			return fmt.Errorf("remove container %q: disk is busy", id)
		}
		f.removable--
		delete(f.containers, id)
		return nil
	})
}

func (f *fake) Resize(ctx context.Context, id string, _ *specs.LinuxResources) error {
	return f.do(ctx, "resize", func() error { return nil })
}

func (f *fake) Record(ctx context.Context, id string, p *corev1.Pod, o pod.Origin) error {
	return f.do(ctx, "record", func() error {
		c := f.containers[id]
		c.Pod, c.Origin = p, o
		f.containers[id] = c
		return nil
	})
}

func (f *fake) Watch(ctx context.Context, changed func(string)) error {
	f.mu.Lock()
	f.changed = changed
	f.mu.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

func (f *fake) Lookup(ctx context.Context, ref string) (img pod.Image, ok bool, err error) {
	img = imageOf(ref)
	err = f.do(ctx, "lookup", func() error {
		ok = f.present[img.Ref]
		return nil
	})
	return img, ok, err
}

// imageOf is the only image that a name ever means.
func imageOf(ref string) pod.Image {
	tag, _, _ := strings.Cut(ref, "@")
	return pod.Image{Ref: tag, Digest: digestOf(tag)}
}

// digestOf is the digest of an image in the fake; they sort as the names do.
func digestOf(name string) string {
	digits := fmt.Sprintf("%x", name)
	return "sha256:" + digits + strings.Repeat("0", 64-len(digits))
}

func (f *fake) Pull(ctx context.Context, ref string, _ func(pod.ImageProgress)) (img pod.Image, err error) {
	img = imageOf(ref)
	ref = img.Ref
	if f.silent[ref] {
		<-ctx.Done()
		return img, context.Cause(ctx)
	}
	err = f.do(ctx, "pull "+ref, func() error {
		f.pulls[ref]++
		if need := f.big[ref]; f.disk.size-f.disk.used < need {
			return &pod.NoRoom{Image: ref, Need: need, Available: f.disk.size - f.disk.used}
		}
		if !f.images[ref] {
			return fmt.Errorf("pull %q: not found", ref)
		}
		f.present[ref] = true
		delete(f.vanished, ref)
		return nil
	})
	return img, err
}

// sandboxes, network, volumes, cgroups, logs and history of the fake.
type (
	fakeSandboxes struct{ *fake }
	fakeNetwork   struct{ *fake }
	fakeVolumes   struct{ *fake }
	fakeCgroups   struct{ *fake }
	fakeLogs      struct{ *fake }
	fakeHistory   struct{ *fake }
)

func (f fakeSandboxes) Prepare(ctx context.Context, i pod.Instance, uid types.UID, _ *corev1.Pod, net pod.Attachment) (s pod.Sandbox, err error) {
	err = f.do(ctx, "sandbox", func() error {
		s = pod.Sandbox{Instance: i, UID: uid, ID: "s" + string(uid), Ready: true, NetNS: net.NetNS, IPs: net.IPs}
		f.sandboxes[uid] = s
		return nil
	})
	return s, err
}

func (f fakeSandboxes) List(context.Context) ([]pod.Sandbox, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []pod.Sandbox
	for _, s := range f.sandboxes {
		list = append(list, s)
	}
	return list, nil
}

func (f fakeSandboxes) Remove(ctx context.Context, uid types.UID) error {
	return f.do(ctx, "remove sandbox", func() error { delete(f.sandboxes, uid); return nil })
}

func (f fakeNetwork) Ensure(context.Context, types.UID, *corev1.Pod) (pod.Attachment, error) {
	return pod.Attachment{NetNS: "/net", IPs: []string{"10.0.0.1"}}, nil
}
func (f fakeNetwork) Remove(context.Context, types.UID) error               { return nil }
func (f fakeVolumes) Prepare(context.Context, types.UID, *corev1.Pod) error { return nil }
func (f fakeVolumes) Mounts(context.Context, types.UID, *corev1.Pod, string) ([]pod.Mount, error) {
	return nil, nil
}
func (f fakeVolumes) Usage(ctx context.Context, uid types.UID) (map[string]int64, error) {
	f.mu.Lock()
	hangs := f.hanging == uid
	f.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, fmt.Errorf("measure volume \"cache\": %w", ctx.Err())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return map[string]int64{"cache": f.usage}, nil
}
func (f fakeVolumes) List(context.Context) ([]types.UID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leftovers, nil
}
func (f fakeNetwork) List(context.Context) ([]types.UID, error) { return nil, nil }
func (f fakeCgroups) List(context.Context) ([]types.UID, error) { return nil, nil }
func (f fakeVolumes) Remove(context.Context, types.UID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stuck
}
func (f fakeCgroups) Path(uid types.UID, _ *corev1.Pod) string              { return "/p/" + string(uid) }
func (f fakeCgroups) Prepare(context.Context, types.UID, *corev1.Pod) error { return nil }
func (f fakeCgroups) Grow(ctx context.Context, _ types.UID, _ *corev1.Pod) error {
	return f.do(ctx, "grow", nothing)
}
func (f fakeCgroups) Shrink(ctx context.Context, _ types.UID, _ *corev1.Pod) error {
	return f.do(ctx, "shrink", nothing)
}
func (f fakeCgroups) Check(context.Context) (restored bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return false, f.broken
	}
	restored, f.taken = f.taken, false
	return restored, nil
}
func (f fakeCgroups) Remove(context.Context, types.UID) error { return nil }
func (f fakeCgroups) MemoryUsage(context.Context, string) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.usage, nil
}
func (f fakeCgroups) Container(*corev1.Pod, *corev1.Container) (*specs.LinuxResources, int) {
	return &specs.LinuxResources{}, 0
}
func (f fakeLogs) Prune(ctx context.Context, path string) error {
	return f.do(ctx, "prune "+path, nothing)
}
func (f *fake) Forget(context.Context, types.UID) error { return nil }
func (f fakeLogs) List(context.Context) (map[types.UID]pod.Key, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logs, nil
}
func (f fakeLogs) Remove(context.Context, pod.Instance, types.UID) error { return nil }
func (f fakeHistory) Load() (map[string]int, error)                      { return f.history, nil }
func (f fakeHistory) Save(h map[string]int, _ int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full == nil {
		f.history = h
	}
	return f.full
}

func nothing() error { return nil }

// kill ends the running container of that name.
func (f *fake) kill(name string, code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, c := range f.containers {
		if c.Name == name && c.State == pod.StateRunning {
			f.end(id, code)
		}
	}
}

// running lists the running containers as "pod/container#instance.attempt".
func (f *fake) running() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, c := range f.containers {
		if c.State == pod.StateRunning {
			out = append(out, fmt.Sprintf("%s/%s#%d.%d", c.Instance.Name, c.Name, c.Instance.Number, c.Attempt))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (f *fake) set(change func(*fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fake) count(prefix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}
