package service

import (
	"slices"

	"github.com/podstead/podstead/pod"
)

// PortsToAsk are the ports of the host that Services want and don't have by
// what they were given: whoever else holds one is to be known before they are
// given it.
func PortsToAsk(objects []pod.Object, memory Memory) []int32 {
	var ports []int32
	anyNodePort := false
	for i := range objects {
		if objects[i].Service == nil {
			continue
		}
		s := service{spec: &objects[i].Service.Spec, given: memory[objects[i].Key.String()]}
		for k := range s.spec.Ports {
			p := &s.spec.Ports[k]
			has := s.given.NodePorts[portOf(p)]
			switch {
			case !s.wantsNodePorts():
			case p.NodePort != 0 && has != p.NodePort:
				ports = append(ports, p.NodePort)
			case p.NodePort == 0 && has == 0:
				anyNodePort = true
			}
			if s.isBalancer() && !slices.Contains(s.given.HostPorts, portOf(p)) {
				ports = append(ports, p.Port)
			}
		}
	}
	for n := int32(firstNodePort); anyNodePort && n <= lastNodePort; n++ {
		ports = append(ports, n)
	}
	return ports
}
