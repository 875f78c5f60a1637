package service_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/agent/plan/service"
	"github.com/podstead/podstead/pod"
)

// TestFamilies: which addresses a Service gets, in which order.
func TestFamilies(t *testing.T) {
	require := new(corev1.IPFamilyPolicyRequireDualStack)
	four, six := []bool{false}, []bool{true}
	for name, tc := range map[string]struct {
		change func(*corev1.ServiceSpec)
		want   []bool
	}{
		"nothing said":  {nil, four},
		"IPv6":          {func(s *corev1.ServiceSpec) { s.IPFamilies = []corev1.IPFamily{"IPv6"} }, six},
		"prefers both":  {dual, []bool{false, true}},
		"requires both": {func(s *corev1.ServiceSpec) { s.IPFamilyPolicy = require }, []bool{false, true}},
		"IPv6 first":    {func(s *corev1.ServiceSpec) { s.IPFamilies, s.IPFamilyPolicy = []corev1.IPFamily{"IPv6"}, require }, []bool{true, false}},
		"both named":    {func(s *corev1.ServiceSpec) { s.IPFamilies = []corev1.IPFamily{"IPv6", "IPv4"} }, []bool{true, false}},
		"address":       {clusterIPs("fd00:118::77"), six},
		"two addresses": {clusterIPs("fd00:118::77", "10.118.0.77"), []bool{true, false}},
		"one of two":    {func(s *corev1.ServiceSpec) { clusterIPs("fd00:118::77")(s); dual(s) }, []bool{true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			r := service.Resolve(input(object("web", tc.change)))
			untroubled(t, r)
			var got []bool
			for _, ip := range find(t, r, "web").ClusterIPs {
				got = append(got, netip.MustParseAddr(ip).Is6())
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("families (IPv6?) %v, want %v", got, tc.want)
			}
		})
	}
	in := input(object("web", func(s *corev1.ServiceSpec) { s.IPFamilyPolicy = require }), object("six", func(s *corev1.ServiceSpec) { s.IPFamilies = []corev1.IPFamily{"IPv6"} }), object("dual", dual))
	in.Ranges = in.Ranges[:1]
	r := service.Resolve(in)
	told(t, r, "web", "spec.ipFamilies", "IPv6", "10.118.0.0/16")
	told(t, r, "six", "spec.ipFamilies", "IPv6", "the Service has no IPv6 address")
	if len(find(t, r, "dual").ClusterIPs) != 1 || len(r.Problems) != 2 {
		t.Errorf("who prefers both has %v, problems %v", find(t, r, "dual").ClusterIPs, r.Problems)
	}
}

func TestAddressesThatAreAskedFor(t *testing.T) {
	r := service.Resolve(input(
		object("a", clusterIPs("10.118.5.5")), object("b", clusterIPs("10.118.5.5")), object("c", clusterIPs("10.96.0.1")),
		object("d", clusterIPs("10.118.0.10")), object("e", clusterIPs("10.118.0.0")), object("f", clusterIPs("10.118.255.255")), object("g", clusterIPs("10.118.5.6", "fd00:118::a")),
	))
	if got := find(t, r, "a").ClusterIPs; !slices.Equal(got, []string{"10.118.5.5"}) {
		t.Errorf("a has %v", got)
	}
	told(t, r, "b", "b.yaml", "spec.clusterIP: conflict", "taken by Service default/a", "10.118.5.5", "another address in 10.118.0.0/16", "the Service has no IPv4 address; all else of it works")
	told(t, r, "c", "spec.clusterIP: invalid", "10.96.0.1", "an address in 10.118.0.0/16 or fd00:118::/112")
	told(t, r, "d", "spec.clusterIP: conflict", "pods ask for names")
	told(t, r, "e", "in no range")
	told(t, r, "f", "in no range")
	told(t, r, "g", "spec.clusterIPs[1]", "fd00:118::a", "the Service has no IPv6 address")
	if got := find(t, r, "g").ClusterIPs; !slices.Equal(got, []string{"10.118.5.6"}) {
		t.Errorf("g has %v", got)
	}
	// The earlier one keeps it, whatever it is called, and one that comes in
	// between has another.
	in := input(object("a", clusterIPs("10.118.5.5")), object("b", clusterIPs("10.118.5.5")))
	in.Memory = service.Memory{"default/b": {ClusterIPs: []string{"10.118.5.5"}}}
	r = service.Resolve(in)
	told(t, r, "a", "taken by Service default/b")
	drawn := find(t, service.Resolve(input(object("web", nil))), "web").ClusterIPs[0]
	r = service.Resolve(input(object("web", nil), object("zoo", clusterIPs(drawn))))
	untroubled(t, r)
	if got := find(t, r, "web").ClusterIPs[0]; got == drawn {
		t.Errorf("web has drawn %s, which zoo asks for", got)
	}
	in = input(object("web", nil), object("zoo", clusterIPs(drawn)))
	in.Memory = service.Memory{"default/web": {ClusterIPs: []string{drawn}}}
	told(t, service.Resolve(in), "zoo", "taken by Service default/web")
}

func TestNoAddressIsLeft(t *testing.T) {
	var objects []pod.Object
	for i := range 15 {
		objects = append(objects, object(fmt.Sprintf("s%d", i), nil))
	}
	in := input(objects...)
	in.Ranges = []netip.Prefix{netip.MustParsePrefix("10.118.0.0/28")}
	r := service.Resolve(in)
	got := map[string]bool{}
	for _, s := range r.Services {
		got[s.ClusterIPs[0]] = true
	}
	if len(got) != 13 || len(r.Problems) != 2 { // 16 less the range's own, the broadcast's, and that of names
		t.Errorf("%d addresses, problems %v", len(got), r.Problems)
	}
	told(t, r, "s9", "no address is left in 10.118.0.0/28", "network.serviceCIDRs")
}

func TestNodePorts(t *testing.T) {
	in := input(
		object("a", nodePort(30500)), object("b", nodePort(30500)), object("c", nodePort(8080)), object("d", nodePort(0)),
		object("e", func(s *corev1.ServiceSpec) {
			nodePort(30600)(s)
			s.Ports = append(s.Ports, corev1.ServicePort{Protocol: corev1.ProtocolUDP, Port: 80, NodePort: 30500}, corev1.ServicePort{Protocol: corev1.ProtocolTCP, Port: 81, NodePort: 30600})
		}),
		object("f", func(s *corev1.ServiceSpec) {
			balancer(s)
			s.AllocateLoadBalancerNodePorts = new(false)
			s.Ports[0].Port = 8443
		}),
		object("g", nodePort(30700)), object("h", nodePort(30800)),
		object("i", func(s *corev1.ServiceSpec) {
			s.Type = corev1.ServiceTypeNodePort
			s.Ports = append(s.Ports, corev1.ServicePort{Protocol: corev1.ProtocolUDP, Port: 80})
		}),
	)
	in.Pods = []service.Pod{member("p", "none", func(p *service.Pod) {
		p.Spec.Containers[0].Ports[0].HostPort, p.Spec.Containers[0].Ports[0].HostIP = 30700, "127.0.0.1"
	})}
	in.Listeners = []pod.Listener{{HostPort: pod.HostPort{Port: 30800, Protocol: "TCP"}, PID: 7, Name: "sshd"}}
	r := service.Resolve(in)
	port := func(name string, i int) int32 { return find(t, r, name).Ports[i].NodePort }
	if port("a", 0) != 30500 || port("b", 0) != 0 || port("c", 0) != 0 || port("f", 0) != 0 {
		t.Errorf("node ports: a %d, b %d, c %d, f %d", port("a", 0), port("b", 0), port("c", 0), port("f", 0))
	}
	if n := port("d", 0); n < 30086 || n > 32767 {
		t.Errorf("d has drawn %d", n)
	}
	if port("i", 0) == 0 || port("i", 0) != port("i", 1) {
		t.Errorf("i has %d for TCP and %d for UDP, want the same", port("i", 0), port("i", 1))
	}
	if got := find(t, r, "e"); got.Ports[0].NodePort != 30600 || got.Ports[1].NodePort != 30500 || got.Ports[2].NodePort != 0 {
		t.Errorf("e has %+v", got.Ports)
	}
	told(t, r, "b", "spec.ports[0].nodePort: conflict", "taken by Service default/a", "30500/TCP", "port 80 of the Service has no node port; all else of it works")
	told(t, r, "c", "spec.ports[0].nodePort: invalid-port", "8080", "30000 to 32767")
	told(t, r, "e", "spec.ports[2].nodePort", "the node port of port 80 already")
	told(t, r, "g", "taken by pod default/p")
	told(t, r, "h", "taken by process sshd (pid 7) of this server")
	if !slices.Contains(r.Claims, service.Claim{HostPort: pod.HostPort{Port: 30500, Protocol: "UDP"}, Service: pod.Key{Namespace: "default", Name: "e"}}) {
		t.Errorf("claims %v lack the node port of e", r.Claims)
	}
	// The earlier one keeps it; a pod that came later is not its problem.
	in.Memory = service.Memory{"default/b": {NodePorts: map[service.Port]int32{{Port: 80, Protocol: "TCP"}: 30500}}, "default/g": {NodePorts: map[service.Port]int32{{Port: 80, Protocol: "TCP"}: 30700}}}
	r = service.Resolve(in)
	told(t, r, "a", "taken by Service default/b")
	if port("b", 0) != 30500 || port("g", 0) != 30700 {
		t.Errorf("b has %d and g %d", port("b", 0), port("g", 0))
	}
}

func TestLoadBalancers(t *testing.T) {
	in := input(
		object("a", func(s *corev1.ServiceSpec) { balancer(s); dual(s) }), object("b", balancer), object("c", func(s *corev1.ServiceSpec) { balancer(s); s.Ports[0].Port = 22 }),
		object("d", func(s *corev1.ServiceSpec) { balancer(s); s.Ports[0].Port = 443 }), object("e", func(s *corev1.ServiceSpec) { balancer(s); s.Ports[0].Port = 444 }),
	)
	in.Listeners = []pod.Listener{{HostPort: pod.HostPort{IP: "0.0.0.0", Port: 22, Protocol: "TCP"}, PID: 7, Name: "sshd"}}
	in.Pods = []service.Pod{member("p", "none", func(p *service.Pod) {
		p.Spec.Containers[0].Ports = []corev1.ContainerPort{{HostPort: 443, HostIP: "192.0.2.1", Protocol: "TCP"}, {HostPort: 444, HostIP: "127.0.0.1", Protocol: "TCP"}}
	})}
	r := service.Resolve(in)
	if got, want := find(t, r, "a").HostIPs, append(slices.Clone(in.NodeIPs), "127.0.0.1"); !slices.Equal(got, want) {
		t.Errorf("a answers at %v, want %v", got, want)
	}
	for name, holder := range map[string]string{"b": "Service default/a", "c": "process sshd", "d": "pod default/p", "e": "pod default/p"} {
		told(t, r, name, "spec.ports[0].port: conflict", "taken on this server by "+holder, "the Service has no load balancer; all else of it works")
		if s := find(t, r, name); len(s.HostIPs) > 0 || s.Ports[0].NodePort == 0 {
			t.Errorf("%s is %+v, want one without load balancer", name, s)
		}
	}
	in.Memory = r.Memory
	in.Objects = append([]pod.Object{object("0", balancer)}, in.Objects...)
	r = service.Resolve(in)
	told(t, r, "0", "taken on this server by Service default/a")
}

// TestPortsThatPodsListenOn: a pod on the host's network has the ports that it
// listens on, whether it says so or not.
func TestPortsThatPodsListenOn(t *testing.T) {
	at := func(port int32, uid types.UID) pod.Listener {
		return pod.Listener{HostPort: pod.HostPort{Port: port, Protocol: "TCP"}, PID: 7, Name: "app", UID: uid}
	}
	in := input(
		object("a", nodePort(30500)), object("b", func(s *corev1.ServiceSpec) { balancer(s); s.Ports[0].Port = 8080 }), object("c", nodePort(30600)),
		object("d", nodePort(30700)), object("e", nodePort(0)),
	)
	in.Pods = []service.Pod{member("p", "none", func(p *service.Pod) {
		p.UID = "uid-of-p"
		p.Spec.HostNetwork, p.Spec.Containers[0].Ports[0].HostPort = true, 30600
	}), member("q", "none", nil)}
	for n := int32(30000); n < 32767; n++ { // all but the last one
		in.Listeners = append(in.Listeners, at(n, "uid-of-p"))
	}
	in.Listeners = append(in.Listeners, at(8080, "uid-of-p"))
	in.Listeners[700].UID = "uid-of-one-that-went"
	r := service.Resolve(in)
	told(t, r, "a", "spec.ports[0].nodePort: conflict", "taken by pod default/p")
	told(t, r, "b", "spec.ports[0].port: conflict", "taken on this server by pod default/p", "the Service has no load balancer; all else of it works")
	told(t, r, "c", "spec.ports[0].nodePort: conflict", "taken by pod default/p")
	told(t, r, "d", "spec.ports[0].nodePort: conflict", "taken by process app (pid 7) of a pod")
	if got := find(t, r, "b"); len(got.HostIPs) > 0 || got.Ports[0].NodePort != 32767 {
		t.Errorf("b is %+v", got)
	}
	told(t, r, "e", "no node port is left")
	if len(r.Problems) != 5 {
		t.Errorf("problems %v, want one of each", r.Problems)
	}
	in.Listeners = nil
	r = service.Resolve(in)
	told(t, r, "c", "taken by pod default/p")
	if len(r.Problems) != 1 {
		t.Errorf("with nobody there, problems %v", r.Problems)
	}
}
