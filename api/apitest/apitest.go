// Package apitest has stand-ins for what package api needs of a daemon, for
// tests.
package apitest

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// Daemon answers for an agent and a runtime. Its zero value has no snapshot.
type Daemon struct {
	mu        sync.Mutex
	latest    *pod.Snapshot
	changed   chan struct{}
	restarted []string
	// CPU is what Usage answers, in nanoseconds, and how much it grows with
	// each call.
	cpu uint64
	// OnExec runs a command in place of a container; nil prints the command
	// and ends with 0.
	OnExec func(ctx context.Context, id string, r api.ExecRequest) (int, error)
	// OnDial connects to a pod; nil refuses.
	OnDial func(ctx context.Context, v pod.View, port uint16) (net.Conn, error)
	// Probed are the reports of probes by the id of the container.
	Probed map[string][]pod.ProbeReport
	// Images are those stored.
	Images []pod.StoredImage
	// OnLogs writes a log; nil prints the request.
	OnLogs func(ctx context.Context, r api.LogRequest, w io.Writer) error
	// OnRollout carries out a command; nil says what was asked.
	OnRollout func(w pod.ObjectKey, c pod.RolloutCommand) (string, error)
	// OnDiff compares manifests; nil finds every object new.
	OnDiff func(objects []pod.Object) ([]pod.Change, error)
}

// Publish makes s the newest snapshot, with the next version.
func (d *Daemon) Publish(s pod.Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.latest != nil {
		s.Version = d.latest.Version + 1
	}
	d.latest = &s
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
}

// Latest returns what was published last.
func (d *Daemon) Latest() *pod.Snapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.latest
}

// Changed is closed by the next Publish.
func (d *Daemon) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changed == nil {
		d.changed = make(chan struct{})
	}
	return d.changed
}

// Restart notes the order; a container named "stuck" can't be restarted.
func (d *Daemon) Restart(_ context.Context, key pod.Key, container string) error {
	if container == "stuck" {
		return fmt.Errorf("container %s does not end", container)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.restarted = append(d.restarted, key.String()+"/"+container)
	return nil
}

// StoredImages returns Images.
func (d *Daemon) StoredImages(context.Context) ([]pod.StoredImage, error) { return d.Images, nil }

// Restarted returns the orders so far, as namespace/name/container.
func (d *Daemon) Restarted() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.restarted...)
}

// Exec calls OnExec.
func (d *Daemon) Exec(ctx context.Context, id string, r api.ExecRequest) (int, error) {
	if d.OnExec != nil {
		return d.OnExec(ctx, id, r)
	}
	_, err := fmt.Fprintln(r.Stdout, strings.Join(r.Command, " "))
	return 0, err
}

// Dial calls OnDial.
func (d *Daemon) Dial(ctx context.Context, v pod.View, port uint16) (net.Conn, error) {
	if d.OnDial != nil {
		return d.OnDial(ctx, v, port)
	}
	return nil, fmt.Errorf("connect to port %d: %w", port, syscall.ECONNREFUSED)
}

// NodeUsage grows by 100 ms of CPU with each call; memory is always 2 GiB.
func (d *Daemon) NodeUsage() (cpuNanos, workingSet uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cpu += 100e6
	return d.cpu, 2 << 30, nil
}

// Reports returns Probed of the container.
func (d *Daemon) Reports(container string) []pod.ProbeReport { return d.Probed[container] }

// Usage grows by 100 ms of CPU with each call; memory is always 64 MiB. A
// path that ends in "gone" can't be read.
func (d *Daemon) Usage(_ context.Context, path string) (cpuNanos, workingSet uint64, err error) {
	if strings.HasSuffix(path, "gone") {
		return 0, 0, fmt.Errorf("no cgroup %s", path)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cpu += 100e6
	return d.cpu, 64 << 20, nil
}

// Read calls OnLogs.
func (d *Daemon) Read(ctx context.Context, r api.LogRequest, w io.Writer) error {
	if d.OnLogs != nil {
		return d.OnLogs(ctx, r, w)
	}
	tail := int64(-1)
	if r.TailLines != nil {
		tail = *r.TailLines
	}
	_, err := fmt.Fprintf(w, "dir=%s attempt=%d previous=%t follow=%t tail=%d timestamps=%t since=%t limit=%d\n",
		r.Dir, r.Attempt, r.Previous, r.Follow, tail, r.Timestamps, !r.Since.IsZero(), r.LimitBytes)
	return err
}

// Rollout calls OnRollout.
func (d *Daemon) Rollout(_ context.Context, w pod.ObjectKey, c pod.RolloutCommand) (string, error) {
	if d.OnRollout != nil {
		return d.OnRollout(w, c)
	}
	return fmt.Sprintf("%s: %s replicas=%d revision=%d", w, c.Verb, c.Replicas, c.Revision), nil
}

// Diff calls OnDiff.
func (d *Daemon) Diff(_ context.Context, objects []pod.Object) ([]pod.Change, error) {
	if d.OnDiff != nil {
		return d.OnDiff(objects)
	}
	var changes []pod.Change
	for i := range objects {
		changes = append(changes, pod.Change{ObjectKey: objects[i].ObjectKey, Verb: "created", After: &objects[i]})
	}
	return changes, nil
}

// Config serves d at a socket.
func (d *Daemon) Config(socket string) api.Config {
	return api.Config{
		Socket:    socket,
		Version:   api.Version{Version: "v0.0.0-test", Commit: "0123456", Go: "go", Platform: "linux/amd64"},
		NodeInfo:  corev1.NodeSystemInfo{KernelVersion: "6.1.0", OSImage: "Debian GNU/Linux 12", OperatingSystem: "linux", Architecture: "amd64"},
		Snapshots: d, Control: d, Executor: d, PortForwarder: d, Stats: d, NodeStats: d, Logs: d, Probes: d,
	}
}
