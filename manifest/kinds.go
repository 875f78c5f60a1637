package manifest

import (
	"reflect"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/podstead/podstead/pod"
)

// kindRow is a kind of object that a manifest may be.
type kindRow struct {
	kind pod.Kind
	// typ is the struct of the API.
	typ reflect.Type
	// attach makes an object of a pointer to that struct.
	attach func(o *pod.Object, content any)
}

// kindRows are all supported kinds, in the order in which people are told.
func kindRows() []kindRow {
	return []kindRow{
		rowOf(pod.KindPod, func(o *pod.Object, c *corev1.Pod) { o.Pod = c }),
		rowOf(pod.KindDeployment, func(o *pod.Object, c *appsv1.Deployment) { o.Deployment = c }),
		rowOf(pod.KindReplicaSet, func(o *pod.Object, c *appsv1.ReplicaSet) { o.ReplicaSet = c }),
		rowOf(pod.KindDaemonSet, func(o *pod.Object, c *appsv1.DaemonSet) { o.DaemonSet = c }),
		rowOf(pod.KindService, func(o *pod.Object, c *corev1.Service) { o.Service = c }),
		rowOf(pod.KindEndpointSlice, func(o *pod.Object, c *discoveryv1.EndpointSlice) { o.EndpointSlice = c }),
	}
}

func rowOf[T any](kind pod.Kind, attach func(*pod.Object, *T)) kindRow {
	return kindRow{
		kind: kind, typ: reflect.TypeFor[T](),
		attach: func(o *pod.Object, content any) {
			o.Kind = kind
			attach(o, content.(*T))
		},
	}
}

// findKind returns the row of a kind by its name as it is written.
func findKind(name string) (kindRow, bool) {
	rows := kindRows()
	i := slices.IndexFunc(rows, func(r kindRow) bool { return string(r.kind) == name })
	if i < 0 {
		return kindRow{}, false
	}
	return rows[i], true
}

// findList returns the kind of the entries of a list of one kind, such as
// DeploymentList.
func findList(name string) (kindRow, bool) {
	item, found := strings.CutSuffix(name, "List")
	if !found {
		return kindRow{}, false
	}
	return findKind(item)
}

// kindNames lists the supported kinds, and then more names, for people.
func kindNames(more ...string) string {
	var names []string
	for _, r := range kindRows() {
		names = append(names, string(r.kind))
	}
	names = append(names, more...)
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// supportedKinds is what is named to people who handed over another.
func supportedKinds() string { return kindNames("List") }

// otherKinds says of kinds that people write beside the supported ones what
// becomes of them here.
func otherKinds(kind string) string {
	switch kind {
	case "StatefulSet":
		return "podstead does not run StatefulSets yet; a Deployment with one replica, strategy Recreate and a hostPath keeps its data as well"
	case "Job":
		return "podstead does not run Jobs yet; a Pod with restartPolicy OnFailure runs to its end once"
	case "CronJob":
		return "podstead does not run CronJobs yet; use a timer of systemd"
	case "ReplicationController":
		return "podstead does not run ReplicationControllers; a Deployment does the same"
	case "ConfigMap", "Secret":
		return "there is no API server to keep it; put the files on the server and use hostPath, or write values into env"
	case "Namespace":
		return "namespaces need not be made; leave it out"
	case "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding":
		return "there is no API server to use it with; leave it out"
	case "PersistentVolume", "PersistentVolumeClaim", "StorageClass":
		return "there are no persistent volume claims; use hostPath for data that stays"
	case "Ingress", "IngressClass", "Gateway", "HTTPRoute":
		return "podstead has no proxy for HTTP; run one as a Deployment behind a Service of type LoadBalancer"
	case "Endpoints":
		return "podstead does not read Endpoints, which are deprecated; use an EndpointSlice"
	case "HorizontalPodAutoscaler":
		return "podstead does not scale by itself; set spec.replicas"
	case "PodDisruptionBudget":
		return "nobody evicts pods through an API; leave it out"
	case "NetworkPolicy":
		return "podstead does not filter traffic between pods yet"
	case "CustomResourceDefinition":
		return "there is no API server to extend; leave it out"
	}
	return "podstead does not run this kind"
}
