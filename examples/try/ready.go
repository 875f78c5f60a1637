package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/api"
)

// notReady returns a line for each pod that is not ready, with what is known
// of the reason; up is false where podstead does not answer or has no pods yet.
func notReady(ctx context.Context, client *api.Client) (held []string, up bool) {
	pods, err := client.Pods(ctx, api.ListOptions{})
	if err != nil {
		return []string{"podstead does not answer: " + err.Error()}, false
	}
	if len(pods.Items) == 0 {
		return []string{"podstead has read no pods yet"}, false
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		if c := condition(p, corev1.PodReady); c == nil || c.Status != corev1.ConditionTrue {
			held = append(held, fmt.Sprintf("pod %s/%s: %s", p.Namespace, p.Name, whyNotReady(p)))
		}
	}
	return held, true
}

func condition(p *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == kind {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

// whyNotReady is the reason and message of what holds a pod up: of the pod
// itself, of a container that waits or ended, or of the condition Ready.
func whyNotReady(p *corev1.Pod) string {
	if p.Status.Reason != "" || p.Status.Message != "" {
		return because(p.Status.Reason, p.Status.Message)
	}
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Message != "":
			return "container " + c.Name + ": " + because(c.State.Waiting.Reason, c.State.Waiting.Message)
		case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
			return fmt.Sprintf("container %s: %s", c.Name,
				because(c.State.Terminated.Reason, fmt.Sprintf("exit code %d", c.State.Terminated.ExitCode)))
		}
	}
	if c := condition(p, corev1.PodReady); c != nil && c.Reason+c.Message != "" {
		return because(c.Reason, c.Message)
	}
	return "it is " + string(p.Status.Phase)
}

func because(reason, message string) string {
	if reason == "" || message == "" {
		return reason + message
	}
	return reason + ": " + message
}

// heldText comes before the hints where not all pods were ready in time.
func heldText(held []string, took time.Duration, ready bool) string {
	if ready || len(held) == 0 {
		return ""
	}
	return fmt.Sprintf("\nNot ready %s after podstead was started:\n\n  %s\n\n", took.Round(time.Second), strings.Join(held, "\n  "))
}
