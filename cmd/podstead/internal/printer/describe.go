package printer

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// Describe tells all that is known of a pod, in kubectl's sections, with
// podstead's own: where the manifest stands, what is wrong with it, what
// holds the pod back, the last lines of a container that ended.
func Describe(w io.Writer, d *api.Details, events []corev1.Event, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	out := &page{w: t, now: now}
	out.head(d)
	out.wrong(d.Problems)
	out.some("Notes", d.Notes)
	out.containers("Init Containers", d.Pod.Spec.InitContainers, d.Pod.Status.InitContainerStatuses, d)
	out.containers("Containers", d.Pod.Spec.Containers, d.Pod.Status.ContainerStatuses, d)
	out.conditions(d.Pod)
	out.volumes(d.Pod)
	out.line(0, "QoS Class", string(d.Pod.Status.QOSClass))
	out.events(events)
	if out.err != nil {
		return out.err
	}
	return t.Flush()
}

// page writes lines of a name and a value, indented by level.
type page struct {
	w   io.Writer
	now time.Time
	err error
}

func (p *page) printf(level int, format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, strings.Repeat("  ", level)+format, args...)
	}
}

// line writes one value; further lines of it stand below the first.
func (p *page) line(level int, name, value string) {
	p.list(level, name, strings.Split(strings.TrimRight(value, "\n"), "\n"))
}

// given leaves out what has no value.
func (p *page) given(level int, name, value string) {
	if value != "" {
		p.line(level, name, value)
	}
}

// list writes the first of several values beside the name and the others
// below it.
func (p *page) list(level int, name string, values []string) {
	if len(values) == 0 {
		values = []string{none}
	}
	for i, v := range values {
		if i == 0 {
			p.printf(level, "%s:\t%s\n", name, Clean(v))
		} else {
			p.printf(level, "\t%s\n", Clean(v))
		}
	}
}

func (p *page) head(d *api.Details) {
	o := d.Pod
	p.line(0, "Name", o.Name)
	p.line(0, "Namespace", o.Namespace)
	p.line(0, "Node", o.Spec.NodeName+"/"+o.Status.HostIP)
	if o.Status.StartTime != nil {
		p.line(0, "Start Time", clock(o.Status.StartTime.Time))
	}
	p.list(0, "Labels", pairs(o.Labels, "="))
	p.list(0, "Annotations", pairs(o.Annotations, ": "))
	if o.DeletionTimestamp != nil {
		p.line(0, "Status", fmt.Sprintf("Terminating (lasts %s)", Age(o.DeletionTimestamp.Time, p.now)))
		if o.DeletionGracePeriodSeconds != nil {
			p.line(0, "Termination Grace Period", fmt.Sprintf("%ds", *o.DeletionGracePeriodSeconds))
		}
	} else {
		p.line(0, "Status", string(o.Status.Phase))
	}
	p.given(0, "Reason", o.Status.Reason)
	p.given(0, "Message", o.Status.Message)
	p.line(0, "IP", o.Status.PodIP)
	p.addresses(o.Status.PodIPs)
	p.origin(d.Origin)
	p.line(0, "Instance", fmt.Sprintf("%d, UID %s", d.Instance, o.UID))
}

func (p *page) addresses(ips []corev1.PodIP) {
	if len(ips) == 0 {
		p.line(0, "IPs", none)
		return
	}
	p.printf(0, "IPs:\n")
	for _, ip := range ips {
		p.line(1, "IP", ip.IP)
	}
}

// wrong lists what is wrong with the manifest.
func (p *page) wrong(problems []pod.Problem) {
	if len(problems) > 0 {
		p.printf(0, "Problems:\n")
	}
	for _, problem := range problems {
		p.printf(1, "%s\n", Clean(problem.String()))
		if problem.Consequence != "" {
			p.printf(2, "%s\n", Clean(problem.Consequence))
		}
	}
}

func (p *page) conditions(o *corev1.Pod) {
	if len(o.Status.Conditions) == 0 {
		return
	}
	p.printf(0, "Conditions:\n")
	p.printf(1, "Type\tStatus\tReason\n")
	for _, c := range o.Status.Conditions {
		why := c.Reason
		if c.Message != "" {
			why += ": " + c.Message
		}
		p.printf(1, "%s\t%s\t%s\n", c.Type, c.Status, Clean(strings.TrimPrefix(why, ": ")))
	}
}

func (p *page) events(events []corev1.Event) {
	if len(events) == 0 {
		p.printf(0, "Events:\t%s\n", none)
		return
	}
	p.printf(0, "Events:\n")
	p.printf(1, "Type\tReason\tAge\tFrom\tMessage\n")
	p.printf(1, "----\t------\t----\t----\t-------\n")
	for i := range events {
		e := &events[i]
		age := Age(LastSeen(e), p.now)
		if e.Count > 1 {
			age = fmt.Sprintf("%s (x%d over %s)", age, e.Count, Age(firstSeen(e), p.now))
		}
		p.printf(1, "%s\t%s\t%s\t%s\t%s\n", e.Type, e.Reason, age, eventSource(e), oneLine(e.Message))
	}
}

// detailsOf finds the details of a container.
func detailsOf(d *api.Details, name string) api.ContainerDetails {
	for _, c := range d.Containers {
		if c.Name == name {
			return c
		}
	}
	return api.ContainerDetails{Name: name, Role: pod.RoleOf(d.Pod, name)}
}

func pairs(m map[string]string, separator string) []string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		lines = append(lines, key+separator+m[key])
	}
	return lines
}

// clock is the way kubectl writes times.
func clock(t time.Time) string { return t.Format(time.RFC1123Z) }
