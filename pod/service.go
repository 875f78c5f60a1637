package pod

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Service is what the host's network does for one Service: traffic to its
// addresses goes to its endpoints. Headless services and ExternalName have no
// traffic of their own and are none of these.
type Service struct {
	Key Key
	// ClusterIPs are the service's own addresses, at most one of each family.
	ClusterIPs []string
	// HostIPs are addresses of this server at which Port is open as well, as
	// the load balancer's address; empty for none. 127.0.0.1 is open to the
	// server alone.
	HostIPs []string
	// Affinity is how long a client stays with an endpoint after its last
	// connection; 0 for no affinity.
	Affinity time.Duration
	// Ports are sorted by port, then protocol.
	Ports []ServicePort
}

// ServicePort is one port of a Service.
type ServicePort struct {
	// Name is empty or a DNS label.
	Name string
	// Protocol is TCP or UDP.
	Protocol corev1.Protocol
	// Port is where clients of the ClusterIPs and HostIPs connect to.
	Port int32
	// NodePort is open on every address of this server; 0 for none.
	NodePort int32
	// Endpoints take the traffic of their own family, each an equal share.
	// Without any of a family, its clients are refused at once. They are
	// sorted and differ from each other.
	Endpoints []Endpoint
}

// Endpoint is an address that answers for a Service: a pod's, or any other.
type Endpoint struct {
	IP   string
	Port int32
}
