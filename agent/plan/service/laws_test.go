package service_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/podstead/podstead/agent/plan/service"
	"github.com/podstead/podstead/pod"
)

// world draws a server with so many Services, pods and ports that they are in
// each other's way.
func world(t *rapid.T) service.Input {
	var objects []pod.Object
	for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-h]`), 0, 8, rapid.ID).Draw(t, "services") {
		objects = append(objects, object(name, func(s *corev1.ServiceSpec) { drawSpec(t, s) }))
	}
	in := input(objects...)
	in.Ranges = []netip.Prefix{netip.MustParsePrefix("10.118.0.0/27"), netip.MustParsePrefix("fd00:118::/123")}
	if rapid.Bool().Draw(t, "one family") {
		in.Ranges = in.Ranges[:1]
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[p-z]`), 0, 6, rapid.ID).Draw(t, "pods") {
		in.Pods = append(in.Pods, member(name, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "app"), func(p *service.Pod) {
			p.Ready, p.Stopping = rapid.Bool().Draw(t, "ready"), rapid.Bool().Draw(t, "stopping")
			p.Spec.Containers[0].Ports[0].HostPort = rapid.SampledFrom([]int32{0, 80, 30000, 30001}).Draw(t, "hostPort")
		}))
	}
	return in
}

func drawSpec(t *rapid.T, s *corev1.ServiceSpec) {
	s.Type = rapid.SampledFrom([]corev1.ServiceType{"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"}).Draw(t, "type")
	s.IPFamilyPolicy = rapid.SampledFrom([]*corev1.IPFamilyPolicy{nil, new(corev1.IPFamilyPolicyPreferDualStack), new(corev1.IPFamilyPolicyRequireDualStack)}).Draw(t, "policy")
	if ip := rapid.SampledFrom([]string{"", "", "None", "10.118.0.20", "10.118.0.21", "10.118.0.10", "10.96.0.1"}).Draw(t, "clusterIP"); ip != "" {
		clusterIPs(ip)(s)
	}
	for _, port := range rapid.SliceOfNDistinct(rapid.SampledFrom([]int32{80, 81, 53}), 1, 3, rapid.ID).Draw(t, "ports") {
		p := corev1.ServicePort{Name: fmt.Sprint(port), Port: port, Protocol: rapid.SampledFrom([]corev1.Protocol{"TCP", "UDP"}).Draw(t, "protocol")}
		if s.Type == "NodePort" || s.Type == "LoadBalancer" {
			p.NodePort = rapid.SampledFrom([]int32{0, 0, 30000, 30001, 30086, 1}).Draw(t, "nodePort")
		}
		s.Ports = append(s.Ports, p)
	}
	s.Ports = s.Ports[1:]
}

// TestNobodyHasWhatIsAnothers: nor what is nobody's to have.
func TestNobodyHasWhatIsAnothers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := world(t)
		r := service.Resolve(in)
		addresses := map[string]pod.Key{}
		for _, s := range r.Services {
			for _, ip := range s.ClusterIPs {
				a := netip.MustParseAddr(ip)
				inside := slices.ContainsFunc(in.Ranges, func(p netip.Prefix) bool { return p.Contains(a) && p.Addr() != a })
				if holder, taken := addresses[ip]; taken || !inside || slices.Contains(in.Reserved, a) {
					t.Fatalf("%s has %s, which %v has", s.Key, ip, holder)
				}
				addresses[ip] = s.Key
			}
		}
		ports := map[pod.HostPort]pod.Key{}
		for _, c := range r.Claims {
			all := c.HostPort
			all.IP = ""
			for _, hp := range []pod.HostPort{c.HostPort, all} {
				if holder, taken := ports[hp]; taken && holder != c.Service {
					t.Fatalf("%s has %v, which %s has", c.Service, c.HostPort, holder)
				}
			}
			ports[c.HostPort] = c.Service
		}
		for _, s := range r.Services {
			for _, p := range s.Ports {
				if want := (pod.HostPort{Port: p.NodePort, Protocol: p.Protocol}); p.NodePort != 0 && ports[want] != s.Key {
					t.Fatalf("%s has node port %v, which is not among the claims", s.Key, want)
				}
			}
		}
	})
}

// TestWhatIsGivenStays: asked again with what it remembers, it says the same;
// and whoever comes or goes, what others have stays theirs.
func TestWhatIsGivenStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := world(t)
		before := service.Resolve(in)
		in.Memory = before.Memory
		again := service.Resolve(in)
		again.Problems = before.Problems // It may know more of who is in the way.
		if diff := cmp.Diff(before, again); diff != "" {
			t.Fatalf("asked again (-before +now):\n%s", diff)
		}
		in.Objects = slices.DeleteFunc(slices.Clone(in.Objects), func(pod.Object) bool { return rapid.Bool().Draw(t, "goes") })
		for _, name := range []string{"0", "i"} { // before and after all others
			in.Objects = append(in.Objects, object(name, func(s *corev1.ServiceSpec) { drawSpec(t, s) }))
		}
		now := service.Resolve(in)
		for name, had := range before.Memory {
			has, stays := now.Memory[name]
			if !stays {
				continue
			}
			for _, ip := range had.ClusterIPs {
				if !slices.Contains(has.ClusterIPs, ip) {
					t.Fatalf("%s had %s and has %v", name, ip, has.ClusterIPs)
				}
			}
			for port, n := range had.NodePorts {
				if has.NodePorts[port] != n {
					t.Fatalf("%s had node port %d for %s and has %d", name, n, port, has.NodePorts[port])
				}
			}
			if len(had.HostPorts) > 0 && len(has.HostPorts) == 0 {
				t.Fatalf("%s was a load balancer and is none", name)
			}
		}
	})
}

// TestOrderDoesNotMatter: nor do lost memories, as long as nobody else came.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := world(t)
		before := service.Resolve(in)
		in.Objects = rapid.Permutation(in.Objects).Draw(t, "objects")
		in.Pods = rapid.Permutation(in.Pods).Draw(t, "pods")
		if diff := cmp.Diff(before, service.Resolve(in)); diff != "" {
			t.Fatalf("in another order (-before +now):\n%s", diff)
		}
	})
}

// TestOnlyPodsThatMayGetTraffic: every endpoint is a pod that the selector
// finds, that is ready or published, and that is not being ended.
func TestOnlyPodsThatMayGetTraffic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := world(t)
		r := service.Resolve(in)
		may := map[string]map[string]bool{}
		for _, p := range in.Pods {
			for _, ip := range p.IPs {
				if p.Ready && !p.Stopping {
					if may[p.Labels["app"]] == nil {
						may[p.Labels["app"]] = map[string]bool{}
					}
					may[p.Labels["app"]][ip] = true
				}
			}
		}
		for _, s := range r.Services {
			for _, p := range s.Ports {
				families := map[bool]bool{}
				for _, e := range p.Endpoints {
					families[netip.MustParseAddr(e.IP).Is6()] = true
					if !may[s.Key.Name][e.IP] {
						t.Fatalf("%s leads to %v", s.Key, e)
					}
				}
				for range families {
					if len(p.Endpoints) != len(families)*len(may[s.Key.Name])/2 {
						t.Fatalf("%s leads to %v, want all of %v", s.Key, p.Endpoints, may[s.Key.Name])
					}
				}
			}
		}
	})
}

func TestThousandServicesAreResolvedQuickly(t *testing.T) {
	in := input()
	for i := range 1000 {
		in.Objects = append(in.Objects, object(fmt.Sprintf("s%d", i), nodePort(0)))
		in.Pods = append(in.Pods, service.Pod{
			Key: pod.Key{Namespace: "default", Name: fmt.Sprintf("p%d", i)}, Labels: map[string]string{"app": fmt.Sprintf("s%d", i), "tier": "web"},
			Spec: &corev1.PodSpec{}, IPs: []string{fmt.Sprintf("10.117.%d.%d", i/250, i%250)}, Ready: true,
		})
	}
	in.Memory = service.Resolve(in).Memory
	took := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			service.Resolve(in)
		}
	})
	t.Log(took)
	if took.NsPerOp() > 500e6 {
		t.Errorf("it took %d ms", took.NsPerOp()/1e6)
	}
}
