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
	var got []string
	run := func(_ context.Context, _ string, argv []string, _ io.Writer) (int, error) { got = argv; return 0, nil }
	command := &corev1.ExecAction{Command: []string{"x$(B)", "$$(A)", "$(F)", "$(none)", "`id`"}}
	if _, err := probes.Command(t.Context(), run, "a", command, spec); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"x12", "$(A)", "$(F)", "$(none)", "`id`"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A hook has failed when its command ends with anything but 0, and the error
// says what it printed.
func TestCommandThatFailsSaysWhatItPrinted(t *testing.T) {
	run := func(_ context.Context, _ string, _ []string, output io.Writer) (int, error) {
		_, err := io.WriteString(output, "no luck\n")
		return 3, err
	}
	_, err := probes.Command(t.Context(), run, "a", &corev1.ExecAction{Command: []string{"warm"}}, &corev1.Container{})
	if want := `exec ["warm"]: exit code 3, want 0: "no luck"`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestCommandThatGrowsIsRefused(t *testing.T) {
	spec := &corev1.Container{Env: []corev1.EnvVar{{Name: "V0", Value: "x"}}}
	for i := 1; i < 60; i++ {
		spec.Env = append(spec.Env, corev1.EnvVar{Name: fmt.Sprintf("V%d", i), Value: strings.Repeat(fmt.Sprintf("$(V%d)", i-1), 2)})
	}
	run := func(context.Context, string, []string, io.Writer) (int, error) {
		t.Error("192 KiB were taken for a command")
		return 0, nil
	}
	command := &corev1.ExecAction{Command: []string{"$(V16)", "$(V16)", "$(V16)"}}
	if _, err := probes.Command(t.Context(), run, "a", command, spec); err == nil || !strings.Contains(err.Error(), "larger than 131072 bytes") {
		t.Errorf("error %v, want one that names the bound", err)
	}
}
