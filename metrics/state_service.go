package metrics

import (
	corev1 "k8s.io/api/core/v1"
)

// ofService is a family with rows for each Service.
func ofService(name, help string, each func(s *corev1.Service, row rowOf), extra ...string) family {
	return family{
		name: "kube_service_" + name, kind: gauge, help: help, labels: append([]string{"namespace", "service", "uid"}, extra...),
		each: func(v *view, row emit) {
			for i := range v.snap.Services {
				s := v.snap.Services[i].Service
				base := []string{s.Namespace, s.Name, string(s.UID)}
				each(s, func(value float64, extra ...string) { row(value, base, extra...) })
			}
		},
	}
}

func kubeServiceFamilies() []family {
	return []family{
		ofService("info", "About a Service; always 1.", func(s *corev1.Service, row rowOf) {
			row(1, s.Spec.ClusterIP, s.Spec.ExternalName, s.Spec.LoadBalancerIP)
		}, "cluster_ip", "external_name", "load_balancer_ip"),
		ofService("created", "When the Service was first wanted, as Unix time.", func(s *corev1.Service, row rowOf) { created(&s.ObjectMeta, row) }),
		ofService("spec_type", "The type of the Service; always 1.", func(s *corev1.Service, row rowOf) { row(1, string(s.Spec.Type)) }, "type"),
		ofService("spec_external_ip", "An external address of the Service; always 1.", func(s *corev1.Service, row rowOf) {
			for _, ip := range s.Spec.ExternalIPs {
				row(1, ip)
			}
		}, "external_ip"),
		ofService("status_load_balancer_ingress", "An address at which the Service is a load balancer; always 1.", func(s *corev1.Service, row rowOf) {
			for _, i := range s.Status.LoadBalancer.Ingress {
				row(1, i.IP, i.Hostname)
			}
		}, "ip", "hostname"),
	}
}
