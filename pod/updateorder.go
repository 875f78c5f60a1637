package pod

// UpdateOrderAnnotation of a Deployment or DaemonSet says whether an old pod
// is stopped before a new one starts, where podstead would decide otherwise.
// It stands in the workload's own metadata, not in that of its template.
const UpdateOrderAnnotation = "rollout.podstead.dev/update-order"

// The values of UpdateOrderAnnotation.
const (
	// StartFirst lets pods of both versions write to one hostPath volume. It
	// can't make them share a port of the host.
	StartFirst = "start-first"
	// StopFirst ends every old pod before a new one starts, as the strategy
	// Recreate does.
	StopFirst = "stop-first"
)
