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
