package validation

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// The range of ports that every address of the server may have for a Service,
// as in Kubernetes.
const (
	FirstNodePort = 30000
	LastNodePort  = 32767
)

// maxAffinitySeconds is a day.
const maxAffinitySeconds = 86400

func (c *checker) service(s *corev1.Service) {
	meta, at := field.NewPath("metadata"), field.NewPath("spec")
	c.objectName(&s.ObjectMeta, meta, validation.IsDNS1035Label)
	c.surroundings(&s.ObjectMeta, meta)
	c.ownAnnotations(s.Annotations, meta.Child("annotations"), nil)
	oneOf(c, at.Child("type"), s.Spec.Type, corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort,
		corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeExternalName)
	c.labels(s.Spec.Selector, at.Child("selector"))
	c.affinity(&s.Spec, at)
	c.trafficPolicies(&s.Spec, at)
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		c.externalName(&s.Spec, at)
		c.servicePorts(&s.Spec, at.Child("ports"))
		return
	}
	if s.Spec.ExternalName != "" {
		c.refuse(at.Child("externalName"), pod.ReasonInvalid, finding{"is only for type ExternalName", quote(s.Spec.ExternalName), "the field left out"})
	}
	c.clusterIPs(&s.Spec, at)
	c.families(&s.Spec, at)
	if len(s.Spec.Ports) == 0 && s.Spec.ClusterIP != corev1.ClusterIPNone {
		c.refuse(at.Child("ports"), pod.ReasonRequired, finding{message: "is required", want: "at least one port, or clusterIP: None"})
	}
	c.servicePorts(&s.Spec, at.Child("ports"))
}

// externalName is another name in DNS: nothing of the Service but its name
// has an effect.
func (c *checker) externalName(s *corev1.ServiceSpec, at *field.Path) {
	here := at.Child("externalName")
	if s.ExternalName == "" {
		c.refuse(here, pod.ReasonRequired, finding{message: "is required for type ExternalName", want: "the name of a host, such as db.example.com"})
	} else {
		name := strings.TrimSuffix(s.ExternalName, ".")
		c.refuseAll(here, pod.ReasonInvalidName, s.ExternalName, validation.IsDNS1123Subdomain(name))
		for label := range strings.SplitSeq(name, ".") { // DNS can't have longer ones (RFC 1035 §2.3.4).
			if len(label) > validation.DNS1123LabelMaxLength {
				c.refuseAll(here, pod.ReasonInvalidName, label, []string{"each part between dots " + validation.MaxLenError(validation.DNS1123LabelMaxLength)})
			}
		}
	}
	for _, other := range []struct {
		name, got string
	}{{"clusterIP", s.ClusterIP}, {"ipFamilyPolicy", string(deref(s.IPFamilyPolicy))}} {
		if other.got != "" {
			c.refuse(at.Child(other.name), pod.ReasonInvalid, finding{"is not for type ExternalName, which has no address", quote(other.got), "the field left out"})
		}
	}
	if len(s.IPFamilies) > 0 {
		c.refuse(at.Child("ipFamilies"), pod.ReasonInvalid, finding{message: "is not for type ExternalName, which has no address", want: "the field left out"})
	}
	if len(s.Selector) > 0 {
		c.warn(at.Child("selector"), pod.ReasonIgnoredField, finding{message: "has no effect with type ExternalName: the name alone is given out"})
	}
}

func deref[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

func (c *checker) affinity(s *corev1.ServiceSpec, at *field.Path) {
	oneOf(c, at.Child("sessionAffinity"), s.SessionAffinity, corev1.ServiceAffinityNone, corev1.ServiceAffinityClientIP)
	if s.SessionAffinityConfig == nil {
		return
	}
	here := at.Child("sessionAffinityConfig")
	if s.SessionAffinity != corev1.ServiceAffinityClientIP {
		c.warn(here, pod.ReasonIgnoredField, finding{message: "has no effect without sessionAffinity: ClientIP", want: "sessionAffinity: ClientIP, or the field left out"})
		return
	}
	if ip := s.SessionAffinityConfig.ClientIP; ip != nil && ip.TimeoutSeconds != nil {
		c.inRange(here.Child("clientIP", "timeoutSeconds"), pod.ReasonInvalid, int64(*ip.TimeoutSeconds), 1, maxAffinitySeconds)
	}
}

// isExternal tells the types that are reached from outside of the server.
func isExternal(t corev1.ServiceType) bool {
	return t == corev1.ServiceTypeNodePort || t == corev1.ServiceTypeLoadBalancer
}

func (c *checker) trafficPolicies(s *corev1.ServiceSpec, at *field.Path) {
	if s.InternalTrafficPolicy != nil {
		oneOf(c, at.Child("internalTrafficPolicy"), *s.InternalTrafficPolicy,
			corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal)
	}
	oneOf(c, at.Child("externalTrafficPolicy"), s.ExternalTrafficPolicy,
		corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal)
	if s.ExternalTrafficPolicy != "" && !isExternal(s.Type) {
		c.refuse(at.Child("externalTrafficPolicy"), pod.ReasonInvalid, finding{
			"is only for the types NodePort and LoadBalancer", quote(string(s.ExternalTrafficPolicy)), "the field left out"})
	}
	if s.AllocateLoadBalancerNodePorts != nil && s.Type != corev1.ServiceTypeLoadBalancer {
		c.refuse(at.Child("allocateLoadBalancerNodePorts"), pod.ReasonInvalid, finding{
			"is only for the type LoadBalancer", fmt.Sprint(*s.AllocateLoadBalancerNodePorts), "the field left out"})
	}
}

func (c *checker) servicePorts(s *corev1.ServiceSpec, at *field.Path) {
	names, ports, nodePorts := map[string]*field.Path{}, map[string]*field.Path{}, map[string]*field.Path{}
	for i := range s.Ports {
		p, here := &s.Ports[i], at.Index(i)
		c.servicePortName(p.Name, len(s.Ports), here.Child("name"), names)
		c.serviceProtocol(p.Protocol, here.Child("protocol"))
		if c.inRange(here.Child("port"), pod.ReasonInvalidPort, int64(p.Port), 1, maxPort) {
			c.once(fmt.Sprintf("%d/%s", p.Port, p.Protocol), "each port and protocol once in a Service", here.Child("port"), ports)
		}
		if p.TargetPort != intstr.FromInt32(p.Port) { // else all is said
			c.targetPort(p.TargetPort, here.Child("targetPort"))
		}
		if p.AppProtocol != nil {
			c.refuseAll(here.Child("appProtocol"), pod.ReasonInvalid, *p.AppProtocol, validation.IsQualifiedName(*p.AppProtocol))
		}
		c.nodePort(p, s.Type, here.Child("nodePort"), nodePorts)
	}
}

func (c *checker) servicePortName(name string, ports int, at *field.Path, names map[string]*field.Path) {
	if name == "" {
		if ports > 1 {
			c.refuse(at, pod.ReasonRequired, finding{message: "is required where there is more than one port", want: "a name, such as http"})
		}
		return
	}
	c.refuseAll(at, pod.ReasonInvalidPort, name, validation.IsDNS1123Label(name))
	c.once(quote(name), "a name that no other port of the Service has", at, names)
}

// once refuses a port, or the name of one, that was there before.
func (c *checker) once(what, want string, at *field.Path, seen map[string]*field.Path) {
	if first, taken := seen[what]; taken {
		c.refuse(at, pod.ReasonInvalidPort, finding{"is taken by " + first.String(), what, want})
		return
	}
	seen[what] = at
}

func (c *checker) serviceProtocol(protocol corev1.Protocol, at *field.Path) {
	switch protocol {
	case "", corev1.ProtocolTCP, corev1.ProtocolUDP:
	case corev1.ProtocolSCTP:
		c.refuse(at, pod.ReasonUnsupportedField, finding{"can't be had: podstead does not forward SCTP", quote(string(protocol)), "TCP or UDP"})
	default:
		c.refuse(at, pod.ReasonInvalidPort, finding{"is not a known protocol", quote(string(protocol)), "TCP or UDP"})
	}
}

// targetPort is the number of a port or the name that containers give one.
func (c *checker) targetPort(port intstr.IntOrString, at *field.Path) {
	if port.Type == intstr.String {
		c.refuseAll(at, pod.ReasonInvalidPort, port.StrVal, validation.IsValidPortName(port.StrVal))
		return
	}
	c.inRange(at, pod.ReasonInvalidPort, int64(port.IntVal), 1, maxPort)
}

func (c *checker) nodePort(p *corev1.ServicePort, t corev1.ServiceType, at *field.Path, seen map[string]*field.Path) {
	switch {
	case p.NodePort == 0:
	case !isExternal(t):
		c.refuse(at, pod.ReasonInvalidPort, finding{"is only for the types NodePort and LoadBalancer", itoa(p.NodePort), "the field left out, or another type"})
	default:
		if c.inRange(at, pod.ReasonInvalidPort, int64(p.NodePort), FirstNodePort, LastNodePort) {
			c.once(fmt.Sprintf("%d/%s", p.NodePort, p.Protocol), "each node port and protocol once", at, seen)
		}
	}
}
