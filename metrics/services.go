package metrics

import (
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/podstead/podstead/pod"
)

// serviceFamilies tell what Services lack.
func serviceFamilies() []family {
	of := func(name, help string, labels []string, each func(s *pod.ServiceView, row func(n int, more ...string))) family {
		return family{name: name, kind: gauge, help: help, labels: append([]string{"namespace", "service"}, labels...), each: func(v *view, row emit) {
			for i := range v.snap.Services {
				s := &v.snap.Services[i]
				base := []string{s.Service.Namespace, s.Service.Name}
				each(s, func(n int, more ...string) { row(float64(n), base, more...) })
			}
		}}
	}
	return []family{
		of("podstead_service_ready_endpoints", "Endpoints of a Service that get traffic, by the family of their addresses. A family without any has no row.", []string{"family"},
			func(s *pod.ServiceView, row func(int, ...string)) {
				ready := map[discoveryv1.AddressType]int{}
				for i := range s.Slices {
					for _, e := range s.Slices[i].Endpoints {
						if c := e.Conditions; (c.Ready == nil || *c.Ready) && (c.Terminating == nil || !*c.Terminating) {
							ready[s.Slices[i].AddressType]++
						}
					}
				}
				for _, kind := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
					if ready[kind] > 0 {
						row(ready[kind], string(kind))
					}
				}
			}),
		of("podstead_service_problems", "What a Service asks for and can't have now, such as an address or a port that another has.", nil,
			func(s *pod.ServiceView, row func(int, ...string)) { row(len(s.Problems)) }),
	}
}
