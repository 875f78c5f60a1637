package plan

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// Networks lists what the host's network does for the instances of a pod, the
// oldest first. The ports of one that is being ended lead to it until it is
// gone.
func Networks(h Have) []pod.PodNetwork {
	var networks []pod.PodNetwork
	lives := instances(h)
	for i := range lives {
		l := &lives[i]
		if l.sandbox == nil || l.sandbox.NetNS == "" || len(l.sandbox.IPs) == 0 {
			continue
		}
		n := pod.PodNetwork{UID: l.sandbox.UID, Instance: l.sandbox.Instance, IPs: l.sandbox.IPs}
		if r := l.recorded(); r != nil {
			n.Ports = portMappings(r.Pod)
		}
		networks = append(networks, n)
	}
	return networks
}

func portMappings(p *corev1.Pod) []pod.PortMapping {
	var ports []pod.PortMapping
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			for _, port := range list[i].Ports {
				if port.HostPort != 0 {
					ports = append(ports, pod.PortMapping{
						HostIP: port.HostIP, HostPort: port.HostPort,
						ContainerPort: port.ContainerPort, Protocol: port.Protocol,
					})
				}
			}
		}
	}
	return ports
}
