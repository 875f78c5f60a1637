package pod

import corev1 "k8s.io/api/core/v1"

// ClusterDomain is the domain below which pods find Services:
// SERVICE.NAMESPACE.svc.cluster.local.
const ClusterDomain = "cluster.local"

// Zone is all that pods find by name below ClusterDomain. Nobody changes it.
type Zone struct {
	// Services are sorted by key.
	Services []NamedService
}

// NamedService is what the names of one Service stand for: the first of
// ExternalName, IPs and Members that is set. With none of them the name
// exists and has no address.
type NamedService struct {
	Key Key
	// ExternalName is the domain that the Service's name is an alias of.
	ExternalName string `json:",omitempty"`
	// IPs are the Service's own addresses, at most one of each family.
	IPs []string `json:",omitempty"`
	// Ports are those of the Service, at IPs; there may be none.
	Ports []NamedPort `json:",omitempty"`
	// Members are the endpoints of a headless Service, sorted by hostname,
	// then address.
	Members []NamedMember `json:",omitempty"`
}

// NamedPort is a port that is found as _NAME._PROTOCOL, if it has a name.
type NamedPort struct {
	Name     string `json:",omitempty"`
	Protocol corev1.Protocol
	Port     int32
}

// NamedMember is an endpoint of a headless Service.
type NamedMember struct {
	// Hostname is its own name below that of the Service; empty for none.
	Hostname string `json:",omitempty"`
	// IPs are its addresses, at most one of each family.
	IPs   []string
	Ports []NamedPort `json:",omitempty"`
}
