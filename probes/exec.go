package probes

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

const (
	// maxOutput is how much of a command's output is kept, in bytes.
	maxOutput = 10 << 10
	// maxArgv bounds a command once it is expanded, in bytes; what is larger
	// is refused as a manifest already.
	maxArgv = 128 << 10
	// maxShown is how much of a command is repeated in messages, in bytes.
	maxShown = 128
)

func execTrial(t *pod.ProbeTarget, exec execFunc) trial {
	return commandTrial(t.Container, t.Probe.Exec.Command, t.Spec, exec)
}

// Command runs the command of a hook in a container by exec, which is as in
// Config, until ctx ends, and says in at most 1 KiB what came of it. Any exit
// code but 0 is an error; one that wraps pod.ErrUnavailable says that the
// command could not be run.
func Command(ctx context.Context, exec func(ctx context.Context, containerID string, argv []string, output io.Writer) (exitCode int, err error),
	container string, action *corev1.ExecAction, spec *corev1.Container) (message string, err error) {
	t := commandTrial(container, action.Command, spec, exec)
	message, err = t.try(ctx)
	if err != nil {
		return "", fmt.Errorf("%s: %w", t.what, err)
	}
	return clean(t.what + ": " + message), nil
}

func commandTrial(id string, command []string, spec *corev1.Container, exec execFunc) trial {
	argv, err := expand(command, spec)
	shown := fmt.Sprintf("%q", argv)
	if len(shown) > maxShown {
		shown = strings.ToValidUTF8(shown[:maxShown], "") + "..."
	}
	ready := trial{what: "exec " + shown, inside: true}
	ready.try = func(ctx context.Context) (string, error) {
		if err != nil {
			return "", err
		}
		var out output
		code, err := exec(ctx, id, argv, &out)
		if err != nil {
			return "", err
		}
		if code != 0 {
			return "", fmt.Errorf("exit code %d, want 0%s", code, snippet(out.bytes()))
		}
		return "exit code 0", nil
	}
	return ready
}

// expand replaces $(NAME) in the command of a probe or a hook by those
// variables of the container whose values stand in its manifest, as Kubernetes
// does; others stay as they are written. The error says that the result would
// be too large for a program to be started with.
func expand(command []string, spec *corev1.Container) ([]string, error) {
	vars := map[string]string{}
	lookup := func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	for _, e := range spec.Env {
		if value, fits := pod.Expand(e.Value, lookup, maxArgv); e.ValueFrom == nil && fits {
			vars[e.Name] = value
		}
	}
	argv, size := make([]string, 0, len(command)), 0
	for i, word := range command {
		word, fits := pod.Expand(word, lookup, maxArgv)
		if size += len(word) + 1; !fits || size > maxArgv {
			return nil, fmt.Errorf("the command up to its word %d is larger than %d bytes with $(VAR) expanded", i, maxArgv)
		}
		argv = append(argv, word)
	}
	return argv, nil
}

// output keeps the first bytes of what a command writes and takes all of it.
type output struct {
	mu   sync.Mutex
	kept []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = append(o.kept, p[:min(len(p), maxOutput-len(o.kept))]...)
	return len(p), nil
}

func (o *output) bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.kept
}
