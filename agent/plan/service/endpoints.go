package service

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/pod"
)

// endpoints are where traffic to a port of a Service goes.
func (r *resolver) endpoints(s *service, p *corev1.ServicePort) []pod.Endpoint {
	var list []pod.Endpoint
	families := r.families(s)
	add := func(ips []string, port int32) {
		for _, ip := range parse(ips) {
			if e := (pod.Endpoint{IP: ip.String(), Port: port}); slices.Contains(families, ip.Is6()) && !slices.Contains(list, e) {
				list = append(list, e)
			}
		}
	}
	for _, target := range r.targets(s) {
		if port, ok := targetPort(target, p); ok {
			add(target.IPs, port)
			r.result.Serving[pod.Instance{Key: target.Key, Number: target.Number}] = true
		}
	}
	for _, o := range r.slices[s.key] {
		if port, ok := slicePort(o.EndpointSlice, p); ok {
			for i := range o.EndpointSlice.Endpoints {
				add(r.usable(s, o, i), port)
			}
		}
	}
	slices.SortFunc(list, func(a, b pod.Endpoint) int {
		return cmp.Or(compareIPs(a.IP, b.IP), cmp.Compare(a.Port, b.Port))
	})
	return list
}

// targets are the pods that a Service's selector finds and that get traffic:
// those that are ready, or all if the Service wants those that are not as
// well. A pod that is being ended gets none.
func (r *resolver) targets(s *service) []*Pod {
	if len(s.spec.Selector) == 0 {
		return nil
	}
	var candidates []*Pod
	first := true
	for key, value := range s.spec.Selector {
		if found := r.pods[label{s.key.Namespace, key, value}]; first || len(found) < len(candidates) {
			candidates, first = found, false
		}
	}
	var list []*Pod
	for _, p := range candidates {
		if !p.Stopping && (p.Ready || s.spec.PublishNotReadyAddresses) && matches(p, s.spec.Selector) {
			list = append(list, p)
		}
	}
	return list
}

// label is a label that pods of a namespace have.
type label struct{ namespace, key, value string }

func matches(p *Pod, selector map[string]string) bool {
	for key, value := range selector {
		if has, ok := p.Labels[key]; !ok || has != value {
			return false
		}
	}
	return true
}

// targetPort is the port of a pod that a Service's port leads to. One that is
// named is looked for in the pod, which may have none of that name.
func targetPort(p *Pod, port *corev1.ServicePort) (int32, bool) {
	if port.TargetPort.Type == intstr.Int {
		if n := port.TargetPort.IntVal; n != 0 {
			return n, true
		}
		return port.Port, true
	}
	for i := range p.Spec.Containers {
		if n, ok := named(&p.Spec.Containers[i], port); ok {
			return n, true
		}
	}
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; pod.InitRole(c) == pod.RoleSidecar {
			if n, ok := named(c, port); ok {
				return n, true
			}
		}
	}
	return 0, false
}

func named(c *corev1.Container, port *corev1.ServicePort) (int32, bool) {
	for _, p := range c.Ports {
		if p.Name == port.TargetPort.StrVal && cmp.Or(p.Protocol, corev1.ProtocolTCP) == port.Protocol {
			return p.ContainerPort, true
		}
	}
	return 0, false
}

// slicePort is the port of a slice that has the name of a Service's port.
func slicePort(s *discoveryv1.EndpointSlice, port *corev1.ServicePort) (int32, bool) {
	for _, p := range s.Ports {
		name, protocol := "", corev1.ProtocolTCP
		if p.Name != nil {
			name = *p.Name
		}
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		if name == port.Name && protocol == port.Protocol && p.Port != nil {
			return *p.Port, true
		}
	}
	return 0, false
}

// usable is the address of a slice's endpoint that is ready: the first one
// counts, as in Kubernetes. An address of a Service would be a circle.
func (r *resolver) usable(s *service, o *pod.Object, i int) []string {
	e := &o.EndpointSlice.Endpoints[i]
	if !ready(e) || len(e.Addresses) == 0 {
		return nil
	}
	ip, err := netip.ParseAddr(e.Addresses[0])
	if err != nil {
		return nil
	}
	for _, p := range r.in.Ranges {
		if p.Contains(ip) {
			r.sliceProblem(o, i, ip, p)
			return nil
		}
	}
	return []string{ip.String()}
}

func ready(e *discoveryv1.Endpoint) bool {
	c := e.Conditions
	return (c.Ready == nil || *c.Ready) && (c.Terminating == nil || !*c.Terminating)
}

// sliceProblem notes once what a slice has that can't be used.
func (r *resolver) sliceProblem(o *pod.Object, i int, ip netip.Addr, p netip.Prefix) {
	field := fmt.Sprintf("endpoints[%d].addresses[0]", i)
	for _, had := range r.problems {
		if had.Origin == o.Origin && had.Field == field {
			return
		}
	}
	r.problems = append(r.problems, pod.Problem{
		Origin: o.Origin, Severity: pod.Error, Reason: pod.ReasonInvalid, Kind: pod.KindEndpointSlice, Key: o.Key, Field: field,
		Message: "is in the range of Services' addresses, where nothing answers", Got: ip.String(), Want: "an address outside of " + p.String(),
		Consequence: "no traffic goes there",
	})
}

// compareIPs orders addresses as such, IPv4 first.
func compareIPs(a, b string) int {
	x, _ := netip.ParseAddr(a)
	y, _ := netip.ParseAddr(b)
	return x.Compare(y)
}
