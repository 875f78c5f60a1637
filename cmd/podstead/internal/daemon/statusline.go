package daemon

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

func (d *daemon) statusLine() string { return statusLine(d.agent.Latest(), d.options.ContainerdUnit) }

// statusLine is what systemctl status shows, in words, such as "12 pods ready,
// 1 waiting for image docker.io/library/redis:7 (default/cache)". unit is the
// one that runs containerd, if one does.
func statusLine(snap *pod.Snapshot, unit string) string {
	var parts []string
	if snap.Draining.Reason != "" {
		parts = append(parts, snap.Draining.Reason)
	}
	if snap.Runtime.Up || len(snap.Pods) > 0 {
		parts = append(parts, podsInWords(snap))
	}
	if !snap.Runtime.Up {
		text := "waiting for containerd"
		if snap.Runtime.Error != "" {
			text = "containerd does not answer: " + snap.Runtime.Error
		}
		if unit != "" {
			text += " (systemctl status " + unit + ")"
		}
		parts = append(parts, text)
	}
	for _, s := range snap.Sources {
		if s.Error != "" {
			parts = append(parts, "source "+s.Name+": "+s.Error)
		}
	}
	return oneLine(strings.Join(parts, "; "))
}

// oneLine keeps what others wrote from being taken for further assignments of
// the notification.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// podsInWords counts the pods by how they are; of those that are neither ready
// nor done it names the first.
func podsInWords(snap *pod.Snapshot) string {
	if len(snap.Pods) == 0 {
		return "no pods"
	}
	pulling := map[string]bool{}
	for _, i := range snap.Images {
		pulling[i.Ref] = i.Pulling
	}
	groups := map[string][]string{}
	for _, v := range snap.Pods {
		state := inWords(v.Pod, pulling)
		groups[state] = append(groups[state], v.Instance.Key.String())
	}
	states := make([]string, 0, len(groups))
	for state := range groups {
		states = append(states, state)
	}
	slices.SortFunc(states, func(a, b string) int {
		if (a == ready) != (b == ready) {
			if a == ready {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for i, state := range states {
		keys, noun := groups[state], ""
		if i == 0 {
			noun = " pods"
			if len(keys) == 1 {
				noun = " pod"
			}
		}
		states[i] = fmt.Sprintf("%d%s %s", len(keys), noun, state)
		if !slices.Contains(unnamed, state) {
			states[i] += " (" + keys[0] + more(len(keys)-1) + ")"
		}
	}
	return strings.Join(states, ", ")
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

const ready = "ready"

// unnamed are the states of which a pod's name says nothing more.
var unnamed = []string{ready, "completed", "stopped", "stopping"}

// inWords is how one pod is.
func inWords(p *corev1.Pod, pulling map[string]bool) string {
	switch {
	case p.DeletionTimestamp != nil:
		return "stopping"
	case p.Status.Phase == corev1.PodSucceeded:
		return "completed"
	case p.Status.Phase == corev1.PodFailed:
		return "failed"
	case p.Status.Reason == pod.ReasonShutdown && !runs(p):
		return "stopped"
	case p.Status.Reason == pod.ReasonShutdown:
		return "stopping"
	case p.Status.Reason != "":
		return "waiting: " + p.Status.Reason
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return ready
		}
	}
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if text := waits(c, pulling); text != "" {
			return text
		}
	}
	if p.Status.Phase == corev1.PodRunning {
		return "not ready"
	}
	return "starting"
}

func runs(p *corev1.Pod) bool {
	return slices.ContainsFunc(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses), func(c corev1.ContainerStatus) bool {
		return c.State.Running != nil
	})
}

// waits is what a container waits for, empty for nothing special.
func waits(c corev1.ContainerStatus, pulling map[string]bool) string {
	w := c.State.Waiting
	switch {
	case w == nil:
		return ""
	case w.Reason == "CrashLoopBackOff":
		return "waiting to be restarted"
	case pulling[c.Image], w.Reason == "ErrImagePull", w.Reason == "ImagePullBackOff":
		return "waiting for image " + c.Image
	case w.Reason == "ContainerCreating", w.Reason == "PodInitializing", w.Reason == "":
		return ""
	default:
		return "waiting: " + w.Reason
	}
}
