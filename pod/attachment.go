package pod

// Attachment is a pod's place in the network.
type Attachment struct {
	// NetNS is the path of the pinned namespace, empty for hostNetwork.
	NetNS string
	// IPs are the pod's addresses, primary first: the host's for
	// hostNetwork, none for a pod that has loopback only.
	IPs []string
}
