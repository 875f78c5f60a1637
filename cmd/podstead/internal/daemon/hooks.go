package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/probes"
	"github.com/podstead/podstead/runtime"
)

// commands runs the commands of probes and hooks in containers.
type commands struct{ runtime *runtime.Runtime }

func (c commands) run(ctx context.Context, container string, argv []string, output io.Writer) (exitCode int, err error) {
	return c.runtime.Exec(ctx, container, runtime.ExecRequest{Command: argv, Stdout: output, Stderr: output})
}

// probe is run for probes: what is not the command's own fault does not count.
func (c commands) probe(ctx context.Context, container string, argv []string, output io.Writer) (exitCode int, err error) {
	exitCode, err = c.run(ctx, container, argv, output)
	if err != nil && ctx.Err() == nil && !errors.Is(err, runtime.ErrNotStarted) && !errors.Is(err, pod.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", pod.ErrUnavailable, err)
	}
	return exitCode, err
}

// hooks runs lifecycle hooks. Sleep is not among them: it needs nobody.
type hooks struct{ commands commands }

func (h hooks) Run(ctx context.Context, container string, spec *corev1.Container, handler *corev1.LifecycleHandler, host string) (err error) {
	switch {
	case handler.Exec != nil:
		_, err = probes.Command(ctx, h.commands.run, container, handler.Exec, spec)
	case handler.HTTPGet != nil:
		_, err = probes.HTTPGet(ctx, handler.HTTPGet, spec, host)
	default:
		err = fmt.Errorf("the hook of container %s has no handler that is known", spec.Name)
	}
	return err
}
