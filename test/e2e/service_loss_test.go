package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
)

// TestServicesLoseNothing asks in every way that clients have, through every
// kind of address of a Service, while its Deployment is scaled, updated and
// rolled back and podstead and containerd are killed.
func TestServicesLoseNothing(t *testing.T) {
	const nodePort, balanced = 30021, 18221
	outside := harness.Outside(t)
	h := newRollouts(t, "1", "2", "3")
	before := h.Settled()
	busy := rollout{name: "busy", version: "1", replicas: 3, watch: 1, grace: 20}
	busy.write(h)
	client := placed(t, h, "client", answering("client", ""))
	rolled(h, "busy", "1", 3)
	goodAt(h, "busy", "1")
	v4, v6 := serviceIP(h, 21)
	h.Write("busy-svc.yaml", svc("busy", fmt.Sprintf("type: LoadBalancer\nclusterIPs: [%s, %q]\nselector: {app: busy}\nports: [{port: %d, targetPort: web, nodePort: %d}]\n", v4, v6, balanced, nodePort)))
	ways := map[string][2]string{
		"a pod": {client.netns, at(v4, balanced)}, "a pod by IPv6": {client.netns, at(v6, balanced)},
		"node port at loopback": {theHost, at("127.0.0.1", nodePort)}, "load balancer at loopback": {theHost, at("127.0.0.1", balanced)},
		"node port": {outside, at(host4, nodePort)}, "load balancer": {outside, at(host4, balanced)}, "load balancer by IPv6": {outside, at(host6, balanced)},
	}
	for _, way := range ways {
		h.Eventually(waitKernel, func() error {
			return (&clients{}).once(clientFrom(way[0], func(*http.Transport) {}), "http://"+way[1]+"/who")
		})
	}
	// under does something while all ask, and at least for a few seconds.
	under := func(what string, lost int, do func()) { askedUnder(t, ways, what, lost, do) }
	under("nothing happens", 0, func() {})
	under("one request is lost on purpose", 1, func() { loseOne(t, h, "/lose?next=1") })
	under("one message is lost on purpose", 1, func() { loseOne(t, h, "/lose?messages=1") })
	under("scaled up and down", 0, func() {
		busy.replicas = 5
		busy.write(h)
		rolled(h, "busy", "1", 5)
		busy.replicas = 3
		busy.write(h)
		rolled(h, "busy", "1", 3)
	})
	under("updated", 0, func() {
		busy.version = "2"
		busy.write(h)
		rolled(h, "busy", "2", 3)
		goodAt(h, "busy", "2")
	})
	// A version of which all pods get ready and take traffic, and one turns ill.
	under("rolled back", 0, func() {
		ill := busy
		ill.version, ill.watch = "3", 300
		ill.write(h)
		tell(t, placeOf(t, h, rolled(h, "busy", "3", 3)[0]), "0")
		eventually(h, "RolledBack", "")
		rolled(h, "busy", "2", 3)
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
	rolled(h, "busy", "2", 3)
	emptied(t, h, before)
}

// askedUnder does something while all kinds of clients ask in all ways, and
// fails the test unless as many requests are lost as are to be.
func askedUnder(t *testing.T, ways map[string][2]string, what string, lost int, do func()) {
	t.Helper()
	c := newClients(t.Context(), ways)
	time.Sleep(time.Second)
	do()
	time.Sleep(time.Second)
	// What is to be lost is lost when somebody asks that server next.
	for deadline := time.Now().Add(patience); c.lost() < lost && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	asked, failed := c.finish()
	total := 0
	for who, n := range asked {
		total += n
		if n == 0 || len(asked) != kindsOfClients*len(ways) {
			t.Errorf("%s: %s asked %d times, %d clients in all", what, who, n, len(asked))
		}
	}
	t.Logf("%s: %d asked, %d failed", what, total, len(failed))
	if len(failed) != lost {
		t.Errorf("%s: %d of %d requests failed, want %d:\n%s", what, len(failed), total, lost, strings.Join(failed[:min(10, len(failed))], "\n"))
	}
}

// loseOne lets a pod end one request in the middle of the answer.
func loseOne(t *testing.T, h *harness.Host, command string) {
	t.Helper()
	p := podsOf(h, "busy")[0]
	answer, err := clientFrom(theHost, func(*http.Transport) {}).Get("http://" + at(placeOf(t, h, p).v4, 8080) + command)
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
