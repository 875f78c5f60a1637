package probes_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/probes"
)

func TestExec(t *testing.T) {
	for name, c := range map[string]struct {
		output string
		code   int
		err    error
		result pod.ProbeOutcome
		says   string
	}{
		"well":      {"fine\n", 0, nil, pod.ProbeSuccess, "exit code 0"},
		"ill":       {"no such \x1b file\n", 3, nil, pod.ProbeFailure, `exit code 3, want 0: "no such \x1b file"`},
		"silent":    {"", 1, nil, pod.ProbeFailure, "exit code 1, want 0"},
		"no file":   {"", 127, errors.New(`run "check": the command can't be started`), pod.ProbeFailure, `run "check": the command can't be started`},
		"escapes":   {"", 0, errors.New("say \x1b[2J\n"), pod.ProbeFailure, `say \x1b[2J\n`},
		"runtime":   {"", 0, fmt.Errorf("dial: %w", pod.ErrUnavailable), pod.ProbeUnknown, "dial: unavailable; the attempt does not count"},
		"long text": {strings.Repeat("é", 1000), 1, nil, pod.ProbeFailure, `exit code 1, want 0: "` + strings.Repeat("é", 128) + `"...`},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, once(t, target("a"), func(_ context.Context, id string, argv []string, output io.Writer) (int, error) {
				if id != "a" || !cmp.Equal(argv, []string{"check"}) {
					t.Errorf("ran %q in %q", argv, id)
				}
				_, _ = io.WriteString(output, c.output)
				return c.code, c.err
			}), c.result, `exec ["check"]: `+c.says)
		})
	}
}

func TestCommandExpandsStaticVariables(t *testing.T) {
	spec := &corev1.Container{Env: []corev1.EnvVar{
		{Name: "A", Value: "1"}, {Name: "B", Value: "$(A)2"},
		{Name: "F", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
	}}
	got, err := probes.Command([]string{"x$(B)", "$$(A)", "$(F)", "$(none)", "`id`"}, spec)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"x12", "$(A)", "$(F)", "$(none)", "`id`"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCommandThatGrowsIsRefused(t *testing.T) {
	spec := &corev1.Container{Env: []corev1.EnvVar{{Name: "V0", Value: "x"}}}
	for i := 1; i < 60; i++ {
		spec.Env = append(spec.Env, corev1.EnvVar{Name: fmt.Sprintf("V%d", i), Value: strings.Repeat(fmt.Sprintf("$(V%d)", i-1), 2)})
	}
	if _, err := probes.Command([]string{"$(V16)", "$(V16)", "$(V16)"}, spec); err == nil {
		t.Error("192 KiB were taken for a command")
	}
}
