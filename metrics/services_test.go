package metrics

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// TestServicesAreCounted: of three endpoints one gets traffic, and the Service
// lacks a port.
func TestServicesAreCounted(t *testing.T) {
	snap := snapshot()
	endpoint := func(ready, terminating bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: []string{"10.1.0.2"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready, Terminating: &terminating}}
	}
	snap.Services = []pod.ServiceView{{
		Service: &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "counted"}},
		Slices: []discoveryv1.EndpointSlice{{AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints: []discoveryv1.Endpoint{endpoint(true, false), endpoint(false, false), endpoint(true, true)}}},
		Problems: []pod.Problem{{Reason: pod.ReasonConflict}},
	}}
	synctest.Test(t, func(t *testing.T) {
		measured(t, New(config(snap)), func(h http.Handler) {
			page := get(h, "/metrics").Body.String()
			for _, want := range []string{
				`podstead_service_ready_endpoints{namespace="default",service="counted",family="IPv4"} 1`,
				`podstead_service_problems{namespace="default",service="counted"} 1`,
			} {
				if !strings.Contains(page, want+"\n") {
					t.Errorf("no %q in\n%s", want, page)
				}
			}
		})
	})
}
