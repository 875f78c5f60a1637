package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
)

// shell is an image with a shell and its tools, whose users are those of
// witnesses.
const shell = "example.org/shell:1"

// waitKernel is how long something may take that is a matter of moments.
const waitKernel = 30 * time.Second

// row is a behaviour that Kubernetes' own node tests assert, tried on a host
// that others use at the same time.
type row struct {
	name string
	try  func(t *testing.T, h *harness.Host)
}

// TestPods tries the rows of pods side by side on one host, where afterwards
// nothing may be left of any.
func TestPods(t *testing.T) {
	h := harness.New(t, harness.Options{Config: "restart: {base: 1s, max: 2s, reset: 10m}\n" +
		"logs: {maxSize: 40Ki, maxFiles: 3}\npidsLimit: 200\n"})
	h.AddWitnessImage(image)
	addShell(t, h)
	h.Start()
	before := h.Settled()
	t.Run("row", func(t *testing.T) {
		for _, rows := range [][]row{statusRows, volumeRows, securityRows, resourceRows, imageRows, logRows, healthRows, hookRows, linkRows} {
			for _, r := range rows {
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					r.try(t, h.For(t))
				})
			}
		}
	})
	manifests, err := filepath.Glob(filepath.Join(h.Manifests, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifests {
		h.Remove(filepath.Base(m))
	}
	h.NoLeaks(before, time.Minute)
}

// addShell puts the image of the shell into the folder of archives.
func addShell(t *testing.T, h *harness.Host) {
	t.Helper()
	text := func(s string) images.File { return images.File{Mode: 0o644, Content: []byte(s)} }
	img, err := images.FromDebian(t.Context(), images.Options{Files: map[string]images.File{
		"/etc/passwd": text("root:x:0:0:root:/:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n"),
		"/etc/group":  text("root:x:0:\napp:x:1000:\nextra:x:2000:app\n"),
		"/tmp/":       {Mode: 0o1777},
	}}, "busybox-static")
	if err != nil {
		t.Fatal(err)
	}
	h.AddImage(shell, img)
}

// script is the command of a container that runs a script and then sleeps, so
// that one can look at it.
func script(lines ...string) string {
	return once(append(lines, "sleep 1000 & wait")...)
}

// once is the command of a container that runs a script.
func once(lines ...string) string {
	return fmt.Sprintf("[/bin/busybox, sh, -c, %q]", strings.Join(lines, "\n"))
}

// manifest is that of a pod of which the spec is given, indented by two.
func manifest(name, spec string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  terminationGracePeriodSeconds: 1\n%s", name, spec)
}

// simple is a pod of one container, "app", with further lines for the pod and
// for the container.
func simple(name, command, podSpec, containerSpec string) string {
	return manifest(name, block(2, podSpec)+fmt.Sprintf("  containers:\n  - name: app\n    image: %s\n    command: %s\n", shell, command)+block(4, containerSpec))
}

// block indents lines.
func block(indent int, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.Repeat(" ", indent) + strings.TrimSuffix(line, "\n") + "\n")
	}
	return b.String()
}

// ended waits until a pod's work is over.
func ended(h *harness.Host, name string) corev1.Pod {
	return h.WaitPod("default/"+name, time.Minute, func(p corev1.Pod) error {
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			return fmt.Errorf("phase %s: %+v", p.Status.Phase, p.Status.ContainerStatuses)
		}
		return nil
	})
}

// runs writes a manifest and waits until the pod runs.
func runs(h *harness.Host, name, yaml string) corev1.Pod {
	h.Write(name+".yaml", yaml)
	return h.WaitRunning("default/"+name, time.Minute)
}

// waiting waits until a pod's only container waits for a reason, and returns
// what the pod says then.
func waiting(h *harness.Host, name, reason, words string) corev1.Pod {
	return h.WaitPod("default/"+name, patience, func(p corev1.Pod) error {
		for _, c := range p.Status.ContainerStatuses {
			if w := c.State.Waiting; w != nil && w.Reason == reason && strings.Contains(w.Message, words) {
				return nil
			}
		}
		return fmt.Errorf("%+v, want a container that waits: %s, %q", p.Status.ContainerStatuses, reason, words)
	})
}

// says waits for lines in the log of a pod's container "app", in any order.
func says(t *testing.T, h *harness.Host, name string, lines ...string) {
	t.Helper()
	h.Eventually(30*time.Second, func() error {
		out, err := h.CLI("logs", name, "-c", "app")
		if err != nil {
			return err
		}
		for _, line := range lines {
			if !strings.Contains("\n"+out, "\n"+line+"\n") {
				return fmt.Errorf("no line %q in:\n%s", line, out)
			}
		}
		return nil
	})
}

// lineOf waits for a line in the log of "app" and returns what its first
// group matched.
func lineOf(t *testing.T, h *harness.Host, name, pattern string) string {
	t.Helper()
	re, found := regexp.MustCompile("(?m)^"+pattern+"$"), ""
	h.Eventually(30*time.Second, func() error {
		out, err := h.CLI("logs", name, "-c", "app")
		if err != nil {
			return err
		}
		m := re.FindStringSubmatch(out)
		if m == nil {
			return fmt.Errorf("no line %q in:\n%s", pattern, out)
		}
		found = m[len(m)-1]
		return nil
	})
	return found
}

// folder makes a folder of the host for one test.
func folder(t *testing.T, h *harness.Host, name string) string {
	t.Helper()
	dir := filepath.Join(h.Data, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
