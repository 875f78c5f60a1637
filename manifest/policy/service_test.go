package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/manifest/policy"
	"github.com/podstead/podstead/pod"
)

func service(t corev1.ServiceType, ports ...corev1.ServicePort) *pod.Object {
	return &pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.KindService}, Service: &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec:       corev1.ServiceSpec{Type: t, Ports: ports},
	}}
}

// A port that a Service opens on the server is what a host port is: a source
// that may not have one must not get it by this way either.
func TestPortsThatServicesOpen(t *testing.T) {
	fixed := corev1.ServicePort{Port: 443, NodePort: 30443}
	chosen := corev1.ServicePort{Port: 443}
	without := func(o *pod.Object) *pod.Object {
		o.Service.Spec.AllocateLoadBalancerNodePorts = new(false)
		return o
	}
	const (
		balanced = `spec.ports[0].port: policy: is not allowed for this source: type LoadBalancer opens it on the server (got 443, want a port that the source's allowHostPorts allows)`
		opened   = `spec.ports[0].nodePort: policy: is not allowed for this source: it is opened on the server (got 30443, want a port that the source's allowHostPorts allows)`
		anyPort  = `spec.ports[0].nodePort: policy: may be any port of the range if it is not set, which is not allowed for this source (got not set, want a port that the source's allowHostPorts allows, or allowHostPorts with 30000-32767)`
		anyOther = `spec.ports[0].nodePort: policy: may be any port of the range if it is not set, which is not allowed for this source (got not set, want allocateLoadBalancerNodePorts: false, a port that the source's allowHostPorts allows, or allowHostPorts with 30000-32767)`
	)
	all := []policy.PortRange{{First: 30000, Last: 31000}, {First: 31001, Last: 32767}}
	for name, tt := range map[string]struct {
		service *pod.Object
		granted []policy.PortRange
		want    []string
	}{
		"inside":                        {service(corev1.ServiceTypeClusterIP, chosen), nil, nil},
		"a name":                        {service(corev1.ServiceTypeExternalName, chosen), nil, nil},
		"a node port":                   {service(corev1.ServiceTypeNodePort, fixed), nil, []string{opened}},
		"a granted node port":           {service(corev1.ServiceTypeNodePort, fixed), []policy.PortRange{{First: 30443, Last: 30443}}, nil},
		"any node port":                 {service(corev1.ServiceTypeNodePort, chosen), []policy.PortRange{{First: 30000, Last: 32766}}, []string{anyPort}},
		"any node port, all granted":    {service(corev1.ServiceTypeNodePort, chosen), all, nil},
		"the node port's inner port":    {service(corev1.ServiceTypeNodePort, fixed), []policy.PortRange{{First: 443, Last: 443}}, []string{opened}},
		"a load balancer":               {service(corev1.ServiceTypeLoadBalancer, chosen), nil, []string{balanced, anyOther}},
		"a load balancer's own port":    {service(corev1.ServiceTypeLoadBalancer, chosen), []policy.PortRange{{First: 443, Last: 443}}, []string{anyOther}},
		"a load balancer alone":         {without(service(corev1.ServiceTypeLoadBalancer, chosen)), []policy.PortRange{{First: 443, Last: 443}}, nil},
		"a load balancer not granted":   {without(service(corev1.ServiceTypeLoadBalancer, chosen)), all, []string{balanced}},
		"a load balancer and node port": {without(service(corev1.ServiceTypeLoadBalancer, fixed)), []policy.PortRange{{First: 443, Last: 443}}, []string{opened}},
	} {
		for _, level := range []string{"baseline", "restricted"} {
			got := lines(policy.Check(tt.service, policy.Level{PodSecurity: level, AllowHostPorts: tt.granted}))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, level, diff)
			}
		}
		if got := policy.Check(tt.service, policy.Level{PodSecurity: "privileged"}); len(got) > 0 {
			t.Errorf("%s, privileged: %q", name, lines(got))
		}
	}
}

func TestNamespacesAndLevelsHoldForEveryKind(t *testing.T) {
	o := service(corev1.ServiceTypeClusterIP)
	want := []string{`metadata.namespace: policy: is not allowed for this source (got "default", want shop)`}
	if diff := cmp.Diff(want, lines(policy.Check(o, policy.Level{PodSecurity: "privileged", Namespaces: []string{"shop"}}))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := policy.Check(o, policy.Level{}); len(got) != 1 {
		t.Errorf("a level that is none allows a Service: %q", lines(got))
	}
}
