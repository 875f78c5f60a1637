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

// Set makes the host do for pods what c says, and nothing else: ports of the
// host lead to pods, in one transaction, without breaking connections that
// are open. Until the first Set, the rules of an earlier podstead stay as
// they are. What can't be used of c is left out and told in the error, the
// rest is done. It is idempotent; calls wait for one another.
func (n *Network) Set(ctx context.Context, c pod.NetworkConfig) error {
	n.setting.Lock()
	defer n.setting.Unlock()
	if len(c.Pods) == 0 {
		if none, err := n.tidy(ctx); none || err != nil {
			n.wanted.put(c)
			return err
		}
	}
	bad := check(c)
	if err := n.rules.set(ctx, n.render(c)); err != nil {
		return errors.Join(bad, err)
	}
	before, _ := n.wanted.get()
	n.wanted.put(c)
	return errors.Join(bad, n.openLoopback(c), forgetMoved(before, c))
}

// wantedOf is the part of the configuration set last that is about a pod.
func (n *Network) wantedOf(uid types.UID) pod.NetworkConfig {
	c, _ := n.wanted.get()
	return pod.NetworkConfig{Pods: slices.DeleteFunc(slices.Clone(c.Pods), func(p pod.PodNetwork) bool { return p.UID != uid })}
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

// openLoopback lets links of pods with ports, and no others, carry answers to
// the host's 127.0.0.1. The table keeps pods from using that themselves.
func (n *Network) openLoopback(c pod.NetworkConfig) error {
	var errs []error
	for _, p := range c.Pods {
		value := "0"
		if len(p.Ports) > 0 {
			value = "1"
		}
		err := setSysctl("net/ipv4/conf/"+linkName(n.owner, p.UID)+"/route_localnet", value)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("network of pod %s: %w", p.UID, err))
		}
	}
	return errors.Join(errs...)
}

// RemoveAll deletes our table. Sysctls that were changed stay: nobody can
// know who relies on them by now.
func (n *Network) RemoveAll(ctx context.Context) error {
	n.setting.Lock()
	defer n.setting.Unlock()
	n.wanted.put(pod.NetworkConfig{})
	return n.rules.remove(ctx)
}

// latest holds the configuration of the last Set.
type latest struct {
	mu      sync.Mutex
	config  pod.NetworkConfig
	changed chan struct{}
}

func newLatest() *latest { return &latest{changed: make(chan struct{})} }

// get returns the configuration and a channel that is closed by the next put.
func (l *latest) get() (pod.NetworkConfig, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.config, l.changed
}

func (l *latest) put(c pod.NetworkConfig) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.config = c
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
