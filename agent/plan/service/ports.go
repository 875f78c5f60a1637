package service

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// The range of node ports, Kubernetes' own. Those before firstDrawn are drawn
// last: people pick there.
const (
	firstNodePort = 30000
	firstDrawn    = 30086
	lastNodePort  = 32767
)

// claims says who has which ports of the host.
type claims map[Port][]claim

type claim struct {
	// ip is empty for all addresses.
	ip string
	// holder names who has it; service is that if it is a Service.
	holder  string
	service *service
}

// holder returns who but the asker has a port on one of the addresses; all
// addresses if none are given.
func (c claims) holder(p Port, ips []string, asker *service) (string, bool) {
	for _, has := range c[p] {
		if has.service == asker && asker != nil {
			continue
		}
		if has.ip == "" || len(ips) == 0 || slices.Contains(ips, has.ip) {
			return has.holder, true
		}
	}
	return "", false
}

func (c claims) give(p Port, ips []string, s *service) {
	if len(ips) == 0 {
		ips = []string{""}
	}
	for _, ip := range ips {
		c[p] = append(c[p], claim{ip: ip, holder: "Service " + s.key.String(), service: s})
	}
}

// hostPorts gives Services their ports of the host: first what they had; then
// those stay who have ports already; then what is asked for by number, and
// what is left to those that take any.
func (r *resolver) hostPorts() {
	r.ports = claims{}
	for _, s := range r.services {
		r.keepPorts(s)
	}
	r.othersPorts()
	for _, s := range r.earlierFirst() {
		r.takeBalancer(s)
		r.takeNodePorts(s)
	}
	for _, s := range r.earlierFirst() {
		r.drawNodePorts(s)
	}
	for p, list := range r.ports {
		for _, c := range list {
			if c.service != nil {
				r.result.Claims = append(r.result.Claims, Claim{pod.HostPort{IP: c.ip, Port: p.Port, Protocol: p.Protocol}, c.service.key})
			}
		}
	}
	slices.SortFunc(r.result.Claims, func(a, b Claim) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.IP, b.IP), compareKeys(a.Service, b.Service))
	})
}

// keepPorts gives a Service what it had, as far as that is what it wants.
func (r *resolver) keepPorts(s *service) {
	if s.wantsNodePorts() {
		for i := range s.spec.Ports {
			p := &s.spec.Ports[i]
			had := s.had.NodePorts[portOf(p)]
			if had < firstNodePort || had > lastNodePort || p.NodePort != 0 && p.NodePort != had {
				continue
			}
			if _, taken := r.ports.holder(Port{had, p.Protocol}, nil, s); !taken {
				s.giveNodePort(r, p, had)
			}
		}
	}
	if had := s.had.HostPorts; len(had) > 0 && s.isBalancer() && !slices.ContainsFunc(s.spec.Ports, func(p corev1.ServicePort) bool { return !slices.Contains(had, portOf(&p)) }) {
		r.balance(s)
	}
}

// othersPorts are those that pods declare, and those that processes of pods
// and of the host itself listen on.
func (r *resolver) othersPorts() {
	pods := make(map[types.UID]string, len(r.in.Pods))
	for i := range r.in.Pods {
		p := &r.in.Pods[i]
		holder := "pod " + p.Key.String()
		pods[p.UID] = holder
		for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
			for k := range list {
				for _, port := range list[k].Ports {
					if at := (Port{port.HostPort, port.Protocol}); port.HostPort != 0 {
						r.ports[at] = append(r.ports[at], claim{ip: canonical(port.HostIP), holder: holder})
					}
				}
			}
		}
	}
	for _, l := range r.in.Listeners {
		at := Port{l.Port, l.Protocol}
		r.ports[at] = append(r.ports[at], claim{ip: canonical(l.IP), holder: listenerName(l, pods)})
	}
}

// listenerName names the pod that a listener belongs to, of those by UID, or
// the process that it is.
func listenerName(l pod.Listener, pods map[types.UID]string) string {
	if name, known := pods[l.UID]; known && l.UID != "" {
		return name
	}
	of := "this server"
	if l.UID != "" {
		of = "a pod"
	}
	if l.PID == 0 {
		return "a process of " + of
	}
	return fmt.Sprintf("process %s (pid %d) of %s", l.Name, l.PID, of)
}

// canonical is empty for all addresses of a family or of both.
func canonical(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil || a.IsUnspecified() {
		return ""
	}
	return a.Unmap().String()
}

// balance opens a load balancer's ports at the host's addresses.
func (r *resolver) balance(s *service) {
	s.hostIPs = true
	for i := range s.spec.Ports {
		at := portOf(&s.spec.Ports[i])
		s.given.HostPorts = append(s.given.HostPorts, at)
		r.ports.give(at, r.nodeIPs(s), s)
	}
}

// takeBalancer opens them unless somebody has one of them.
func (r *resolver) takeBalancer(s *service) {
	ips := r.nodeIPs(s)
	if !s.isBalancer() || s.hostIPs || len(ips) == 0 {
		return
	}
	free := true
	for i := range s.spec.Ports {
		p := &s.spec.Ports[i]
		if holder, taken := r.ports.holder(portOf(p), ips, s); taken {
			free = false
			r.problem(s, pod.ReasonConflict, fmt.Sprintf("spec.ports[%d].port", i), "is taken on this server by "+holder, portOf(p).String(), "another port for the type LoadBalancer",
				"the Service has no load balancer; all else of it works")
		}
	}
	if free {
		r.balance(s)
	}
}

// takeNodePorts gives a Service the node ports that it asks for.
func (r *resolver) takeNodePorts(s *service) {
	for i := range s.spec.Ports {
		p := &s.spec.Ports[i]
		if !s.wantsNodePorts() || p.NodePort == 0 || s.given.NodePorts[portOf(p)] == p.NodePort {
			continue
		}
		field := fmt.Sprintf("spec.ports[%d].nodePort", i)
		without := fmt.Sprintf("port %d of the Service has no node port; all else of it works", p.Port)
		if p.NodePort < firstNodePort || p.NodePort > lastNodePort {
			r.problem(s, pod.ReasonInvalidPort, field, "is no node port", fmt.Sprint(p.NodePort), fmt.Sprintf("%d to %d", firstNodePort, lastNodePort), without)
			continue
		}
		if holder, taken := r.ports.holder(Port{p.NodePort, p.Protocol}, nil, s); taken {
			r.problem(s, pod.ReasonConflict, field, "is taken by "+holder, Port{p.NodePort, p.Protocol}.String(), "another node port, or none for one that is free", without)
			continue
		}
		if twin, taken := s.twin(p); taken {
			r.problem(s, pod.ReasonConflict, field, fmt.Sprintf("is the node port of port %d already", twin), Port{p.NodePort, p.Protocol}.String(), "another node port", without)
			continue
		}
		s.giveNodePort(r, p, p.NodePort)
	}
}

// twin is another port of the Service that has a port's node port.
func (s *service) twin(p *corev1.ServicePort) (int32, bool) {
	for other, nodePort := range s.given.NodePorts {
		if nodePort == p.NodePort && other.Protocol == p.Protocol && other.Port != p.Port {
			return other.Port, true
		}
	}
	return 0, false
}

// drawNodePorts gives node ports to ports that take any. Ports of one number
// get the same for TCP and UDP if they can.
func (r *resolver) drawNodePorts(s *service) {
	for i := range s.spec.Ports {
		p := &s.spec.Ports[i]
		if !s.wantsNodePorts() || p.NodePort != 0 || s.given.NodePorts[portOf(p)] != 0 {
			continue
		}
		if !r.draw(s, p) {
			r.problem(s, pod.ReasonLimit, fmt.Sprintf("spec.ports[%d].nodePort", i), "no node port is left", "", fmt.Sprintf("at most %d", lastNodePort-firstNodePort+1),
				fmt.Sprintf("port %d of the Service has no node port; all else of it works", p.Port))
		}
	}
}

func (r *resolver) draw(s *service, p *corev1.ServicePort) bool {
	const drawn = lastNodePort - firstDrawn + 1
	start := hash(fmt.Sprintf("%s:%d", s.key, p.Port))
	for i := range uint64(lastNodePort - firstNodePort + 1) {
		n := firstDrawn + int32((start+i)%drawn)
		if i >= drawn {
			n = firstNodePort + int32(i-drawn)
		}
		if len(r.ports[Port{n, p.Protocol}]) == 0 {
			s.giveNodePort(r, p, n)
			return true
		}
	}
	return false
}

func (s *service) giveNodePort(r *resolver, p *corev1.ServicePort, n int32) {
	if s.given.NodePorts == nil {
		s.given.NodePorts = map[Port]int32{}
	}
	s.given.NodePorts[portOf(p)] = n
	r.ports.give(Port{n, p.Protocol}, nil, s)
}

func (s *service) isBalancer() bool {
	return s.hasTraffic() && s.spec.Type == corev1.ServiceTypeLoadBalancer
}

func (s *service) wantsNodePorts() bool {
	switch allocate := s.spec.AllocateLoadBalancerNodePorts; {
	case !s.hasTraffic():
		return false
	case s.spec.Type == corev1.ServiceTypeLoadBalancer:
		return allocate == nil || *allocate
	}
	return s.spec.Type == corev1.ServiceTypeNodePort
}

// nodeIPs are the server's addresses of a Service's families, and its IPv4
// loopback.
func (r *resolver) nodeIPs(s *service) []string {
	families := r.families(s)
	var ips []string
	for _, ip := range parse(r.in.NodeIPs) {
		if slices.Contains(families, ip.Is6()) {
			ips = append(ips, ip.String())
		}
	}
	if slices.Contains(families, false) {
		ips = append(ips, hostLoopback)
	}
	return ips
}

// hostLoopback is where the server reaches its own load balancers; nobody else
// does.
const hostLoopback = "127.0.0.1"
