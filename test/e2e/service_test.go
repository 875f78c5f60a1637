package e2e

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
	"github.com/podstead/podstead/test/leaks"
)

// svc is a Service of which the spec is given.
func svc(name, spec string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec:\n%s", name, block(2, spec))
}

// labelled adds labels to the manifest of a pod.
func labelled(yaml, labels string) string {
	return strings.Replace(yaml, "}\nspec:", ", labels: {"+labels+"}}\nspec:", 1)
}

// serviceIP is an address of Services of a host.
func serviceIP(h *harness.Host, number int) (v4, v6 string) {
	return strings.Replace(h.ServiceCIDRs[0], "0/24", fmt.Sprint(number), 1), strings.Replace(h.ServiceCIDRs[1], "/112", fmt.Sprintf("%x", number), 1)
}

// serviceRows are tried side by side on one host with a client outside.
var serviceRows = []struct {
	name string
	try  func(t *testing.T, h *harness.Host, outside string)
}{
	{"ReachedFromEverywhere", reachedFromEverywhere},
	{"OnlyReadyPodsGetTraffic", onlyReadyPods},
	{"WithoutReadyPodsItRefuses", refusesAtOnce},
	{"EndpointsByHand", endpointsByHand},
	{"SessionAffinity", sessionAffinity},
	{"PortsOfTheHostAreTakenOnce", portsTakenOnce},
}

// TestServices tries what Services do on a host, of which nothing may be left
// afterwards.
func TestServices(t *testing.T) {
	outside := harness.Outside(t)
	h := harness.New(t, harness.Options{})
	addResponder(t, h)
	h.Start()
	before := h.Settled()
	t.Run("row", func(t *testing.T) {
		for _, r := range serviceRows {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				r.try(t, h.For(t), outside)
			})
		}
	})
	emptied(t, h, before)
}

// emptied removes all manifests and fails the test if anything is left.
func emptied(t *testing.T, h *harness.Host, before leaks.Snapshot) {
	t.Helper()
	manifests, err := filepath.Glob(filepath.Join(h.Manifests, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifests {
		h.Remove(filepath.Base(m))
	}
	h.NoLeaks(before, time.Minute)
}

func reachedFromEverywhere(t *testing.T, h *harness.Host, outside string) {
	const nodePort, balanced = 30011, 18211
	v4, v6 := serviceIP(h, 11)
	runs(h, "front", labelled(answering("front", ""), "app: front"))
	other := placed(t, h, "client", answering("client", ""))
	h.Write("front-svc.yaml", svc("front", fmt.Sprintf(`type: LoadBalancer
clusterIPs: [%s, %q]
selector: {app: front}
ports:
- {name: tcp, port: %d, targetPort: 80, nodePort: %d}
- {name: udp, port: %[3]d, targetPort: 80, nodePort: %[4]d, protocol: UDP}
`, v4, v6, balanced, nodePort)))
	h.Write("elsewhere.yaml", strings.Replace(answering("guest", ""), "{name: guest}", "{name: guest, namespace: elsewhere}", 1))
	guest := placeOf(t, h, h.WaitRunning("elsewhere/guest", time.Minute))
	self := placeOf(t, h, h.WaitRunning("default/front", time.Minute))
	for who, way := range map[string][2]string{
		"a pod": {other.netns, at(v4, balanced)}, "a pod by IPv6": {other.netns, at(v6, balanced)},
		"a pod of another namespace": {guest.netns, at(v4, balanced)}, "the pod itself": {self.netns, at(v4, balanced)},
		"the host": {theHost, at(v4, balanced)}, "the host by IPv6": {theHost, at(v6, balanced)},
		"the host at its loopback": {theHost, at("127.0.0.1", nodePort)},
		"outside at the node port": {outside, at(host4, nodePort)}, "outside at the node port by IPv6": {outside, at(host6, nodePort)},
		"outside at the balancer": {outside, at(host4, balanced)}, "outside at the balancer by IPv6": {outside, at(host6, balanced)},
	} {
		for _, proto := range []string{"tcp", "udp"} {
			t.Log(who, proto)
			reached(h, way[0], proto, way[1], "front")
		}
	}
	start := time.Now()
	if _, err := harness.DialFrom(theHost, "tcp", at("::1", nodePort), answerWithin); !errors.Is(err, syscall.ECONNREFUSED) || time.Since(start) > time.Second {
		t.Errorf("[::1]: %v after %s, want it refused at once", err, time.Since(start))
	}
	if got := reached(h, outside, "tcp", at(host4, nodePort), "front"); got != outside4 {
		t.Errorf("the pod sees %s, want the client's address %s", got, outside4)
	}
}

// refused fails the test unless a connection is refused at once.
func refused(h *harness.Host, from, address string) {
	h.Eventually(waitKernel, func() error {
		start := time.Now()
		conn, err := harness.DialFrom(from, "tcp", address, answerWithin)
		if err == nil {
			conn.Close()
			return fmt.Errorf("%s answers, want it refused", address)
		}
		if took := time.Since(start); !errors.Is(err, syscall.ECONNREFUSED) || took > silence {
			return fmt.Errorf("%s: %w after %s, want it refused at once", address, err, took)
		}
		return nil
	})
}

func refusesAtOnce(t *testing.T, h *harness.Host, outside string) {
	const nodePort = 30012
	v4, v6 := serviceIP(h, 12)
	h.Write("idle-svc.yaml", svc("idle", fmt.Sprintf("type: NodePort\nclusterIPs: [%s, %q]\nselector: {app: idle}\nports: [{port: 80, nodePort: %d}]\n", v4, v6, nodePort)))
	client := placed(t, h, "idle-client", answering("idle-client", ""))
	ways := map[string]string{at(v4, 80): client.netns, at(v6, 80): client.netns, at("127.0.0.1", nodePort): theHost, at(host4, nodePort): outside, at(host6, nodePort): outside}
	for address, from := range ways {
		refused(h, from, address)
	}
	runs(h, "idle", labelled(answering("idle", ""), "app: idle"))
	for address, from := range ways {
		reached(h, from, "tcp", address, "idle")
	}
	h.Remove("idle.yaml")
	h.WaitGone("default/idle", time.Minute)
	// A program of the host that came later gets nothing of it.
	l, err := net.Listen("tcp4", fmt.Sprintf(":%d", nodePort))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for address, from := range ways {
		refused(h, from, address)
	}
}

// whoAnswers counts who answers at an address.
func whoAnswers(t *testing.T, from, address string, times int) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for range times {
		got, err := ask(from, "tcp", address, answerWithin)
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		name, _, _ := strings.Cut(got, " ")
		counts[name]++
	}
	return counts
}

const readiness = "readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}\n"

// onlyReadyPods: one of three pods is ill for a time, and gets nothing then,
// but of a Service that asks for those as well.
func onlyReadyPods(t *testing.T, h *harness.Host, _ string) {
	v4, _ := serviceIP(h, 13)
	all, _ := serviceIP(h, 18)
	h.Write("all-svc.yaml", svc("all", fmt.Sprintf("clusterIP: %s\npublishNotReadyAddresses: true\nselector: {app: ready}\nports: [{port: 80}]\n", all)))
	places := map[string]place{}
	for _, name := range []string{"r1", "r2", "r3"} {
		h.Write(name+".yaml", labelled(answering(name, readiness), "app: ready"))
	}
	for _, name := range []string{"r1", "r2", "r3"} {
		places[name] = placeOf(t, h, h.WaitRunning("default/"+name, time.Minute))
	}
	h.Write("ready-svc.yaml", svc("ready", fmt.Sprintf("clusterIP: %s\nselector: {app: ready}\nports: [{port: 80}]\n", v4)))
	servesAt := func(address string, names ...string) {
		t.Helper()
		h.Eventually(waitKernel, func() error {
			got := map[string]bool{}
			for range 40 {
				text, err := ask(theHost, "tcp", at(address, 80), answerWithin)
				if err != nil {
					return err
				}
				name, _, _ := strings.Cut(text, " ")
				got[name] = true
			}
			if len(got) != len(names) {
				return fmt.Errorf("%v answer, want %v", got, names)
			}
			for _, n := range names {
				if !got[n] {
					return fmt.Errorf("%v answer, want %v", got, names)
				}
			}
			return nil
		})
	}
	serves := func(names ...string) { t.Helper(); servesAt(v4, names...) }
	serves("r1", "r2", "r3")
	tell(t, places["r2"], "0")
	serves("r1", "r3")
	servesAt(all, "r1", "r2", "r3")
	if got := whoAnswers(t, theHost, at(v4, 80), 100); got["r2"] > 0 {
		t.Errorf("a pod that is not ready answers: %v", got)
	}
	tell(t, places["r2"], "1")
	serves("r1", "r2", "r3")
}

// tell sets what a responder says of its health.
func tell(t *testing.T, of place, ok string) {
	t.Helper()
	conn, err := harness.DialFrom(theHost, "tcp", at(of.v4, 8080), answerWithin)
	if err == nil {
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "GET /health?ok=%s HTTP/1.0\r\n\r\n", ok)
	}
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// endpointsByHand: a slice gives a name and an address to something that is no
// pod, here a program beyond the host.
func endpointsByHand(t *testing.T, h *harness.Host, outside string) {
	const port = 18214
	program, err := images.GoBinary(t.Context(), responderPackage)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "nsenter", "--net="+outside, program, "-name", "beyond", "-answer", fmt.Sprintf(":%d", port))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	v4, _ := serviceIP(h, 14)
	slice := `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-1, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: pg, port: %d}]
endpoints: [{addresses: [%s]}]
`
	h.Write("db-svc.yaml", svc("db", fmt.Sprintf("clusterIP: %s\nports: [{name: pg, port: 5432}]\n", v4))+"---\n"+fmt.Sprintf(slice, port, outside4))
	client := placed(t, h, "db-client", answering("db-client", ""))
	reached(h, client.netns, "tcp", at(v4, 5432), "beyond")
	reached(h, theHost, "tcp", at(v4, 5432), "beyond")
	h.Write("db-svc.yaml", svc("db", fmt.Sprintf("clusterIP: %s\nports: [{name: pg, port: 5432}]\n", v4)))
	refused(h, client.netns, at(v4, 5432))
}

// sessionAffinity: a client stays with its pod though there are others.
func sessionAffinity(t *testing.T, h *harness.Host, _ string) {
	v4, _ := serviceIP(h, 15)
	for _, name := range []string{"a1", "a2", "a3"} {
		h.Write(name+".yaml", labelled(answering(name, ""), "app: sticky"))
	}
	for _, name := range []string{"a1", "a2", "a3"} {
		h.WaitRunning("default/"+name, time.Minute)
	}
	sticky := func(affinity string) string {
		return svc("sticky", fmt.Sprintf("clusterIP: %s\nselector: {app: sticky}\n%sports: [{port: 80}]\n", v4, affinity))
	}
	h.Write("sticky-svc.yaml", sticky(""))
	h.Eventually(waitKernel, func() error {
		got, err := ask(theHost, "tcp", at(v4, 80), answerWithin)
		if err != nil {
			return fmt.Errorf("%q: %w", got, err)
		}
		return nil
	})
	h.Eventually(waitKernel, func() error {
		if got := whoAnswers(t, theHost, at(v4, 80), 60); len(got) != 3 {
			return fmt.Errorf("%v answer, want three", got)
		}
		return nil
	})
	h.Write("sticky-svc.yaml", sticky("sessionAffinity: ClientIP\n"))
	h.Eventually(waitKernel, func() error {
		if got := whoAnswers(t, theHost, at(v4, 80), 60); len(got) != 1 {
			return fmt.Errorf("%v answer, want one", got)
		}
		return nil
	})
}

// portsTakenOnce: what a Service has no pod gets, and the other way round; the
// one that comes later is told who has it, and gets it when it is free.
func portsTakenOnce(t *testing.T, h *harness.Host, outside string) {
	const first, second = 30016, 30017
	v4, _ := serviceIP(h, 16)
	h.Write("taken-svc.yaml", svc("taken", fmt.Sprintf("type: NodePort\nclusterIP: %s\nselector: {app: taken}\nports: [{port: 80, nodePort: %d}]\n", v4, first)))
	runs(h, "taken", labelled(answering("taken", hostPorts(second, "")), "app: taken"))
	reached(h, outside, "tcp", at(host4, first), "taken")
	h.Write("blocked.yaml", answering("blocked", hostPorts(first, "")))
	pending(h, "default/blocked", fmt.Sprintf("host port %d/TCP is taken by Service default/taken", first))
	h.Write("late-svc.yaml", svc("late", fmt.Sprintf("type: NodePort\nselector: {app: taken}\nports: [{port: 80, nodePort: %d}]\n", second)))
	h.Eventually(waitKernel, func() error {
		out, err := h.CLI("events", "-A")
		if want := "taken by pod default/taken"; err == nil && !strings.Contains(out, want) {
			err = fmt.Errorf("no event with %q in\n%s", want, out)
		}
		return err
	})
	reached(h, outside, "tcp", at(host4, second), "taken")
	h.Write("taken-svc.yaml", svc("taken", fmt.Sprintf("clusterIP: %s\nselector: {app: taken}\nports: [{port: 80}]\n", v4)))
	h.WaitRunning("default/blocked", time.Minute)
	reached(h, outside, "tcp", at(host4, first), "blocked")
}
