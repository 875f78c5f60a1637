package service_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podstead/podstead/agent/plan/service"
	"github.com/podstead/podstead/pod"
)

// input is a server with both families and these objects.
func input(objects ...pod.Object) service.Input {
	return service.Input{
		Objects:  objects,
		Ranges:   []netip.Prefix{netip.MustParsePrefix("10.118.0.0/16"), netip.MustParsePrefix("fd00:118::/112")},
		Reserved: []netip.Addr{netip.MustParseAddr("10.118.0.10"), netip.MustParseAddr("fd00:118::a")},
		NodeIPs:  []string{"192.0.2.1", "2001:db8::1"},
	}
}

// object is a Service default/NAME that selects app=NAME, with port 80.
func object(name string, change func(*corev1.ServiceSpec)) pod.Object {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, Selector: map[string]string{"app": name}, SessionAffinity: corev1.ServiceAffinityNone,
			Ports: []corev1.ServicePort{{Protocol: corev1.ProtocolTCP, Port: 80, TargetPort: intstr.FromInt32(8080)}},
		},
	}
	if change != nil {
		change(&s.Spec)
	}
	return pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.KindService, Key: pod.Key{Namespace: "default", Name: name}}, Service: s, Origin: pod.Origin{File: name + ".yaml"}}
}

func nodePort(port int32) func(*corev1.ServiceSpec) {
	return func(s *corev1.ServiceSpec) { s.Type, s.Ports[0].NodePort = corev1.ServiceTypeNodePort, port }
}

func clusterIPs(ips ...string) func(*corev1.ServiceSpec) {
	return func(s *corev1.ServiceSpec) { s.ClusterIP, s.ClusterIPs = ips[0], ips }
}

func dual(s *corev1.ServiceSpec) { s.IPFamilyPolicy = new(corev1.IPFamilyPolicyPreferDualStack) }

func balancer(s *corev1.ServiceSpec) { s.Type = corev1.ServiceTypeLoadBalancer }

// member is a ready pod default/NAME with label app=APP.
func member(name, app string, change func(*service.Pod)) service.Pod {
	p := service.Pod{
		Key: pod.Key{Namespace: "default", Name: name}, Labels: map[string]string{"app": app, "pod": name}, Ready: true,
		IPs:  []string{fmt.Sprintf("10.117.0.%d", name[0]), fmt.Sprintf("fd00:117::%d", name[0])},
		Spec: &corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8081, Protocol: corev1.ProtocolTCP}}}}},
	}
	if change != nil {
		change(&p)
	}
	return p
}

func find(t *testing.T, r service.Result, name string) pod.Service {
	t.Helper()
	for _, s := range r.Services {
		if s.Key.Name == name {
			return s
		}
	}
	t.Fatalf("there is no Service %s in %+v", name, r.Services)
	return pod.Service{}
}

func findName(t *testing.T, r service.Result, name string) pod.NamedService {
	t.Helper()
	for _, s := range r.Zone.Services {
		if s.Key.Name == name {
			return s
		}
	}
	t.Fatalf("there is no name %s in %+v", name, r.Zone)
	return pod.NamedService{}
}

// told fails the test unless there is exactly one problem, with all the words.
func told(t *testing.T, r service.Result, name string, words ...string) {
	t.Helper()
	var of []string
	for _, p := range r.Problems {
		if p.Key.Name == name {
			of = append(of, p.String()+"; "+p.Consequence)
		}
	}
	if len(of) != 1 {
		t.Fatalf("problems of %s: %q, want one", name, of)
	}
	for _, w := range words {
		if !strings.Contains(of[0], w) {
			t.Errorf("problem of %s: %q, want %q in it", name, of[0], w)
		}
	}
}

func untroubled(t *testing.T, r service.Result) {
	t.Helper()
	if len(r.Problems) > 0 {
		t.Errorf("problems: %v", r.Problems)
	}
}

// TestEndpointsOfPods: who gets traffic and at which port.
func TestEndpointsOfPods(t *testing.T) {
	const a, b = "10.117.0.97", "10.117.0.98"
	byName := func(s *corev1.ServiceSpec) { s.Ports[0].TargetPort = intstr.FromString("http") }
	for name, tc := range map[string]struct {
		service func(*corev1.ServiceSpec)
		pods    []service.Pod
		want    []pod.Endpoint
	}{
		"ready":           {nil, []service.Pod{member("b", "web", nil), member("a", "web", nil)}, []pod.Endpoint{{IP: a, Port: 8080}, {IP: b, Port: 8080}}},
		"other label":     {nil, []service.Pod{member("a", "db", nil)}, nil},
		"not ready":       {nil, []service.Pod{member("a", "web", func(p *service.Pod) { p.Ready = false })}, nil},
		"stopping":        {nil, []service.Pod{member("a", "web", func(p *service.Pod) { p.Stopping = true })}, nil},
		"other namespace": {nil, []service.Pod{member("a", "web", func(p *service.Pod) { p.Key.Namespace = "other" })}, nil},
		"not ready but published": {func(s *corev1.ServiceSpec) { s.PublishNotReadyAddresses = true },
			[]service.Pod{member("a", "web", func(p *service.Pod) { p.Ready = false }), member("b", "web", func(p *service.Pod) { p.Stopping = true })}, []pod.Endpoint{{IP: a, Port: 8080}}},
		"two labels":           {func(s *corev1.ServiceSpec) { s.Selector["pod"] = "b" }, []service.Pod{member("a", "web", nil), member("b", "web", nil)}, []pod.Endpoint{{IP: b, Port: 8080}}},
		"both families":        {dual, []service.Pod{member("a", "web", nil)}, []pod.Endpoint{{IP: a, Port: 8080}, {IP: "fd00:117::97", Port: 8080}}},
		"target port left out": {func(s *corev1.ServiceSpec) { s.Ports[0].TargetPort = intstr.IntOrString{} }, []service.Pod{member("a", "web", nil)}, []pod.Endpoint{{IP: a, Port: 80}}},
		"named": {byName, []service.Pod{member("a", "web", nil), member("b", "web", func(p *service.Pod) { p.Spec.Containers[0].Ports[0].ContainerPort = 9090 })},
			[]pod.Endpoint{{IP: a, Port: 8081}, {IP: b, Port: 9090}}},
		"named otherwise":     {byName, []service.Pod{member("a", "web", func(p *service.Pod) { p.Spec.Containers[0].Ports[0].Name = "web" })}, nil},
		"named of other kind": {byName, []service.Pod{member("a", "web", func(p *service.Pod) { p.Spec.Containers[0].Ports[0].Protocol = corev1.ProtocolUDP })}, nil},
		"named in a sidecar": {byName, []service.Pod{member("a", "web", func(p *service.Pod) {
			p.Spec.InitContainers = []corev1.Container{{RestartPolicy: new(corev1.ContainerRestartPolicyAlways), Ports: p.Spec.Containers[0].Ports}}
			p.Spec.Containers[0].Ports = nil
		})}, []pod.Endpoint{{IP: a, Port: 8081}}},
		"named in an init container": {byName, []service.Pod{member("a", "web", func(p *service.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Ports: p.Spec.Containers[0].Ports}}
			p.Spec.Containers[0].Ports = nil
		})}, nil},
		"without a selector": {func(s *corev1.ServiceSpec) { s.Selector = nil }, []service.Pod{member("a", "web", nil)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(object("web", tc.service))
			in.Pods = tc.pods
			r := service.Resolve(in)
			untroubled(t, r)
			if diff := cmp.Diff(tc.want, find(t, r, "web").Ports[0].Endpoints); diff != "" {
				t.Errorf("endpoints (-want +got):\n%s", diff)
			}
		})
	}
}

// slice is a hand-written EndpointSlice of Service default/SERVICE.
func slice(service, port string, ips ...string) pod.Object {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: service + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: &port, Port: new(int32(5432))}},
	}
	for _, ip := range ips {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{ip, "203.0.113.99"}})
	}
	return pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.KindEndpointSlice, Key: pod.Key{Namespace: "default", Name: s.Name}}, EndpointSlice: s, Origin: pod.Origin{File: "slice.yaml"}}
}

func TestEndpointsByHand(t *testing.T) {
	database := object("db", func(s *corev1.ServiceSpec) { s.Selector, s.Ports[0].Name = nil, "pg" })
	for name, tc := range map[string]struct {
		slice pod.Object
		want  []pod.Endpoint
	}{
		"ready":         {slice("db", "pg", "203.0.113.7", "203.0.113.6"), []pod.Endpoint{{IP: "203.0.113.6", Port: 5432}, {IP: "203.0.113.7", Port: 5432}}},
		"other port":    {slice("db", "mysql", "203.0.113.7"), nil},
		"other Service": {slice("web", "pg", "203.0.113.7"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := service.Resolve(input(database, tc.slice))
			untroubled(t, r)
			if diff := cmp.Diff(tc.want, find(t, r, "db").Ports[0].Endpoints); diff != "" {
				t.Errorf("endpoints (-want +got):\n%s", diff)
			}
		})
	}
	some := slice("db", "pg", "203.0.113.5", "203.0.113.6", "203.0.113.7", "10.118.3.4", "2001:db8::5")
	e := some.EndpointSlice.Endpoints
	e[1].Conditions.Ready, e[2].Conditions.Terminating = new(false), new(true)
	r := service.Resolve(input(database, some))
	if diff := cmp.Diff([]pod.Endpoint{{IP: "203.0.113.5", Port: 5432}}, find(t, r, "db").Ports[0].Endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	told(t, r, "db-1", "slice.yaml", "endpoints[3].addresses[0]", "10.118.3.4", "outside of 10.118.0.0/16", "no traffic goes there")
}

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
	in.Listeners = []pod.Listener{{HostPort: pod.HostPort{Port: 30800, Protocol: "TCP"}, PID: 7, Name: "sshd"}, {HostPort: pod.HostPort{Port: 30500, Protocol: "TCP"}, UID: "of-a-pod"}}
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
	if got := find(t, r, "a").HostIPs; !slices.Equal(got, in.NodeIPs) {
		t.Errorf("a answers at %v, want %v", got, in.NodeIPs)
	}
	if got := find(t, r, "e").HostIPs; !slices.Equal(got, in.NodeIPs[:1]) {
		t.Errorf("e answers at %v, want %v", got, in.NodeIPs[:1])
	}
	for name, holder := range map[string]string{"b": "Service default/a", "c": "process sshd", "d": "pod default/p"} {
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

func TestServicesWithoutTraffic(t *testing.T) {
	headless := object("headless", func(s *corev1.ServiceSpec) {
		clusterIPs(corev1.ClusterIPNone)(s)
		s.Ports[0].Name = "http"
	})
	external := object("external", func(s *corev1.ServiceSpec) {
		s.Type, s.ExternalName, s.Selector = corev1.ServiceTypeExternalName, "db.example.org", nil
	})
	in := input(headless, external, object("plain", nil))
	in.Pods = []service.Pod{
		member("b", "headless", nil), member("c", "headless", func(p *service.Pod) { p.Ready = false }),
		member("a", "headless", func(p *service.Pod) { p.Spec.Hostname, p.Spec.Subdomain = "first", "headless" }),
		member("d", "headless", func(p *service.Pod) { p.Spec.Hostname, p.Spec.Subdomain = "second", "other" }),
	}
	r := service.Resolve(in)
	untroubled(t, r)
	if len(r.Services) != 1 || r.Services[0].Key.Name != "plain" {
		t.Errorf("Services with traffic: %+v", r.Services)
	}
	ports := []pod.NamedPort{{Name: "http", Protocol: "TCP", Port: 8080}}
	want := []pod.NamedMember{{IPs: []string{"10.117.0.98"}, Ports: ports}, {IPs: []string{"10.117.0.100"}, Ports: ports}, {Hostname: "first", IPs: []string{"10.117.0.97"}, Ports: ports}}
	if diff := cmp.Diff(want, findName(t, r, "headless").Members); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if got := findName(t, r, "external"); got.ExternalName != "db.example.org" || len(got.IPs) > 0 {
		t.Errorf("external is %+v", got)
	}
	plain := findName(t, r, "plain")
	if !slices.Equal(plain.IPs, r.Services[0].ClusterIPs) || !slices.Equal(plain.Ports, []pod.NamedPort{{Protocol: "TCP", Port: 80}}) {
		t.Errorf("plain is %+v", plain)
	}
	byHand := object("hand", func(s *corev1.ServiceSpec) { clusterIPs(corev1.ClusterIPNone)(s); s.Selector = nil })
	some := slice("hand", "pg", "203.0.113.5")
	some.EndpointSlice.Endpoints[0].Hostname = new("primary")
	r = service.Resolve(input(byHand, some))
	if diff := cmp.Diff([]pod.NamedMember{{Hostname: "primary", IPs: []string{"203.0.113.5"}, Ports: []pod.NamedPort{{Name: "pg", Protocol: "TCP", Port: 5432}}}}, findName(t, r, "hand").Members); diff != "" {
		t.Errorf("members by hand (-want +got):\n%s", diff)
	}
}

func TestAffinity(t *testing.T) {
	for name, tc := range map[string]struct {
		config *corev1.SessionAffinityConfig
		want   time.Duration
	}{
		"nothing said": {nil, 3 * time.Hour},
		"a minute":     {&corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: new(int32(60))}}, time.Minute},
	} {
		r := service.Resolve(input(object("web", func(s *corev1.ServiceSpec) {
			s.SessionAffinity, s.SessionAffinityConfig = corev1.ServiceAffinityClientIP, tc.config
		})))
		if got := find(t, r, "web").Affinity; got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestMemoryCanBeStored(t *testing.T) {
	r := service.Resolve(input(object("a", balancer), object("b", nil), object("c", nodePort(30001))))
	text, err := json.Marshal(r.Memory)
	if err != nil {
		t.Fatal(err)
	}
	var back service.Memory
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Memory, back); diff != "" {
		t.Errorf("read again it is another:\n%s\n%s", text, diff)
	}
}
