package workload

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/podstead/podstead/pod"
)

// placement is whether this server runs a workload: whether pods are made, and
// whether those that run stay. Why says why not, in words.
type placement struct {
	runs, stays bool
	why         string
}

// Placed tells whether this server runs pods of a spec, and why not. There is
// no scheduler that would look for another server: nodeSelector and required
// node affinity decide about pods that run as well, and so does a taint with
// NoExecute; NoSchedule keeps new ones away. Preferences have no effect.
func Placed(node *corev1.Node, spec *corev1.PodSpec) (runs, stays bool, why string) {
	p := placed(node, spec, nil)
	return p.runs, p.stays, p.why
}

func (r *decider) place() placement {
	var more []corev1.Toleration
	if r.object.Kind == pod.KindDaemonSet {
		more = daemonTolerations
	}
	return placed(r.Node, &r.template.Spec, more)
}

// daemonTolerations are those that the pods of a DaemonSet have besides their
// own, as in Kubernetes.
var daemonTolerations = []corev1.Toleration{
	{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute},
	{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute},
	{Key: corev1.TaintNodeDiskPressure, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
	{Key: corev1.TaintNodeMemoryPressure, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
	{Key: corev1.TaintNodePIDPressure, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
	{Key: corev1.TaintNodeUnschedulable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
}

func placed(node *corev1.Node, spec *corev1.PodSpec, more []corev1.Toleration) placement {
	if spec.NodeName != "" && spec.NodeName != node.Name {
		return placement{why: fmt.Sprintf("nodeName is %s, this server is %s", spec.NodeName, node.Name)}
	}
	for _, key := range slices.Sorted(maps.Keys(spec.NodeSelector)) {
		if value, ok := node.Labels[key]; !ok || value != spec.NodeSelector[key] {
			return placement{why: fmt.Sprintf("nodeSelector wants %s=%s, this server has %s", key, spec.NodeSelector[key], labelText(key, value, ok))}
		}
	}
	if a := spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		required := a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		if match, err := nodeaffinity.NewLazyErrorNodeSelector(required).Match(node); err != nil || !match {
			return placement{why: "required node affinity does not match this server's labels: " + labelsText(node.Labels)}
		}
	}
	return tolerated(node.Spec.Taints, slices.Concat(spec.Tolerations, more))
}

func tolerated(taints []corev1.Taint, tolerations []corev1.Toleration) placement {
	p := placement{runs: true, stays: true}
	for i := range taints {
		t := &taints[i]
		if t.Effect == corev1.TaintEffectPreferNoSchedule ||
			slices.ContainsFunc(tolerations, func(o corev1.Toleration) bool { return tolerates(&o, t) }) {
			continue
		}
		p.runs, p.stays = false, p.stays && t.Effect != corev1.TaintEffectNoExecute
		p.why = fmt.Sprintf("this server has the taint %s, which is not tolerated", t.ToString())
	}
	return p
}

// tolerates tells whether a toleration covers a taint. Taints come from the
// configuration and have no beginning, so one for some seconds covers none.
func tolerates(o *corev1.Toleration, t *corev1.Taint) bool {
	switch {
	case o.Effect != "" && o.Effect != t.Effect, o.Key != "" && o.Key != t.Key:
		return false
	case o.TolerationSeconds != nil && t.Effect == corev1.TaintEffectNoExecute:
		return false
	case o.Operator == corev1.TolerationOpExists:
		return true
	case o.Operator == corev1.TolerationOpEqual, o.Operator == "":
		return o.Key != "" && o.Value == t.Value
	default:
		return false
	}
}

func labelText(key, value string, ok bool) string {
	if !ok {
		return "no label " + key
	}
	return key + "=" + value
}

func labelsText(labels map[string]string) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, key+"="+labels[key])
	}
	return strings.Join(pairs, ", ")
}
