package printer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/api"
)

func (p *page) containers(title string, specs []corev1.Container, statuses []corev1.ContainerStatus, d *api.Details) {
	if len(specs) == 0 {
		return
	}
	p.printf(0, "%s:\n", title)
	for i := range specs {
		var status corev1.ContainerStatus
		for _, s := range statuses {
			if s.Name == specs[i].Name {
				status = s
			}
		}
		p.container(d.Pod, &specs[i], &status, detailsOf(d, specs[i].Name))
	}
}

func (p *page) container(of *corev1.Pod, spec *corev1.Container, status *corev1.ContainerStatus, more api.ContainerDetails) {
	p.printf(1, "%s:\n", spec.Name)
	p.line(2, "Container ID", status.ContainerID)
	p.line(2, "Image", spec.Image)
	p.line(2, "Image ID", status.ImageID)
	p.ports(spec)
	p.words("Command", spec.Command)
	p.words("Args", spec.Args)
	p.state("State", status.State)
	if !more.NextStart.IsZero() {
		p.line(3, "Next Start", fmt.Sprintf("%s (in %s)", clock(more.NextStart), Age(p.now, more.NextStart)))
	}
	if status.LastTerminationState.Terminated != nil {
		p.state("Last State", status.LastTerminationState)
	}
	if len(more.LastLogTail) > 0 {
		p.printf(2, "Last Log Lines:\n")
	}
	for _, line := range more.LastLogTail {
		p.printf(3, "%s\n", Clean(strings.TrimRight(line, "\n")))
	}
	p.line(2, "Ready", truth(status.Ready))
	p.line(2, "Restart Count", fmt.Sprint(status.RestartCount))
	p.given(2, "Logger", more.Logger)
	p.resources("Limits", spec.Resources.Limits)
	p.resources("Requests", spec.Resources.Requests)
	if status.Resources != nil && !sameResources(status.Resources, &spec.Resources) {
		p.resources("Limits In Force", status.Resources.Limits)
		p.resources("Requests In Force", status.Resources.Requests)
	}
	p.probes(of, spec, more.Probes)
	p.hooks(spec.Lifecycle)
	p.environment(spec)
	p.mounts(spec)
}

func sameResources(a, b *corev1.ResourceRequirements) bool {
	same := func(a, b corev1.ResourceList) bool {
		return maps.EqualFunc(a, b, func(x, y resource.Quantity) bool { return x.Cmp(y) == 0 })
	}
	return same(a.Limits, b.Limits) && same(a.Requests, b.Requests)
}

// truth writes true and false as kubectl does.
func truth(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

func (p *page) ports(spec *corev1.Container) {
	var ports, hostPorts []string
	for _, port := range spec.Ports {
		ports = append(ports, fmt.Sprintf("%d/%s", port.ContainerPort, port.Protocol))
		hostPorts = append(hostPorts, fmt.Sprintf("%d/%s", port.HostPort, port.Protocol))
	}
	title := "Port"
	if len(ports) > 1 {
		title = "Ports"
	}
	p.line(2, title, orNone(strings.Join(ports, ", ")))
	p.line(2, "Host "+title, orNone(strings.Join(hostPorts, ", ")))
}

func (p *page) words(title string, words []string) {
	if len(words) == 0 {
		return
	}
	p.printf(2, "%s:\n", title)
	for _, word := range words {
		for line := range strings.SplitSeq(word, "\n") {
			p.printf(3, "%s\n", Clean(line))
		}
	}
}

func (p *page) state(title string, s corev1.ContainerState) {
	switch {
	case s.Running != nil:
		p.line(2, title, "Running")
		p.line(3, "Started", clock(s.Running.StartedAt.Time))
	case s.Terminated != nil:
		t := s.Terminated
		p.line(2, title, "Terminated")
		p.given(3, "Reason", t.Reason)
		p.given(3, "Message", t.Message)
		p.line(3, "Exit Code", fmt.Sprint(t.ExitCode))
		if t.Signal != 0 {
			p.line(3, "Signal", fmt.Sprint(t.Signal))
		}
		p.line(3, "Started", clock(t.StartedAt.Time))
		p.line(3, "Finished", clock(t.FinishedAt.Time))
	default:
		p.line(2, title, "Waiting")
		if s.Waiting != nil {
			p.given(3, "Reason", s.Waiting.Reason)
			p.given(3, "Message", s.Waiting.Message)
		}
	}
}

func (p *page) resources(title string, list corev1.ResourceList) {
	if len(list) == 0 {
		return
	}
	p.printf(2, "%s:\n", title)
	for _, name := range slices.Sorted(maps.Keys(list)) {
		q := list[name]
		p.line(3, string(name), q.String())
	}
}

func (p *page) environment(spec *corev1.Container) {
	if len(spec.Env) == 0 {
		p.line(2, "Environment", none)
		return
	}
	p.printf(2, "Environment:\n")
	for _, e := range spec.Env {
		value := e.Value
		switch from := e.ValueFrom; {
		case from == nil:
		case from.FieldRef != nil:
			value = fmt.Sprintf(" (%s:%s)", from.FieldRef.APIVersion, from.FieldRef.FieldPath)
		case from.ResourceFieldRef != nil:
			value = fmt.Sprintf(" (%s)", from.ResourceFieldRef.Resource)
		}
		p.line(3, e.Name, value)
	}
}

func (p *page) mounts(spec *corev1.Container) {
	if len(spec.VolumeMounts) == 0 {
		p.line(2, "Mounts", none)
		return
	}
	p.printf(2, "Mounts:\n")
	for _, m := range spec.VolumeMounts {
		flags := "rw"
		if m.ReadOnly {
			flags = "ro"
		}
		if m.SubPath != "" {
			flags += fmt.Sprintf(",path=%q", m.SubPath)
		}
		p.printf(3, "%s from %s (%s)\n", m.MountPath, m.Name, flags)
	}
}

func (p *page) volumes(o *corev1.Pod) {
	if len(o.Spec.Volumes) == 0 {
		return
	}
	p.printf(0, "Volumes:\n")
	for _, v := range o.Spec.Volumes {
		p.printf(1, "%s:\n", v.Name)
		switch {
		case v.EmptyDir != nil:
			p.line(2, "Type", "EmptyDir (lives as long as the pod)")
			p.line(2, "Medium", string(v.EmptyDir.Medium))
			limit := "<unset>"
			if v.EmptyDir.SizeLimit != nil {
				limit = v.EmptyDir.SizeLimit.String()
			}
			p.line(2, "SizeLimit", limit)
		case v.HostPath != nil:
			p.line(2, "Type", "HostPath (a file or folder of the host)")
			p.line(2, "Path", v.HostPath.Path)
			kind := ""
			if v.HostPath.Type != nil {
				kind = string(*v.HostPath.Type)
			}
			p.line(2, "HostPathType", kind)
		default:
			p.line(2, "Type", "<other>")
		}
	}
}
