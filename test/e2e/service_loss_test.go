package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
)

// TestServicesLoseNothing asks through every kind of address of a Service while
// its pods go and come and podstead and containerd are killed.
func TestServicesLoseNothing(t *testing.T) {
	const nodePort, balanced = 30021, 18221
	outside := harness.Outside(t)
	h := harness.New(t, harness.Options{})
	addResponder(t, h)
	h.Start()
	before := h.Settled()
	serving := func(name, more string) string {
		yaml := labelled(answering(name, readiness+more), "app: busy")
		return strings.Replace(yaml, "terminationGracePeriodSeconds: 1", "terminationGracePeriodSeconds: 20", 1)
	}
	for _, name := range []string{"b1", "b2", "b3"} {
		h.Write(name+".yaml", serving(name, ""))
	}
	client := placed(t, h, "client", answering("client", ""))
	for _, name := range []string{"b1", "b2", "b3"} {
		h.WaitRunning("default/"+name, time.Minute)
	}
	v4, v6 := serviceIP(h, 21)
	h.Write("busy.yaml", svc("busy", fmt.Sprintf("type: LoadBalancer\nclusterIPs: [%s, %q]\nselector: {app: busy}\nports: [{port: %d, targetPort: 8080, nodePort: %d}]\n", v4, v6, balanced, nodePort)))
	ways := map[string][2]string{
		"a pod": {client.netns, at(v4, balanced)}, "a pod by IPv6": {client.netns, at(v6, balanced)}, "the host's loopback": {theHost, at("127.0.0.1", nodePort)},
		"node port": {outside, at(host4, nodePort)}, "load balancer": {outside, at(host6, balanced)},
	}
	for _, way := range ways {
		h.Eventually(waitKernel, func() error {
			return (&clients{}).once(clientFrom(way[0], func(*http.Transport) {}), "http://"+way[1]+"/who")
		})
	}
	// under does something while all ask, and at least for a few seconds.
	under := func(what string, lost int, do func()) {
		t.Helper()
		c := newClients(t.Context(), ways)
		time.Sleep(time.Second)
		do()
		time.Sleep(time.Second)
		asked, failed := c.finish()
		total := 0
		for who, n := range asked {
			total += n
			if n == 0 || len(asked) != 4*len(ways) {
				t.Errorf("%s: %s asked %d times, %d clients in all", what, who, n, len(asked))
			}
		}
		t.Logf("%s: %d asked, %d failed", what, total, len(failed))
		if len(failed) != lost {
			t.Errorf("%s: %d of %d requests failed, want %d:\n%s", what, len(failed), total, lost, strings.Join(failed[:min(10, len(failed))], "\n"))
		}
	}
	under("nothing happens", 0, func() {})
	under("one request is lost on purpose", 1, func() { loseOne(t, h, "b1") })
	under("a pod is deleted", 0, func() {
		h.Remove("b2.yaml")
		h.WaitGone("default/b2", time.Minute)
	})
	under("it comes back", 0, func() {
		h.Write("b2.yaml", serving("b2", ""))
		h.WaitRunning("default/b2", time.Minute)
	})
	under("a pod is replaced", 0, func() {
		before, err := h.Pod("default/b3")
		if err != nil {
			t.Fatal(err)
		}
		h.Write("b3.yaml", serving("b3", "resources: {requests: {memory: 7Mi}}\n"))
		h.WaitPod("default/b3", time.Minute, func(p corev1.Pod) error {
			if p.UID == before.UID || len(p.Status.ContainerStatuses) == 0 || !p.Status.ContainerStatuses[0].Ready {
				return fmt.Errorf("it is %s, %+v", p.UID, p.Status.ContainerStatuses)
			}
			return nil
		})
	})
	under("podstead is killed and away for a while", 0, func() {
		h.Kill9()
		time.Sleep(2 * time.Second)
		h.Start()
		time.Sleep(2 * time.Second)
	})
	under("podstead is restarted", 0, func() {
		h.Stop()
		h.Start()
		time.Sleep(2 * time.Second)
	})
	under("podstead forgot what Services had", 0, func() {
		h.Kill9()
		if out, err := exec.CommandContext(t.Context(), "rm", h.Dir+"/state/services").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		h.Start()
		time.Sleep(2 * time.Second)
	})
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		under(fmt.Sprintf("containerd gets %v", s), 0, func() {
			h.SignalContainerd(s)
			h.WaitReady(waitKernel)
			time.Sleep(2 * time.Second)
		})
	}
	t.Run("Flush", func(t *testing.T) { servicesComeBack(t, h.For(t), ways) })
	emptied(t, h, before)
}

// loseOne lets a pod end one request in the middle of the answer.
func loseOne(t *testing.T, h *harness.Host, name string) {
	t.Helper()
	p, err := h.Pod("default/" + name)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := clientFrom(theHost, func(*http.Transport) {}).Get("http://" + at(placeOf(t, h, p).v4, 8080) + "/lose?next=1")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
}

// servicesComeBack takes all rules away.
func servicesComeBack(t *testing.T, h *harness.Host, ways map[string][2]string) {
	table := ""
	for line := range strings.Lines(nft(t, "list tables")) {
		if strings.HasPrefix(line, "table inet podstead") {
			table = strings.TrimSpace(line)
		}
	}
	quickest := time.Hour
	for range 3 {
		nft(t, "delete "+table)
		start := time.Now()
		for who, way := range ways {
			h.Eventually(waitKernel, func() error {
				if err := (&clients{}).once(clientFrom(way[0], func(t *http.Transport) { t.DisableKeepAlives = true }), "http://"+way[1]+"/who"); err != nil {
					return fmt.Errorf("%s: %w", who, err)
				}
				return nil
			})
		}
		quickest = min(quickest, time.Since(start))
	}
	t.Logf("after a flush all answer within %s at best", quickest.Round(time.Millisecond))
	if quickest > time.Second {
		t.Errorf("after a flush all answer within %s at best, want a second", quickest)
	}
}
