package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
)

// processHasPort: the port is one of a process of the host that is no pod's,
// and then of none.
func processHasPort(t *testing.T, h *harness.Host, outside string) {
	const port = 18110
	program, err := images.GoBinary(t.Context(), responderPackage)
	if err != nil {
		t.Fatal(err)
	}
	holder := exec.CommandContext(t.Context(), program, "-name", "holder", "-answer", fmt.Sprintf(":%d", port))
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	reached(h, theHost, "tcp", at("127.0.0.1", port), "holder")
	h.Write("held.yaml", answering("held", hostPorts(port, "")))
	pending(h, "default/held", fmt.Sprintf("host port %d", port), fmt.Sprintf("process responder (pid %d)", holder.Process.Pid))
	reached(h, outside, "tcp", at(host4, port), "holder")
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	freed := time.Now()
	p := h.WaitRunning("default/held", waitKernel)
	t.Logf("it runs %s after the port was free", time.Since(freed).Round(time.Millisecond))
	placeOf(t, h, p)
	reached(h, outside, "tcp", at(host4, port), "held")
}

// editToTakenPort: the version before goes on at its port, until the port of
// the new one is free.
func editToTakenPort(t *testing.T, h *harness.Host, outside string) {
	const first, taken = 18111, 18112
	before := runs(h, "edited", answering("edited", hostPorts(first, "")))
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", taken))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h.Write("edited.yaml", answering("edited", hostPorts(taken, "")))
	h.Eventually(waitKernel, func() error {
		out, err := h.CLI("describe", "pod", "edited")
		if want := fmt.Sprintf("(pid %d)", os.Getpid()); err == nil && !(strings.Contains(out, want) && strings.Contains(out, fmt.Sprint(taken))) {
			err = fmt.Errorf("no word of port %d and %q in:\n%s", taken, want, out)
		}
		return err
	})
	time.Sleep(2 * time.Second) // in which a rollout would have begun
	if now := h.WaitRunning("default/edited", waitKernel); containerID(now) != containerID(before) {
		t.Errorf("container %s runs in the place of %s", containerID(now), containerID(before))
	}
	reached(h, outside, "tcp", at(host4, first), "edited")
	l.Close()
	reached(h, outside, "tcp", at(host4, taken), "edited")
	unheard(t, outside, "tcp", at(host4, first))
}

func renamedKeepsPort(t *testing.T, h *harness.Host, outside string) {
	const port = 18113
	yaml := answering("renamed", hostPorts(port, ""))
	runs(h, "renamed", yaml)
	reached(h, outside, "tcp", at(host4, port), "renamed")
	h.Write("renamed.yaml", strings.Replace(yaml, "- name: app", "- name: other", 1))
	p := h.WaitPod("default/renamed", time.Minute, func(p corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].Name != "other" || !c[0].Ready {
			return fmt.Errorf("%+v, want one container, other, that is ready", c)
		}
		return nil
	})
	placeOf(t, h, p)
	reached(h, outside, "tcp", at(host4, port), "renamed")
}

func namespaceTakesPort(t *testing.T, h *harness.Host, outside string) {
	const port = 18114
	yaml := answering("moved", hostPorts(port, ""))
	runs(h, "moved", yaml)
	reached(h, outside, "tcp", at(host4, port), "moved")
	h.Write("moved.yaml", strings.NewReplacer("{name: moved}", "{name: moved, namespace: elsewhere}", "-name, moved", "-name, moved-2").Replace(yaml))
	placeOf(t, h, h.WaitRunning("elsewhere/moved", time.Minute))
	h.WaitGone("default/moved", time.Minute)
	reached(h, outside, "tcp", at(host4, port), "moved-2")
}

// deletionFrees looks at what is left of one pod among others.
func deletionFrees(t *testing.T, h *harness.Host, outside string) {
	const port = 18115
	p := placed(t, h, "deleted", answering("deleted", hostPorts(port, "")))
	reached(h, outside, "tcp", at(host4, port), "deleted")
	traces := func() (found []string) {
		for what, out := range map[string]string{"rules": nft(t, "list ruleset"), "routes": command(t, "ip", "route", "show", "table", "all"), "links": command(t, "ip", "-6", "route", "show", "table", "all")} {
			for _, trace := range []string{p.v4, p.v6, fmt.Sprint(port)} {
				for line := range strings.Lines(out) {
					if strings.Contains(line+" ", trace+" ") || strings.Contains(line, trace+",") {
						found = append(found, what+": "+strings.TrimSpace(line))
					}
				}
			}
		}
		return found
	}
	if found := traces(); len(found) < 3 {
		t.Fatalf("the pod has traces %q only", found)
	}
	h.Remove("deleted.yaml")
	h.WaitGone("default/deleted", time.Minute)
	h.Eventually(waitKernel, func() error {
		if found := traces(); len(found) > 0 {
			return fmt.Errorf("left: %q", found)
		}
		_, err := os.Stat(p.netns)
		if err == nil {
			return fmt.Errorf("left: namespace %s", filepath.Base(p.netns))
		}
		return nil
	})
	unheard(t, outside, "tcp", at(host4, port))
}

// command returns what a program prints.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return string(out)
}
