package firewall

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/images"
)

const (
	patience = 30 * time.Second
	// soon is how long a new connection and its answer may take.
	soon = 300 * time.Millisecond
)

// Ports of the host that lead to the pod.
const (
	hostPort, nodePort, balanced = 18301, 30301, 18302
)

// lab is a host with a pod, a port of the host, a Service, and clients.
type lab struct {
	*harness.Host
	*root
	outside string
	// fromOutside, and all others, are addresses by place.
	fromOutside, others map[string]string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	nft(t, "flush ruleset")
	l := &lab{root: newRoot(t), outside: harness.Outside(t), Host: harness.New(t, harness.Options{})}
	const image = "example.org/responder:1"
	img, err := images.FromGo(t.Context(), "github.com/podstead/podstead/test/responder", images.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.AddImage(image, img)
	clusterIP := strings.Replace(l.ServiceCIDRs[0], "0/24", "21", 1)
	l.Write("web.yaml", fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: app, image: %q, args: [-name, web, -answer, ':80'], ports: [{containerPort: 80, hostPort: %d}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: app, image: %[1]q, args: [-name, client, -answer, ':80']}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  clusterIP: %[3]s
  selector: {app: web}
  ports: [{port: %[4]d, targetPort: 80, nodePort: %[5]d}]
`, image, hostPort, clusterIP, balanced, nodePort))
	l.Start()
	l.WaitRunning("default/web", time.Minute)
	client := filepath.Join(l.Dir, "run/netns", string(l.WaitRunning("default/client", time.Minute).UID))
	l.fromOutside = map[string]string{"host port": at(harness.Host4, hostPort), "node port": at(harness.Host4, nodePort), "load balancer": at(harness.Host4, balanced)}
	l.others = map[string]string{client: at(clusterIP, balanced), harness.HostNetwork: at("127.0.0.1", nodePort)}
	l.answers()
	return l
}

func at(address string, port int) string {
	return netip.AddrPortFrom(netip.MustParseAddr(address), uint16(port)).String()
}

// ask makes a new connection and wants an answer soon.
func ask(from, address string) error { return askWithin(from, address, soon) }

func askWithin(from, address string, wait time.Duration) error {
	conn, err := harness.DialFrom(from, "tcp", address, wait)
	if err != nil {
		return err
	}
	defer conn.Close()
	return askOn(conn, wait)
}

func askOn(conn net.Conn, wait time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(conn, "who"); err != nil {
		return err
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "web " {
		return fmt.Errorf("answer %q: %w", got, err)
	}
	_, err := conn.Read(make([]byte, 100))
	return err
}

// eachWay calls do with each place and address.
func (l *lab) eachWay(do func(name, from, address string)) {
	for name, address := range l.fromOutside {
		do(name, l.outside, address)
	}
	for from, address := range l.others {
		do(filepath.Base(from), from, address)
	}
}

// answers waits until all ways lead to the pod.
func (l *lab) answers() {
	l.t().Helper()
	l.eachWay(func(name, from, address string) {
		l.Eventually(patience, func() error {
			if err := ask(from, address); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	})
}

func (l *lab) t() *testing.T { return l.root.t }

// warned waits until podstead status says that a firewall blocks pods, and
// names the ports that it keeps others from if they are kept; it returns the
// remedies.
func (l *lab) warned(chain string, portsNamed bool) (remedies []string) {
	l.Eventually(patience, func() error {
		status, err := l.CLI("status")
		if err != nil {
			return err
		}
		remedies = nil
		for line := range strings.Lines(status) {
			if !strings.Contains(line, chain) {
				continue
			}
			remedy, err := remedyOf(line)
			if err != nil {
				return err
			}
			remedies = append(remedies, remedy)
		}
		named := true
		for _, port := range []int{hostPort, nodePort, balanced} {
			named = named && strings.Contains(status, fmt.Sprintf("%d/TCP", port))
		}
		if len(remedies) == 0 || named != portsNamed {
			return fmt.Errorf("status has no remedy for %q, or names ports: %v, want %v\n%s", chain, named, portsNamed, status)
		}
		return nil
	})
	return remedies
}

// calm waits until podstead status warns of nothing of a firewall.
func (l *lab) calm(chain string) {
	l.Eventually(patience, func() error {
		status, err := l.CLI("status")
		if err == nil && (strings.Contains(status, chain) || strings.Contains(status, "own firewall")) {
			err = fmt.Errorf("status still warns:\n%s", status)
		}
		return err
	})
}

func TestUFW(t *testing.T) {
	l := newLab(t)
	l.run("ufw --force enable")
	for name, address := range l.fromOutside {
		if err := ask(l.outside, address); err == nil {
			t.Errorf("ufw lets others to the %s, so the test shows nothing", name)
		}
	}
	for _, remedy := range l.warned("chain FORWARD of nftables table ip", true) {
		l.run(remedy)
	}
	l.answers()
	l.calm("chain FORWARD")
	for range 3 {
		l.survives("ufw reload", func() { l.run("ufw reload") })
	}
	l.survives("ufw off and on", func() { l.run("ufw disable; ufw --force enable") })
	l.answers()
}

func TestFirewalld(t *testing.T) {
	l := newLab(t)
	l.run("dbus-uuidgen --ensure")
	l.daemon("dbus-daemon", "--system", "--nofork", "--nopidfile")
	l.eventually("test -S /run/dbus/system_bus_socket")
	firewalld := func() (end func()) {
		end = l.daemon("firewalld", "--nofork", "--nopid")
		l.eventually("firewall-cmd --state")
		return end
	}
	end := firewalld()
	// It lets through what is led to pods, and nothing that pods begin.
	for name, address := range l.fromOutside {
		if err := ask(l.outside, address); err != nil {
			t.Errorf("firewalld keeps others from the %s: %v", name, err)
		}
	}
	for _, remedy := range l.warned("nftables table inet firewalld", false) {
		l.run(remedy)
	}
	l.answers()
	l.calm("firewalld")
	for range 3 {
		l.survives("firewall-cmd --reload", func() { l.run("firewall-cmd --reload") })
	}
	l.survives("firewall-cmd --complete-reload", func() { l.run("firewall-cmd --complete-reload") })
	l.survives("restart of firewalld", func() {
		end()
		end = firewalld()
	})
	l.answers()
}
