package service_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/agent/plan/service"
	"github.com/podstead/podstead/pod"
)

// TestPodsAreShownInTheFamiliesOfAService: as in Kubernetes, there are slices
// for what traffic goes to, and no others.
func TestPodsAreShownInTheFamiliesOfAService(t *testing.T) {
	in := input(object("one", nil), object("both", dual), object("headless", clusterIPs(corev1.ClusterIPNone)))
	in.Pods = []service.Pod{member("a", "one", nil), member("b", "both", nil), member("c", "headless", nil)}
	want := map[string]string{"one": "[10.117.0.97]", "both": "[10.117.0.98][fd00:117::98]", "headless": "[10.117.0.99]"}
	for _, v := range service.Views(in, service.Resolve(in), "node", "node") {
		var got []string
		for _, s := range v.Slices {
			got = append(got, fmt.Sprint(s.Endpoints[0].Addresses))
		}
		slices.Sort(got)
		if text := strings.Join(got, ""); text != want[v.Service.Name] {
			t.Errorf("Service %s has endpoints %s, want %s", v.Service.Name, text, want[v.Service.Name])
		}
	}
}

// BenchmarkThousandServices decides again about 1,000 Services with an
// endpoint each, of which one changed.
func BenchmarkThousandServices(b *testing.B) {
	in := service.Input{Ranges: []netip.Prefix{netip.MustParsePrefix("10.118.0.0/16"), netip.MustParsePrefix("fd00::/112")}}
	for i := range 1000 {
		key := pod.Key{Namespace: "default", Name: fmt.Sprintf("many-%04d", i)}
		in.Objects = append(in.Objects, pod.Object{
			ObjectKey: pod.ObjectKey{Kind: pod.KindService, Key: key},
			Service:   &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}}}},
		}, pod.Object{
			ObjectKey: pod.ObjectKey{Kind: pod.KindEndpointSlice, Key: key},
			EndpointSlice: &discoveryv1.EndpointSlice{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: key.Name, Labels: map[string]string{discoveryv1.LabelServiceName: key.Name}},
				Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{fmt.Sprintf("192.0.2.%d", 1+i%250)}}},
				Ports:      []discoveryv1.EndpointPort{{Name: new(""), Protocol: new(corev1.ProtocolTCP), Port: new(int32(80))}},
			},
		})
	}
	result := service.Resolve(in)
	if len(result.Services) != 1000 || len(result.Services[7].Ports[0].Endpoints) != 1 {
		b.Fatalf("%d Services, the eighth is %+v", len(result.Services), result.Services[7])
	}
	in.Memory = result.Memory
	b.Run("Resolve", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			service.Resolve(in)
		}
	})
	b.Run("Views", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			service.Views(in, result, "node", "node")
		}
	})
}
