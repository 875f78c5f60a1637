package manifest

import (
	"reflect"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// unknown reports a field that the API has not, with what was probably meant.
func (d *decoder) unknown(path string, key *node, t reflect.Type, known []apiField) {
	tr := trouble{
		at: key.at, reason: pod.ReasonUnknownField, field: joinPath(path, key.text),
		message: "there is no such field",
	}
	near := nearest(key.text, known)
	switch place := d.belongsTo(key.text, t); {
	case near != "":
		tr.message = "there is no such field; did you mean " + near + "?"
		tr.instead = joinPath(path, near)
	case place != "":
		tr.message = "there is no such field here; it belongs to " + place
	case t == reflect.TypeFor[metav1.LabelSelector]():
		tr.message = "there is no such field; labels stand in matchLabels"
	}
	d.add(tr)
}

// nearest returns the known field that a name is a slip of, "" if none is.
func nearest(name string, known []apiField) string {
	best, bestDistance := "", 1+len(name)/3
	for _, k := range known {
		if distance := editDistance(strings.ToLower(name), strings.ToLower(k.name), bestDistance); distance < bestDistance {
			best, bestDistance = k.name, distance
		}
	}
	return best
}

// editDistance is the number of letters to insert, delete, change or swap
// with their neighbour to turn a into b, or limit if it is not less.
func editDistance(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) >= limit {
		return limit
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	before, above, row := rows[0], rows[1], rows[2]
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above[j+1]+1, row[j]+1, above[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above, row = above, row, before
	}
	return min(above[len(b)], limit)
}

// belongsTo says where in this kind of object a field of this name can stand,
// for those who indented it wrongly.
func (d *decoder) belongsTo(name string, here reflect.Type) string {
	for _, home := range landmarks(d.top) {
		if home.typ != here && slices.ContainsFunc(d.fieldsOf(home.typ), func(a apiField) bool { return a.name == name }) {
			return home.path
		}
	}
	return ""
}

// landmark is a type and where in an object it stands.
type landmark struct {
	typ  reflect.Type
	path string
}

func at[T any](path string) landmark { return landmark{reflect.TypeFor[T](), path} }

// landmarks are the parts of a kind of object that people know by name.
func landmarks(top reflect.Type) []landmark {
	whole := landmark{top, "the top level"}
	switch top {
	case reflect.TypeFor[corev1.Pod]():
		return append([]landmark{whole}, podLandmarks("spec", "metadata")...)
	case reflect.TypeFor[appsv1.Deployment]():
		return slices.Concat([]landmark{whole, at[appsv1.DeploymentSpec]("spec"), at[appsv1.DeploymentStrategy]("spec.strategy"),
			at[appsv1.RollingUpdateDeployment]("spec.strategy.rollingUpdate")}, templateLandmarks())
	case reflect.TypeFor[appsv1.ReplicaSet]():
		return slices.Concat([]landmark{whole, at[appsv1.ReplicaSetSpec]("spec")}, templateLandmarks())
	case reflect.TypeFor[appsv1.DaemonSet]():
		return slices.Concat([]landmark{whole, at[appsv1.DaemonSetSpec]("spec"), at[appsv1.DaemonSetUpdateStrategy]("spec.updateStrategy"),
			at[appsv1.RollingUpdateDaemonSet]("spec.updateStrategy.rollingUpdate")}, templateLandmarks())
	case reflect.TypeFor[corev1.Service]():
		return []landmark{whole, at[corev1.ServiceSpec]("spec"), at[corev1.ServicePort]("a port, such as spec.ports[0]"),
			at[metav1.ObjectMeta]("metadata")}
	case reflect.TypeFor[discoveryv1.EndpointSlice]():
		return []landmark{whole, at[discoveryv1.Endpoint]("an endpoint, such as endpoints[0]"),
			at[discoveryv1.EndpointConditions]("the conditions of an endpoint"), at[discoveryv1.EndpointPort]("a port, such as ports[0]"),
			at[metav1.ObjectMeta]("metadata")}
	}
	return nil
}

func templateLandmarks() []landmark {
	return append([]landmark{at[corev1.PodTemplateSpec]("spec.template")}, podLandmarks("spec.template.spec", "metadata or spec.template.metadata")...)
}

func podLandmarks(spec, metadata string) []landmark {
	return []landmark{
		at[corev1.PodSpec](spec),
		at[corev1.Container]("a container, such as " + spec + ".containers[0]"),
		at[metav1.ObjectMeta](metadata),
		at[corev1.SecurityContext]("the securityContext of a container"),
		at[corev1.PodSecurityContext](spec + ".securityContext"),
		at[corev1.VolumeMount]("a volume mount, such as " + spec + ".containers[0].volumeMounts[0]"),
	}
}
