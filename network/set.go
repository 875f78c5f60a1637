package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// Set makes the host do for pods and Services what c says, and nothing else,
// in one transaction, without breaking connections that are open: ports of the
// host and addresses of Services lead to pods. Until the first Set, the rules
// of an earlier podstead stay as they are. What can't be used of c is left out
// and told in a *pod.LeftOut, the rest is done; after another error it may be
// as before. It is idempotent; calls wait for one another.
//
// When it returns, new connections go to the endpoints of c. Connections of
// TCP that are open go on to whoever they lead to, be it an endpoint or not;
// those of UDP whose endpoint is none any more are forgotten, so that the
// client's next packet finds another.
func (n *Network) Set(ctx context.Context, c pod.NetworkConfig) error {
	n.setting.Lock()
	defer n.setting.Unlock()
	if len(c.Pods)+len(c.Services) == 0 {
		if none, err := n.tidy(ctx); none || err != nil {
			n.wanted.put(c)
			n.warn.publish(nil)
			return err
		}
	}
	inUse, bad := n.ways.use()
	bad = errors.Join(check(c), n.checkServices(c, inUse, bad))
	if err := n.rules.set(ctx, n.render(c, inUse, n.hostIPs(c))); err != nil {
		return errors.Join(bad, err)
	}
	if len(c.Services) > 0 {
		bad = errors.Join(bad, forward(ipv6Enabled())) // Pods see to it as well, if there are any.
	}
	before, known := n.wanted.last()
	n.wanted.put(c)
	if n.warn.publish(published(c)) {
		n.cfg.Warned()
	}
	if bad = errors.Join(bad, n.openLoopback(c, ""), n.forgetMoved(before, c, known)); bad != nil {
		return &pod.LeftOut{Err: bad}
	}
	return nil
}

// hostIPs are the addresses of pods on the host's network, which Services may
// lead to.
func (n *Network) hostIPs(c pod.NetworkConfig) []string {
	if len(c.Services) == 0 {
		return nil
	}
	ips, _ := n.cfg.HostIPs() // Without, they are taken for any other host's.
	return ips
}

// check names what a configuration has that can't be used.
func check(c pod.NetworkConfig) error {
	var errs []error
	for _, p := range c.Pods {
		for _, ip := range p.IPs {
			if _, err := netip.ParseAddr(ip); err != nil {
				errs = append(errs, fmt.Errorf("network of pod %s: %q is no IP address: its ports are left out", p.UID, ip))
			}
		}
		for _, m := range p.Ports {
			if err := checkPort(m); err != nil {
				errs = append(errs, fmt.Errorf("network of pod %s: host port %d: %w: it is left out", p.UID, m.HostPort, err))
			}
		}
	}
	return errors.Join(errs...)
}

func checkPort(m pod.PortMapping) error {
	if _, err := netip.ParseAddr(m.HostIP); m.HostIP != "" && err != nil {
		return fmt.Errorf("hostIP %q is no IP address", m.HostIP)
	}
	return nil
}

// openLoopback lets links of pods that ports of the host lead to, and no
// others, carry answers to the host's 127.0.0.1; of all pods or of one. It
// stays so when a pod is no endpoint any more: connections go on. The table
// keeps pods from using that themselves.
func (n *Network) openLoopback(c pod.NetworkConfig, only types.UID) error {
	serving := map[string]bool{}
	for i := range c.Services {
		for _, p := range c.Services[i].Ports {
			for _, e := range p.Endpoints {
				serving[e.IP] = serving[e.IP] || p.NodePort != 0
			}
		}
	}
	var errs []error
	for _, p := range c.Pods {
		leads := len(p.Ports) > 0 || slices.ContainsFunc(p.IPs, func(ip string) bool { return serving[ip] })
		if !leads || only != "" && p.UID != only {
			continue
		}
		err := setSysctl("net/ipv4/conf/"+linkName(n.owner, p.UID)+"/route_localnet", "1")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("network of pod %s: %w", p.UID, err))
		}
	}
	return errors.Join(errs...)
}

// RemoveAll deletes our table and the ways to Services. Sysctls that were changed stay: nobody can
// know who relies on them by now.
func (n *Network) RemoveAll(ctx context.Context) error {
	n.setting.Lock()
	defer n.setting.Unlock()
	n.wanted.put(pod.NetworkConfig{})
	return errors.Join(n.rules.remove(ctx), n.ways.leave())
}

// latest holds the configuration of the last Set.
type latest struct {
	mu      sync.Mutex
	config  pod.NetworkConfig
	known   bool
	changed chan struct{}
}

func newLatest() *latest { return &latest{changed: make(chan struct{})} }

// get returns the configuration and a channel that is closed by the next put.
func (l *latest) get() (pod.NetworkConfig, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.config, l.changed
}

// last returns the configuration, and whether there was any put.
func (l *latest) last() (c pod.NetworkConfig, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.config, l.known
}

func (l *latest) put(c pod.NetworkConfig) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.config, l.known = c, true
	close(l.changed)
	l.changed = make(chan struct{})
}

// forEachPort calls f with every port of every pod and the pod's addresses.
func forEachPort(c pod.NetworkConfig, f func(ips []netip.Addr, m pod.PortMapping)) {
	for _, p := range c.Pods {
		var ips []netip.Addr
		for _, text := range p.IPs {
			if ip, err := netip.ParseAddr(text); err == nil {
				ips = append(ips, ip)
			}
		}
		for _, m := range p.Ports {
			f(ips, m)
		}
	}
}
