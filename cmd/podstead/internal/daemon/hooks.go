package daemon

import (
	"context"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/probes"
	"github.com/podstead/podstead/runtime"
)

// commands runs the commands of probes and hooks in containers.
type commands struct{ runtime *runtime.Runtime }

func (c commands) run(ctx context.Context, container string, argv []string, output io.Writer) (exitCode int, err error) {
	return c.runtime.Exec(ctx, container, runtime.ExecRequest{Command: argv, Stdout: output, Stderr: output})
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
