package daemon

import (
	"context"
	"io"
	"time"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/cgroups"
	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime"
	"github.com/podstead/podstead/runtime/logs"
)

// executor lets the API run commands through containerd.
type executor struct{ runtime *runtime.Runtime }

// Exec carries the sizes of the terminal over, since the rooms don't know
// each other's types.
func (e executor) Exec(ctx context.Context, id string, r api.ExecRequest) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sizes := make(chan runtime.Size)
	go func() {
		defer close(sizes)
		for size := range r.Resize {
			select {
			case sizes <- runtime.Size(size):
			case <-ctx.Done():
				return
			}
		}
	}()
	return e.runtime.Exec(ctx, id, runtime.ExecRequest{
		Command: r.Command, TTY: r.TTY, Stdin: r.Stdin, Stdout: r.Stdout, Stderr: r.Stderr, Resize: sizes,
	})
}

// importTime is how long a pull waits for the archives that were there at the
// start: an image that is about to be imported is not asked for elsewhere.
const importTime = 10 * time.Second

// images are those of containerd, after the archives were imported.
type images struct {
	*runtime.Runtime
	imported <-chan struct{}
}

func (i images) Pull(ctx context.Context, ref string, progress func(pod.ImageProgress)) (pod.Image, error) {
	select {
	case <-i.imported:
		return i.Runtime.Pull(ctx, ref, progress)
	default:
	}
	wait, cancel := context.WithTimeout(ctx, importTime)
	defer cancel()
	select {
	case <-i.imported:
	case <-wait.Done():
	}
	if img, ok, err := i.Lookup(ctx, ref); err == nil && ok {
		return img, nil
	}
	return i.Runtime.Pull(ctx, ref, progress)
}

// logReader lets the API read logs.
type logReader struct{}

func (logReader) Read(ctx context.Context, r api.LogRequest, w io.Writer) error {
	return logs.Read(ctx, w, logs.Options{
		Dir: r.Dir, Attempt: r.Attempt, Previous: r.Previous, Follow: r.Follow, Tail: r.TailLines,
		Since: r.Since, Timestamps: r.Timestamps, Limit: r.LimitBytes, Ended: r.Ended,
	})
}

// stats lets the API read cgroups.
type stats struct{ cgroups *cgroups.Manager }

func (s stats) Usage(ctx context.Context, path string) (cpuNanos, workingSet uint64, err error) {
	u, err := s.cgroups.Usage(ctx, path)
	if u.CPU != nil {
		cpuNanos = uint64(u.CPU.Total.Nanoseconds())
	}
	if u.Memory != nil {
		workingSet = uint64(u.Memory.WorkingSet)
	}
	return cpuNanos, workingSet, err
}
