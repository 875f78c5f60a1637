package printer

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// DescribeWorkload tells all that is known of a Deployment, ReplicaSet or
// DaemonSet, in kubectl's sections, with podstead's own: where the manifest
// stands, what goes on and why, what differs from the manifest, the revisions
// and how they failed.
func DescribeWorkload(w io.Writer, d *api.Workload, events []corev1.Event, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	p := &page{w: t, now: now}
	p.meta(d.Object())
	p.origin(d.Origin)
	switch {
	case d.Deployment != nil:
		p.deployment(d)
	case d.DaemonSet != nil:
		p.daemonSet(d.DaemonSet)
	case d.ReplicaSet != nil:
		p.replicaSet(d)
	}
	p.progress(d)
	p.wrong(d.Problems)
	p.template(templateOf(d))
	if d.Deployment != nil {
		p.deploymentConditions(d.Deployment)
		p.replicaSets(d)
	}
	p.revisions(d)
	p.events(events)
	if p.err != nil {
		return p.err
	}
	return t.Flush()
}

// meta writes what any object has.
func (p *page) meta(o api.Object) {
	p.line(0, "Name", o.GetName())
	p.line(0, "Namespace", o.GetNamespace())
	if at := o.GetCreationTimestamp(); !at.IsZero() {
		p.line(0, "CreationTimestamp", clock(at.Time))
	}
	p.list(0, "Labels", pairs(o.GetLabels(), "="))
	p.list(0, "Annotations", pairs(o.GetAnnotations(), ": "))
}

func (p *page) origin(o pod.Origin) {
	if o.File == "" {
		return
	}
	text := o.String()
	if o.Source != "" {
		text += " (source " + o.Source + ")"
	}
	p.line(0, "Source", text)
}

func (p *page) deployment(d *api.Workload) {
	o, st := d.Deployment, &d.Deployment.Status
	p.line(0, "Selector", metav1.FormatLabelSelector(o.Spec.Selector))
	p.line(0, "Replicas", fmt.Sprintf("%d desired | %d updated | %d total | %d available | %d unavailable",
		d.Replicas, st.UpdatedReplicas, st.Replicas, st.AvailableReplicas, st.UnavailableReplicas))
	p.line(0, "StrategyType", string(o.Spec.Strategy.Type))
	p.line(0, "MinReadySeconds", number(o.Spec.MinReadySeconds))
	if r := o.Spec.Strategy.RollingUpdate; r != nil && r.MaxUnavailable != nil && r.MaxSurge != nil {
		p.line(0, "RollingUpdateStrategy", fmt.Sprintf("%s max unavailable, %s max surge", r.MaxUnavailable, r.MaxSurge))
	}
	if o.Spec.ProgressDeadlineSeconds != nil {
		p.line(0, "ProgressDeadline", fmt.Sprintf("%ds", *o.Spec.ProgressDeadlineSeconds))
	}
	p.rollback(o.Annotations)
}

// rollback tells how rollouts are watched.
func (p *page) rollback(annotations map[string]string) {
	text := "off: a revision that fails stays"
	if pod.AutoRollback(annotations) {
		text = fmt.Sprintf("on: a revision that fails is replaced by the last good one, watched for %s", pod.WatchWindow(annotations))
	}
	p.line(0, "AutoRollback", text)
}

func (p *page) daemonSet(o *appsv1.DaemonSet) {
	st := &o.Status
	p.line(0, "Selector", metav1.FormatLabelSelector(o.Spec.Selector))
	p.line(0, "Node-Selector", orNone(labels.Set(o.Spec.Template.Spec.NodeSelector).String()))
	p.line(0, "Desired Number of Nodes Scheduled", number(st.DesiredNumberScheduled))
	p.line(0, "Current Number of Nodes Scheduled", number(st.CurrentNumberScheduled))
	p.line(0, "Number of Nodes Scheduled with Up-to-date Pods", number(st.UpdatedNumberScheduled))
	p.line(0, "Number of Nodes Scheduled with Available Pods", number(st.NumberAvailable))
	p.line(0, "Number of Nodes Misscheduled", number(st.NumberMisscheduled))
	p.line(0, "UpdateStrategy", string(o.Spec.UpdateStrategy.Type))
	p.rollback(o.Annotations)
}

func (p *page) replicaSet(d *api.Workload) {
	o := d.ReplicaSet
	p.line(0, "Selector", metav1.FormatLabelSelector(o.Spec.Selector))
	if owner := metav1.GetControllerOf(o); owner != nil {
		p.line(0, "Controlled By", owner.Kind+"/"+owner.Name)
	}
	p.line(0, "Replicas", fmt.Sprintf("%d current / %d desired, %d ready", o.Status.Replicas, d.Replicas, o.Status.ReadyReplicas))
}

// progress tells what goes on and what differs from the manifest.
func (p *page) progress(d *api.Workload) {
	p.given(0, "Elsewhere", d.Elsewhere)
	if d.Deleting {
		p.line(0, "Deleting", "no source wants it; its pods are being ended")
	}
	if d.Paused {
		p.line(0, "Paused", "rollouts are paused: only the number of pods is kept")
	}
	p.given(0, "Held", d.Held)
	p.some("Drift", d.Drift)
	p.some("Plan", d.Plan)
}

// some writes lines, if there are any.
func (p *page) some(title string, lines []string) {
	if len(lines) > 0 {
		p.printf(0, "%s:\n", title)
	}
	for _, line := range lines {
		p.printf(1, "%s\n", Clean(line))
	}
}

func templateOf(d *api.Workload) *corev1.PodTemplateSpec {
	o := pod.Object{Deployment: d.Deployment, ReplicaSet: d.ReplicaSet, DaemonSet: d.DaemonSet}
	return o.Template()
}

// template writes a template of pods.
func (p *page) template(t *corev1.PodTemplateSpec) {
	p.printf(0, "Pod Template:\n")
	p.list(1, "Labels", pairs(t.Labels, "="))
	if len(t.Annotations) > 0 {
		p.list(1, "Annotations", pairs(t.Annotations, ": "))
	}
	p.specs("Init Containers", t, t.Spec.InitContainers)
	p.specs("Containers", t, t.Spec.Containers)
	p.volumes(&corev1.Pod{Spec: t.Spec})
	if len(t.Spec.NodeSelector) > 0 {
		p.list(1, "Node-Selectors", pairs(t.Spec.NodeSelector, "="))
	}
}

// specs writes containers that don't run.
func (p *page) specs(title string, t *corev1.PodTemplateSpec, specs []corev1.Container) {
	if len(specs) == 0 {
		return
	}
	p.printf(1, "%s:\n", title)
	of := &corev1.Pod{ObjectMeta: t.ObjectMeta, Spec: t.Spec}
	for i := range specs {
		spec := &specs[i]
		p.printf(1, " %s:\n", spec.Name)
		p.line(2, "Image", spec.Image)
		p.ports(spec)
		p.words("Command", spec.Command)
		p.words("Args", spec.Args)
		p.resources("Limits", spec.Resources.Limits)
		p.resources("Requests", spec.Resources.Requests)
		p.probes(of, spec, nil)
		p.hooks(spec.Lifecycle)
		p.environment(spec)
		p.mounts(spec)
	}
}

func (p *page) deploymentConditions(o *appsv1.Deployment) {
	if len(o.Status.Conditions) == 0 {
		return
	}
	p.printf(0, "Conditions:\n")
	p.printf(1, "Type\tStatus\tReason\n")
	for _, c := range o.Status.Conditions {
		p.printf(1, "%s\t%s\t%s\n", c.Type, c.Status, Clean(strings.TrimPrefix(c.Reason+": "+c.Message, ": ")))
	}
}

// replicaSets tells which revisions have pods.
func (p *page) replicaSets(d *api.Workload) {
	var before []string
	now := none
	for i := range d.ReplicaSets {
		set := &d.ReplicaSets[i]
		text := fmt.Sprintf("%s (%d/%d replicas created)", set.Name, set.Status.Replicas, replicas(set.Spec.Replicas))
		switch {
		case set.Annotations[revisionAnnotation] == fmt.Sprint(d.Revision):
			now = text
		case set.Status.Replicas > 0:
			before = append(before, text)
		}
	}
	p.line(0, "OldReplicaSets", orNone(strings.Join(before, ", ")))
	p.line(0, "NewReplicaSet", now)
}

// revisionAnnotation is where a ReplicaSet has the number of its revision.
const revisionAnnotation = "deployment.kubernetes.io/revision"
