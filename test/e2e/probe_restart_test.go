package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
)

// probed is asked by HTTP for its readiness at "/healthz", where it counts,
// and by a command, for which containerd is needed, for its liveness.
const probed = `ports: [{name: web, containerPort: 8080}]
startupProbe: {httpGet: {path: /asked, port: web}, periodSeconds: 1, failureThreshold: 60}
readinessProbe: {httpGet: {path: /healthz, port: web}, periodSeconds: 2, timeoutSeconds: 2}
livenessProbe: {exec: {command: [/responder, -scan, 127.0.0.1, -scan-also, '80']}, periodSeconds: 1, failureThreshold: 2}
`

// TestRow14_ProbesOutliveDaemons: what probes found stays through restarts,
// they come back without a burst, and nobody is judged whom nobody can ask.
func TestRow14_ProbesOutliveDaemons(t *testing.T) {
	h := harness.New(t, harness.Options{})
	addResponder(t, h)
	h.Start()
	first := runs(h, "probed", answering("probed", probed))
	writtenDown(h, first)
	for _, end := range []func(){h.Kill9, h.Stop} {
		end()
		h.StartWithoutWaiting()
		neverFlips(t, h, first)
		h.WaitReady(waitKernel)
		time.Sleep(3 * time.Second) // in which a first result would have flipped it
		neverFlips(t, h, first)
	}
	noBurst(t, placeOf(t, h, first))

	h.SignalContainerd(syscall.SIGSTOP)
	for begun := time.Now(); time.Since(begun) < 7*time.Second; time.Sleep(100 * time.Millisecond) {
		neverFlips(t, h, first)
	}
	h.SignalContainerd(syscall.SIGCONT)
	h.WaitReady(waitKernel)
	h.SignalContainerd(syscall.SIGKILL)
	h.WaitReady(waitKernel)
	time.Sleep(4 * time.Second) // in which liveness would have ended it
	neverFlips(t, h, first)
	if out, err := h.CLI("describe", "pod", "probed"); err != nil || strings.Contains(out, "Unhealthy") {
		t.Errorf("an attempt was counted as failed: %v\n%s", err, out)
	}
	h.Remove("probed.yaml")
	h.WaitGone("default/probed", time.Minute)
}

// writtenDown waits until what the probes found is on disk, which is a moment
// after it is shown.
func writtenDown(h *harness.Host, p corev1.Pod) {
	id := strings.TrimPrefix(containerID(p), "containerd://")
	h.Eventually(waitKernel, func() error {
		text, err := os.ReadFile(filepath.Join(h.Dir, "run/verdicts"))
		if n := strings.Count(string(text), id); err == nil && n < 3 {
			err = fmt.Errorf("%d verdicts of three probes are written", n)
		}
		return err
	})
}

// neverFlips looks at the pod until it was seen a few times: it is as it was.
func neverFlips(t *testing.T, h *harness.Host, first corev1.Pod) {
	t.Helper()
	seen := 0
	h.Eventually(patience, func() error {
		p, err := h.Pod("default/" + first.Name)
		if err != nil {
			return err
		}
		if p.Status.Phase == corev1.PodUnknown && len(p.Status.ContainerStatuses) == 0 {
			return fmt.Errorf("containerd was not asked yet")
		}
		seen++
		c := p.Status.ContainerStatuses[0]
		if !c.Ready || c.Started == nil || !*c.Started || c.RestartCount != 0 || containerID(p) != containerID(first) {
			t.Fatalf("look %d: %+v, want it ready, started and never restarted", seen, c)
		}
		if seen < 5 {
			return fmt.Errorf("%d looks of 5", seen)
		}
		return nil
	})
}

// noBurst asks the server when it was probed: once before and once after a
// restart may come close together.
func noBurst(t *testing.T, p place) {
	t.Helper()
	asked := askedTimes(t, p)
	if len(asked) < 4 {
		t.Errorf("it was probed %d times, want at least 4", len(asked))
	}
	for i := range asked[2:] {
		if took := asked[i+2] - asked[i]; took < 1000 {
			t.Errorf("three probes in %d ms: %d", took, asked[i:i+3])
			return
		}
	}
}

// askedTimes is when a pod's /healthz was asked, in milliseconds.
func askedTimes(t *testing.T, p place) []int {
	t.Helper()
	resp, err := http.Get("http://" + at(p.v4, 8080) + "/asked")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var asked []int
	for in := bufio.NewScanner(resp.Body); in.Scan(); {
		ms, err := strconv.Atoi(in.Text())
		if err != nil {
			t.Fatal(err)
		}
		asked = append(asked, ms)
	}
	return asked
}
