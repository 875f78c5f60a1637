package plan

import (
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/podstead/podstead/pod"
)

// inPlace are the fields of a pod's spec which a running pod can take on, or
// which have no effect on this server. Containers are compared one by one.
var inPlace = []string{
	"Containers", "InitContainers",
	"TerminationGracePeriodSeconds", "ActiveDeadlineSeconds",
	"NodeSelector", "NodeName", "Affinity", "SchedulerName", "Tolerations",
	"PriorityClassName", "Priority", "PreemptionPolicy", "TopologySpreadConstraints",
	"ReadinessGates", "SchedulingGates", "EnableServiceLinks", "AutomountServiceAccountToken",
	"ServiceAccountName", "DeprecatedServiceAccount", "ImagePullSecrets",
}

// replaceReason names the first field in which the desired pod differs from
// the recorded one so that only a new instance can have it; "" if none does.
func (p *planner) replaceReason(l *life, recorded, desired *pod.Desired) string {
	old, wanted := &recorded.Pod.Spec, &desired.Pod.Spec
	if field := difference(old, wanted, inPlace); field != "" {
		return "spec." + field
	}
	if pod.QOSClass(recorded.Pod) != pod.QOSClass(desired.Pod) {
		return "spec.containers[*].resources (the QoS class)"
	}
	if !slices.Equal(names(old.InitContainers), names(wanted.InitContainers)) {
		return "spec.initContainers"
	}
	if a, b := names(old.Containers), names(wanted.Containers); !sameSet(a, b) {
		return "spec.containers"
	}
	for i := range wanted.InitContainers {
		a, b := &old.InitContainers[i], &wanted.InitContainers[i]
		if pod.InitRole(a) != pod.InitRole(b) || pod.InitRole(b) == pod.RoleInit && difference(a, b, nil) != "" {
			return "spec.initContainers[" + b.Name + "]"
		}
	}
	if outcome(l, recorded.Pod, p.now) != corev1.PodRunning {
		return finishedChange(recorded.Pod, desired.Pod)
	}
	return ""
}

// finishedChange names what changed in the containers of a pod whose work is
// over: running it again takes a new pod.
func finishedChange(old, wanted *corev1.Pod) string {
	for i := range wanted.Spec.Containers {
		c := &wanted.Spec.Containers[i]
		if field := difference(pod.ContainerSpec(old, c.Name), c, nil); field != "" {
			return "spec.containers[" + c.Name + "]." + field
		}
	}
	return ""
}

// inPlaceOfContainer are the fields of a container that are podstead's to
// apply while it runs.
var inPlaceOfContainer = []string{
	"Resources", "ResizePolicy", "StartupProbe", "LivenessProbe", "ReadinessProbe", "Lifecycle",
}

// containerChange names the first field in which the wanted container differs
// from the one that runs so that it has to be restarted; "" if none does, or
// if the record can't be read.
func containerChange(c *pod.Container, wanted *corev1.Pod) string {
	old, now := c.Spec(), pod.ContainerSpec(wanted, c.Name)
	if old == nil || now == nil {
		return ""
	}
	field := difference(old, now, inPlaceOfContainer)
	if field == "" && resizeRestarts(old, now) {
		field = "resources"
	}
	if field == "" {
		return ""
	}
	list := "containers"
	if c.Role != pod.RoleApp {
		list = "initContainers"
	}
	return "spec." + list + "[" + c.Name + "]." + field
}

// editedSince tells whether the wanted container differs in anything from a run
// that has ended. Such an edit may have mended it, so it is not made to wait.
func editedSince(dead *pod.Container, wanted *corev1.Pod) bool {
	old, now := dead.Spec(), pod.ContainerSpec(wanted, dead.Name)
	return old != nil && now != nil && difference(old, now, nil) != ""
}

// resizeRestarts tells whether the resources changed and the wanted
// resizePolicy asks for a restart then (KEP-1287).
func resizeRestarts(old, now *corev1.Container) bool {
	for _, r := range now.ResizePolicy {
		if r.RestartPolicy != corev1.RestartContainer {
			continue
		}
		a, b := old.Resources, now.Resources
		request, limit := a.Requests[r.ResourceName], a.Limits[r.ResourceName]
		if request.Cmp(b.Requests[r.ResourceName]) != 0 || limit.Cmp(b.Limits[r.ResourceName]) != 0 {
			return true
		}
	}
	return false
}

// sameRecord tells whether what is recorded with a container is what is
// desired now.
func sameRecord(c *pod.Container, d *pod.Desired) bool {
	return c.Origin.Source == d.Origin.Source && c.Origin.File == d.Origin.File &&
		equality.Semantic.DeepEqual(c.Pod, d.Pod)
}

// difference returns the JSON name of the first field in which two structs of
// one type differ, leaving out the Go fields named in skip.
func difference(a, b any, skip []string) string {
	va, vb := reflect.Indirect(reflect.ValueOf(a)), reflect.Indirect(reflect.ValueOf(b))
	for i := range va.NumField() {
		f := va.Type().Field(i)
		if slices.Contains(skip, f.Name) {
			continue
		}
		if !equality.Semantic.DeepEqual(va.Field(i).Interface(), vb.Field(i).Interface()) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			return name
		}
	}
	return ""
}

func names(list []corev1.Container) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = list[i].Name
	}
	return out
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
