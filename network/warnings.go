package network

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/podstead/podstead/pod"
)

// unhurried is the least time between two looks at foreign rules.
const unhurried = 5 * time.Second

// warnings are what people should know of this host, as of the last look.
type warnings struct {
	mu    sync.Mutex
	texts []string
	// blocked tells that foreign rules drop what is led to pods from ports of the
	// host; ports are those.
	blocked bool
	ports   []string
}

// put tells whether the texts are others than before.
func (w *warnings) put(texts []string, blocked bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := !slices.Equal(w.texts, texts)
	w.texts, w.blocked = texts, blocked
	return changed
}

// publish takes which ports of the host lead to pods, and tells whether that
// matters to people.
func (w *warnings) publish(ports []string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := w.blocked && !slices.Equal(w.ports, ports)
	w.ports = ports
	return changed
}

// mostPorts is how many ports are named.
const mostPorts = 10

// published names the ports of the host that lead to pods, in order.
func published(c pod.NetworkConfig) []string {
	var ports []pod.HostPort
	for _, p := range c.Pods {
		for _, m := range p.Ports {
			ports = append(ports, pod.HostPort{Port: m.HostPort, Protocol: m.Protocol})
		}
	}
	for i := range c.Services {
		for _, p := range c.Services[i].Ports {
			if p.NodePort != 0 {
				ports = append(ports, pod.HostPort{Port: p.NodePort, Protocol: p.Protocol})
			}
			if len(c.Services[i].HostIPs) > 0 {
				ports = append(ports, pod.HostPort{Port: p.Port, Protocol: p.Protocol})
			}
		}
	}
	slices.SortFunc(ports, func(a, b pod.HostPort) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	ports = slices.Compact(ports)
	var names []string
	for i, p := range ports {
		if i == mostPorts {
			return append(names, fmt.Sprintf("and %d more", len(ports)-i))
		}
		names = append(names, p.String())
	}
	return names
}

// Warnings returns what keeps pods from being reached as they should, each
// with its remedy, as Run saw it last: foreign rules that drop what is
// forwarded, ranges that overlap the host's routes, no IPv6.
func (n *Network) Warnings() []string {
	n.warn.mu.Lock()
	defer n.warn.mu.Unlock()
	texts := slices.Clone(n.warn.texts)
	if n.warn.blocked && len(n.warn.ports) > 0 {
		texts = append(texts, fmt.Sprintf("the host's own firewall keeps others from ports of this server that lead to pods: %s", strings.Join(n.warn.ports, ", ")))
	}
	return texts
}

func (n *Network) keepWarnings(ctx context.Context, changed <-chan struct{}) error {
	for {
		texts, blocked := n.look(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if n.warn.put(texts, blocked) {
			n.cfg.Warned()
		}
		// Not more often than every few seconds, however busy others are.
		if err := pause(ctx, nil, unhurried); err != nil {
			return err
		}
		if err := pause(ctx, changed, anyway); err != nil {
			return err
		}
	}
}

// look also tells whether foreign rules block ports of the host that lead to
// pods.
func (n *Network) look(ctx context.Context) (texts []string, blocked bool) {
	six := ipv6Enabled()
	for _, r := range n.cfg.PodCIDRs {
		if r.Addr().Is6() && !six {
			texts = append(texts, fmt.Sprintf("IPv6 is switched off on this host (net.ipv6.conf.all.disable_ipv6): pods get no address of %s", r))
			continue
		}
		if err := overlap(r.Masked(), forPods(), false); err != nil {
			texts = append(texts, err.Error())
		}
	}
	inUse, err := n.ways.left()
	if err != nil {
		texts = append(texts, err.Error())
	}
	for _, r := range n.ways.ranges {
		if err := overlap(r, forServices(), slices.Contains(inUse, r)); err != nil && (six || r.Addr().Is4()) {
			texts = append(texts, err.Error())
		}
	}
	blocks, blocked, err := foreignBlocks(ctx, n.cfg.PodCIDRs)
	if err != nil {
		blocks = append(blocks, fmt.Sprintf("it can't be told whether foreign rules block pods: %v", err))
	}
	return append(texts, blocks...), blocked
}
