package policy

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/manifest/validation"
)

// openPorts refuses the ports that a Service would open on the server and the
// source was not granted: to whoever connects, they are what host ports are.
func (l Level) openPorts(s *corev1.ServiceSpec) []validation.Error {
	balanced := s.Type == corev1.ServiceTypeLoadBalancer
	if !balanced && s.Type != corev1.ServiceTypeNodePort {
		return nil
	}
	allocated := !balanced || s.AllocateLoadBalancerNodePorts == nil || *s.AllocateLoadBalancerNodePorts
	var errs []validation.Error
	for i, p := range s.Ports {
		at := field.NewPath("spec", "ports").Index(i)
		if balanced && !l.allowsPort(p.Port) {
			errs = append(errs, refusal(at.Child("port"),
				"is not allowed for this source: type LoadBalancer opens it on the server", fmt.Sprint(p.Port), "a port that the source's allowHostPorts allows"))
		}
		switch {
		case p.NodePort != 0 && !l.allowsPort(p.NodePort):
			errs = append(errs, refusal(at.Child("nodePort"),
				"is not allowed for this source: it is opened on the server", fmt.Sprint(p.NodePort), "a port that the source's allowHostPorts allows"))
		case p.NodePort == 0 && allocated && !l.allowsNodePorts():
			errs = append(errs, refusal(at.Child("nodePort"), "may be any port of the range if it is not set, which is not allowed for this source",
				notSet, l.insteadOfAny(balanced)))
		}
	}
	return errs
}

func (l Level) insteadOfAny(balanced bool) string {
	want := fmt.Sprintf("a port that the source's allowHostPorts allows, or allowHostPorts with %d-%d", validation.FirstNodePort, validation.LastNodePort)
	if balanced {
		want = "allocateLoadBalancerNodePorts: false, " + want
	}
	return want
}

// allowsNodePorts tells whether every port that could be chosen is granted.
func (l Level) allowsNodePorts() bool {
	for port := int32(validation.FirstNodePort); port <= validation.LastNodePort; port++ {
		if !l.allowsPort(port) {
			return false
		}
	}
	return true
}
