package manifest

import (
	"slices"

	"github.com/podstead/podstead/pod"
)

const (
	oneServer = "there is one server: every endpoint is as near as any other"
	sameHere  = "Local is the same as Cluster here, since there is one server"
	noHint    = "a hint for programs that read it; podstead does nothing with it"
)

func serviceFields() []Field {
	return slices.Concat(
		topFields(pod.KindService), of("Service", supported("spec"), ignored("status", derived)),
		of("ServiceSpec",
			supportedNote("ports", "at least one, unless clusterIP is None"),
			supportedNote("selector", "without one, EndpointSlices with the label kubernetes.io/service-name say where traffic goes"),
			supportedNote("clusterIP", "an address from the range of services, or None; chosen if not set"),
			supportedNote("clusterIPs", "at most one of each family; the first is clusterIP"),
			supportedNote("type", "ClusterIP if not set, NodePort, LoadBalancer (the server's own addresses) or ExternalName"),
			refused("externalIPs", "traffic for addresses that are not this server's would be taken over; use type LoadBalancer"),
			supportedNote("sessionAffinity", "None if not set, or ClientIP"),
			refused("loadBalancerIP", "a load balancer answers at all addresses of the server; use hostPort with hostIP for one of them", ""),
			refused("loadBalancerSourceRanges", "clients are not filtered by address yet; use the server's firewall"),
			supportedNote("externalName", "for type ExternalName"),
			supportedNote("externalTrafficPolicy", sameHere),
			ignored("healthCheckNodePort", "no load balancer asks this server how it is", "0"),
			supported("publishNotReadyAddresses"),
			supported("sessionAffinityConfig"),
			supportedNote("ipFamilies", "as far as the server has addresses; chosen if not set"),
			supportedNote("ipFamilyPolicy", "SingleStack if not set and no two families are named"),
			supportedNote("allocateLoadBalancerNodePorts", "true if not set"),
			refused("loadBalancerClass", "there is no other load balancer than the server itself", ""),
			supportedNote("internalTrafficPolicy", sameHere),
			ignored("trafficDistribution", oneServer),
		), of("ServicePort",
			supportedNote("name", "required where there is more than one port"),
			supportedNote("protocol", "TCP if not set, or UDP"),
			supportedNote("appProtocol", noHint),
			supported("port"),
			supportedNote("targetPort", "a number, or the name of a port of the pods; port if not set"),
			supportedNote("nodePort", "30000 to 32767; chosen if not set"),
		), of("SessionAffinityConfig",
			supported("clientIP"),
		), of("ClientIPConfig",
			supportedNote("timeoutSeconds", "10800 if not set"),
		),
	)
}

func endpointSliceFields() []Field {
	return slices.Concat(
		topFields(pod.KindEndpointSlice),
		of("EndpointSlice",
			supportedNote("addressType", "IPv4 or IPv6"),
			supported("endpoints", "ports"),
		), of("Endpoint",
			supportedNote("addresses", "the first one is used, as in Kubernetes"),
			supported("conditions", "hostname"),
			ignored("targetRef", "the addresses alone say where traffic goes"),
			ignored("deprecatedTopology", oneServer),
			ignored("nodeName", oneServer, ""),
			ignored("zone", oneServer, ""),
			ignored("hints", oneServer),
		), of("EndpointConditions",
			supportedNote("ready", "true if not set"),
			supported("serving", "terminating"),
		), of("EndpointPort",
			supportedNote("name", "that of the Service's port"),
			supportedNote("protocol", "TCP if not set, or UDP"),
			supportedNote("port", "required"),
			supportedNote("appProtocol", noHint),
		),
	)
}
