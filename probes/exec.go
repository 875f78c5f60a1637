package probes

import (
	"context"
	"fmt"
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
	argv, err := Command(t.Probe.Exec.Command, t.Spec)
	shown := fmt.Sprintf("%q", argv)
	if len(shown) > maxShown {
		shown = strings.ToValidUTF8(shown[:maxShown], "") + "..."
	}
	ready := trial{what: "exec " + shown, inside: true}
	id := t.Container
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

// Command expands $(NAME) in the command of a probe or a hook by those
// variables of the container whose values stand in its manifest, as Kubernetes
// does; others stay as they are written. The error says that the result would
// be too large for a program to be started with.
func Command(command []string, spec *corev1.Container) ([]string, error) {
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
