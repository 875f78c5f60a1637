// Package service decides what Services mean on this server: which addresses
// and ports they have, where traffic to them goes, and what they are called.
// It is a pure function of the objects, the pods and what was given before.
package service

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// Input is all that decides.
type Input struct {
	// Objects are those that are wanted; of them Services and EndpointSlices
	// count, defaulted and validated. Of two of one kind and key the first
	// counts.
	Objects []pod.Object
	Pods    []Pod
	// Ranges are those of Services' addresses, at most one of each family, the
	// one first that a Service gets an address of that does not name a family.
	Ranges []netip.Prefix
	// Reserved are addresses of the ranges that no Service may have.
	Reserved []netip.Addr
	// NodeIPs are the addresses of this server that load balancers have.
	NodeIPs []string
	// Listeners are the processes of this server that hold ports, as far as
	// that is known, those of pods on the host's network among them.
	Listeners []pod.Listener
	// Memory is what the last Result said, as far as it is known. Without it
	// Services that name no addresses and ports get the same as before, unless
	// others that came later have them.
	Memory Memory
	// Now is by the wall clock. It dates what is new.
	Now time.Time
}

// Pod is an instance of a pod that has addresses and has not finished.
type Pod struct {
	Key    pod.Key
	Number int
	UID    types.UID
	Labels map[string]string
	Spec   *corev1.PodSpec
	IPs    []string
	// Ready tells that the pod's condition Ready is true.
	Ready bool
	// Stopping tells that the pod is being ended, or is to be.
	Stopping bool
}

// Memory is what Services have been given, by NAMESPACE/NAME.
type Memory map[string]Given

// Given is what a Service has been given, and keeps.
type Given struct {
	ClusterIPs []string `json:"clusterIPs,omitempty"`
	// NodePorts are by the Service's port.
	NodePorts map[Port]int32 `json:"nodePorts,omitempty"`
	// HostPorts are the ports at which it is a load balancer.
	HostPorts []Port `json:"hostPorts,omitempty"`
	// Since is when the Service was seen first.
	Since time.Time `json:"since,omitzero"`
}

// Port is a port of a Service, such as 80/TCP.
type Port struct {
	Port     int32
	Protocol corev1.Protocol
}

// String returns "80/TCP".
func (p Port) String() string { return fmt.Sprintf("%d/%s", p.Port, p.Protocol) }

// MarshalText writes what String returns.
func (p Port) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads it.
func (p *Port) UnmarshalText(text []byte) error {
	number, protocol, _ := strings.Cut(string(text), "/")
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || protocol != string(corev1.ProtocolTCP) && protocol != string(corev1.ProtocolUDP) {
		return fmt.Errorf("%q is no port such as 80/TCP", text)
	}
	p.Port, p.Protocol = int32(n), corev1.Protocol(protocol)
	return nil
}

// Result is what Services mean.
type Result struct {
	// Services are those that have traffic of their own, sorted by key.
	Services []pod.Service
	// Zone has all Services.
	Zone pod.Zone
	// Serving are the instances of pods that traffic of Services goes to.
	Serving map[pod.Instance]bool
	// Claims are the ports of the host that Services have, sorted by port.
	Claims []Claim
	// Memory is to be kept for the next time.
	Memory Memory
	// Problems tell what can't be had, sorted by the Service's key, then field.
	Problems []pod.Problem
}

// Claim is a port of the host that a Service has.
type Claim struct {
	pod.HostPort
	Service pod.Key
}

// Resolve decides. A Service whose address or port can't be had is without
// that and has all else.
func Resolve(in Input) Result {
	r := &resolver{in: in, slices: make(map[pod.Key][]*pod.Object, len(in.Objects)/2), pods: map[label][]*Pod{}, problems: []pod.Problem{}}
	r.result.Serving = map[pod.Instance]bool{}
	r.sort()
	r.addresses()
	r.hostPorts()
	r.result.Memory = make(Memory, len(r.services))
	r.result.Services = make([]pod.Service, 0, len(r.services))
	r.result.Zone.Services = make([]pod.NamedService, 0, len(r.services))
	for _, s := range r.services {
		r.result.Memory[s.key.String()] = s.given
		r.result.Zone.Services = append(r.result.Zone.Services, r.names(s))
		if real, ok := r.real(s); ok {
			r.result.Services = append(r.result.Services, real)
		}
	}
	r.result.Problems = r.problems
	slices.SortStableFunc(r.result.Problems, func(a, b pod.Problem) int {
		return cmp.Or(compareKeys(a.Key, b.Key), cmp.Compare(a.Field, b.Field))
	})
	return r.result
}

// resolver is the work in progress.
type resolver struct {
	in     Input
	result Result
	// services are sorted by key, and so are the pods of in.
	services []*service
	// slices are the EndpointSlices of a Service, pods those that have a label.
	slices map[pod.Key][]*pod.Object
	pods   map[label][]*Pod
	// held says who has an address, ports who has a port of the host.
	held     map[netip.Addr]*service
	ports    claims
	problems []pod.Problem
}

// service is one Service and what it has been given so far.
type service struct {
	key    pod.Key
	object *pod.Object
	spec   *corev1.ServiceSpec
	// known tells that it was there before.
	known bool
	had   Given
	given Given
	// hostIPs tells that it is a load balancer at the host's addresses.
	hostIPs bool
}

func (r *resolver) sort() {
	seen := make(map[pod.ObjectKey]bool, len(r.in.Objects))
	for i := range r.in.Objects {
		o := &r.in.Objects[i]
		switch {
		case seen[o.ObjectKey]:
		case o.Service != nil:
			had, known := r.in.Memory[o.Key.String()]
			s := &service{key: o.Key, object: o, spec: &o.Service.Spec, known: known, had: had}
			if s.given.Since = had.Since; had.Since.IsZero() {
				s.given.Since = r.in.Now
			}
			r.services = append(r.services, s)
		case o.EndpointSlice != nil:
			of := serviceOf(o)
			r.slices[of] = append(r.slices[of], o)
		}
		seen[o.ObjectKey] = true
	}
	slices.SortFunc(r.services, func(a, b *service) int { return compareKeys(a.key, b.key) })
	r.in.Pods = slices.SortedStableFunc(slices.Values(r.in.Pods), func(a, b Pod) int { return compareKeys(a.Key, b.Key) })
	for i := range r.in.Pods {
		p := &r.in.Pods[i]
		for key, value := range p.Labels {
			of := label{p.Key.Namespace, key, value}
			r.pods[of] = append(r.pods[of], p)
		}
	}
}

// earlierFirst are the services that were there before, and then the others.
func (r *resolver) earlierFirst() []*service {
	list := slices.Clone(r.services)
	slices.SortStableFunc(list, func(a, b *service) int {
		switch {
		case a.known == b.known:
			return 0
		case a.known:
			return -1
		}
		return 1
	})
	return list
}

// problem notes what a Service can't have, and what that means now.
func (r *resolver) problem(s *service, reason pod.Reason, field, message, got, want, consequence string) {
	r.problems = append(r.problems, pod.Problem{
		Origin: s.object.Origin, Severity: pod.Error, Reason: reason, Kind: pod.KindService, Key: s.key, Field: field,
		Message: message, Got: got, Want: want, Consequence: consequence,
	})
}

// real is what the host's network does for a Service, if it does anything.
func (r *resolver) real(s *service) (pod.Service, bool) {
	out := pod.Service{Key: s.key, ClusterIPs: s.given.ClusterIPs}
	if s.hostIPs {
		out.HostIPs = r.nodeIPs(s)
	}
	if c := s.spec.SessionAffinityConfig; s.spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		seconds := corev1.DefaultClientIPServiceAffinitySeconds
		if c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
			seconds = *c.ClientIP.TimeoutSeconds
		}
		out.Affinity = time.Duration(seconds) * time.Second
	}
	if !s.hasTraffic() || len(out.ClusterIPs)+len(out.HostIPs)+len(s.given.NodePorts) == 0 {
		return pod.Service{}, false
	}
	for i := range s.spec.Ports {
		p := &s.spec.Ports[i]
		out.Ports = append(out.Ports, pod.ServicePort{
			Name: p.Name, Protocol: p.Protocol, Port: p.Port, NodePort: s.given.NodePorts[portOf(p)], Endpoints: r.endpoints(s, p),
		})
	}
	slices.SortFunc(out.Ports, func(a, b pod.ServicePort) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	return out, true
}

// hasTraffic tells Services that have addresses of their own from ExternalName
// and headless ones.
func (s *service) hasTraffic() bool {
	return s.spec.Type != corev1.ServiceTypeExternalName && s.spec.ClusterIP != corev1.ClusterIPNone
}

func (s *service) isHeadless() bool {
	return s.spec.Type != corev1.ServiceTypeExternalName && s.spec.ClusterIP == corev1.ClusterIPNone
}

func portOf(p *corev1.ServicePort) Port { return Port{p.Port, p.Protocol} }

func compareKeys(a, b pod.Key) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
