package validation

import (
	"fmt"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// Kubernetes' bounds on slices.
const (
	maxEndpoints     = 1000
	maxAddresses     = 100
	maxEndpointPorts = 100
)

func (c *checker) endpointSlice(s *discoveryv1.EndpointSlice) {
	meta := field.NewPath("metadata")
	c.metadata(&s.ObjectMeta, meta)
	c.ownAnnotations(s.Annotations, meta.Child("annotations"), nil)
	c.sliceService(&s.ObjectMeta, meta.Child("labels"))
	c.addressType(s.AddressType, field.NewPath("addressType"))
	endpoints, ports := field.NewPath("endpoints"), field.NewPath("ports")
	c.atMost(endpoints, len(s.Endpoints), maxEndpoints)
	for i := range s.Endpoints {
		c.endpoint(&s.Endpoints[i], s.AddressType, endpoints.Index(i))
	}
	c.atMost(ports, len(s.Ports), maxEndpointPorts)
	names := map[string]*field.Path{}
	for i := range s.Ports {
		c.endpointPort(&s.Ports[i], ports.Index(i), names)
	}
}

// sliceService warns of a slice that no Service would use.
func (c *checker) sliceService(m *metav1.ObjectMeta, at *field.Path) {
	here := entry(at, discoveryv1.LabelServiceName)
	name, has := m.Labels[discoveryv1.LabelServiceName]
	switch {
	case !has:
		c.warn(here, pod.ReasonRequired, finding{message: "is missing, so the slice belongs to no Service", want: "the name of a Service in this namespace"})
	default:
		c.refuseAll(here, pod.ReasonInvalidName, name, validation.IsDNS1035Label(name))
	}
}

func (c *checker) addressType(t discoveryv1.AddressType, at *field.Path) {
	switch t {
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6:
	case "":
		c.refuse(at, pod.ReasonRequired, finding{message: "is required", want: "IPv4 or IPv6"})
	case discoveryv1.AddressTypeFQDN:
		c.refuse(at, pod.ReasonUnsupportedField, finding{
			"can't be had: traffic is sent to addresses only", quote(string(t)), "IPv4 or IPv6, or a Service of type ExternalName"})
	default:
		oneOf(c, at, t, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6)
	}
}

func (c *checker) endpoint(e *discoveryv1.Endpoint, t discoveryv1.AddressType, at *field.Path) {
	here := at.Child("addresses")
	if len(e.Addresses) == 0 {
		c.refuse(here, pod.ReasonRequired, finding{message: "is required", want: "an address"})
	}
	c.atMost(here, len(e.Addresses), maxAddresses)
	for i, ip := range e.Addresses {
		if t == discoveryv1.AddressTypeFQDN {
			break // they are no addresses, and all is said
		}
		place := here.Index(i)
		family, ok := c.usableAddress(ip, place, "an IP address")
		if ok && (t == discoveryv1.AddressTypeIPv4 || t == discoveryv1.AddressTypeIPv6) && family != string(t) {
			c.refuse(place, pod.ReasonInvalid, finding{"is not of the slice's addressType", quote(ip), "an address of " + string(t)})
		}
	}
	if e.Hostname != nil {
		c.refuseAll(at.Child("hostname"), pod.ReasonInvalidName, *e.Hostname, validation.IsDNS1123Label(*e.Hostname))
	}
}

func (c *checker) endpointPort(p *discoveryv1.EndpointPort, at *field.Path, names map[string]*field.Path) {
	name := deref(p.Name)
	if name != "" {
		c.refuseAll(at.Child("name"), pod.ReasonInvalidPort, name, validation.IsDNS1123Label(name))
	}
	c.once(quote(name), "a name that no other port of the slice has", at.Child("name"), names)
	c.serviceProtocol(deref(p.Protocol), at.Child("protocol"))
	if p.Port == nil {
		c.refuse(at.Child("port"), pod.ReasonRequired, finding{message: "is required", want: fmt.Sprintf("1 to %d", maxPort)})
	} else {
		c.inRange(at.Child("port"), pod.ReasonInvalidPort, int64(*p.Port), 1, maxPort)
	}
	if p.AppProtocol != nil {
		c.refuseAll(at.Child("appProtocol"), pod.ReasonInvalid, *p.AppProtocol, validation.IsQualifiedName(*p.AppProtocol))
	}
}
