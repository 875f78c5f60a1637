package validation

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

const maxPort = 65535

func (c *checker) ports(ports []corev1.ContainerPort, at *field.Path) {
	names := map[string]*field.Path{}
	numbers := map[string]*corev1.ContainerPort{}
	for i := range ports {
		p, here := &ports[i], at.Index(i)
		c.portName(p.Name, here.Child("name"), names)
		c.inRange(here.Child("containerPort"), pod.ReasonInvalidPort, int64(p.ContainerPort), 1, maxPort)
		c.portProtocol(p.Protocol, here.Child("protocol"))
		c.repeatedPort(p, here.Child("containerPort"), numbers)
		c.hostPort(p, here)
	}
}

func (c *checker) portName(name string, at *field.Path, names map[string]*field.Path) {
	if name == "" {
		return
	}
	c.refuseAll(at, pod.ReasonInvalidPort, name, validation.IsValidPortName(name))
	if first, taken := names[name]; taken {
		c.refuse(at, pod.ReasonInvalidPort, finding{"is taken by " + first.String(), quote(name), "a name that no other port of the container has"})
		return
	}
	names[name] = at
}

func (c *checker) portProtocol(protocol corev1.Protocol, at *field.Path) {
	switch protocol {
	case "", corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP:
	default:
		c.refuse(at, pod.ReasonInvalidPort, finding{"is not a known protocol", quote(string(protocol)), "TCP, UDP or SCTP"})
	}
}

// repeatedPort refuses a port that is listed twice, and, as Kubernetes does,
// only warns where it is listed under two names.
func (c *checker) repeatedPort(p *corev1.ContainerPort, at *field.Path, seen map[string]*corev1.ContainerPort) {
	number := fmt.Sprintf("%d/%s", p.ContainerPort, protocolOf(p))
	first, taken := seen[number]
	if !taken {
		seen[number] = p
		return
	}
	f := finding{"is listed twice", number, "each port and protocol once in a container"}
	if first.Name != p.Name {
		c.warn(at, pod.ReasonInvalidPort, f)
		return
	}
	c.refuse(at, pod.ReasonInvalidPort, f)
}

func protocolOf(p *corev1.ContainerPort) corev1.Protocol {
	if p.Protocol == "" {
		return corev1.ProtocolTCP
	}
	return p.Protocol
}

func (c *checker) hostPort(p *corev1.ContainerPort, at *field.Path) {
	if p.HostIP != "" {
		c.ipAddress(at.Child("hostIP"), pod.ReasonInvalidPort, p.HostIP)
	}
	if p.HostPort == 0 {
		return
	}
	c.inRange(at.Child("hostPort"), pod.ReasonInvalidPort, int64(p.HostPort), 1, maxPort)
	if p.Protocol == corev1.ProtocolSCTP && !c.pod.Spec.HostNetwork {
		c.refuse(at.Child("hostPort"), pod.ReasonUnsupportedField, finding{
			"can't be had for SCTP, which podstead does not forward", itoa(p.HostPort), "TCP or UDP, hostNetwork: true, or hostPort left out"})
	}
	if c.pod.Spec.HostNetwork && p.HostPort != p.ContainerPort {
		c.refuse(at.Child("hostPort"), pod.ReasonInvalidPort, finding{
			"must equal containerPort under hostNetwork: the program listens on the host itself", itoa(p.HostPort), itoa(p.ContainerPort)})
	}
}

// hostPorts refuses two containers that would be up together and want the
// same port of the host. Init containers that end run alone.
func (c *checker) hostPorts(s *corev1.PodSpec, at *field.Path) {
	together := map[string]*field.Path{}
	for here, k := range Containers(s, at) {
		taken := together
		if pod.RoleOf(c.pod, k.Name) == pod.RoleInit {
			taken = map[string]*field.Path{}
		}
		for i := range k.Ports {
			c.takeHostPort(&k.Ports[i], here.Child("ports").Index(i).Child("hostPort"), taken)
		}
	}
}

func (c *checker) takeHostPort(p *corev1.ContainerPort, at *field.Path, taken map[string]*field.Path) {
	if p.HostPort == 0 {
		return
	}
	key := fmt.Sprintf("%s/%d/%s", p.HostIP, p.HostPort, protocolOf(p))
	if first, ok := taken[key]; ok {
		c.refuse(at, pod.ReasonInvalidPort, finding{
			"is taken by " + first.String(), fmt.Sprintf("%d/%s", p.HostPort, protocolOf(p)), "each port of the host once in a pod"})
		return
	}
	taken[key] = at
}
