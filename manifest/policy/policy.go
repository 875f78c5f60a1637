// Package policy says what the pods of one source may do on this server. The
// Pod Security Standards come from Kubernetes' own library at their latest
// version; what a source was granted on top lifts single violations. It is
// pure.
package policy

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/pod-security-admission/api"

	"github.com/podstead/podstead/manifest/validation"
	"github.com/podstead/podstead/pod"
)

// PortRange is the ports First to Last, both included.
type PortRange struct{ First, Last int32 }

func (r PortRange) has(port int32) bool { return r.First <= port && port <= r.Last }

// Level is what the pods of a source may do.
type Level struct {
	// PodSecurity is privileged, baseline or restricted. Anything else, the
	// empty string included, allows no pod.
	PodSecurity string
	// AllowHostPorts lifts the ban of baseline and restricted on host ports
	// for these.
	AllowHostPorts []PortRange
	// AllowHostPaths lifts their ban on hostPath volumes for these absolute
	// paths and all below them, by whole components: /srv allows /srv/a, not
	// /srvx. A path with a ".." in it is never allowed. Symbolic links below
	// an allowed path are the concern of whoever mounts.
	AllowHostPaths []string
	// Namespaces lists the namespaces that pods may be in; empty allows all.
	Namespaces []string
	// MaxPods and MaxContainers bound the whole source (CheckSource); 0 is
	// no bound. Containers of every list count.
	MaxPods, MaxContainers int
}

// Validate says what is wrong with a level as configured, nil if nothing is.
func (l Level) Validate() error {
	if _, err := l.security(); err != nil {
		return err
	}
	for _, r := range l.AllowHostPorts {
		if r.First < 1 || r.Last > 65535 || r.First > r.Last {
			return fmt.Errorf("allowHostPorts: %d-%d is no range of ports, want FIRST-LAST within 1-65535", r.First, r.Last)
		}
	}
	for _, p := range l.AllowHostPaths {
		if !plain(p) {
			return fmt.Errorf("allowHostPaths: %q is not an absolute path without \"..\"", p)
		}
	}
	if l.MaxPods < 0 || l.MaxContainers < 0 {
		return fmt.Errorf("maxPods %d and maxContainers %d can't be negative, want 0 for no bound", l.MaxPods, l.MaxContainers)
	}
	return nil
}

func (l Level) security() (api.Level, error) {
	levels := []api.Level{api.LevelPrivileged, api.LevelBaseline, api.LevelRestricted}
	if level := api.Level(l.PodSecurity); slices.Contains(levels, level) {
		return level, nil
	}
	return "", fmt.Errorf("podSecurity: %q is no level, want privileged, baseline or restricted", l.PodSecurity)
}

// Check returns everything that a pod asks for and may not have, empty if it
// may run. The pod has passed package validation, which refuses what the Pod
// Security Standards forgive other platforms. The order is the same for the
// same pod and level; the pod is not changed.
func Check(p *corev1.Pod, l Level) []validation.Error {
	errs := l.namespace(p)
	security, err := l.security()
	if err != nil {
		return append(errs, refusal(field.NewPath("spec"), err.Error()+": no pod of this source may run", "", ""))
	}
	lifted := l.lift(p)
	for _, r := range refusals(security, lifted) {
		message := fmt.Sprintf("is not allowed by Pod Security level %s (%s)", security, r.result.ForbiddenReason)
		for _, place := range r.check.places(lifted, r.result) {
			errs = append(errs, refusal(place.at, message, place.got, place.want))
		}
	}
	return errs
}

func (l Level) namespace(p *corev1.Pod) []validation.Error {
	if len(l.Namespaces) == 0 || slices.Contains(l.Namespaces, p.Namespace) {
		return nil
	}
	return []validation.Error{refusal(field.NewPath("metadata", "namespace"),
		"is not allowed for this source", fmt.Sprintf("%q", p.Namespace), strings.Join(l.Namespaces, ", "))}
}

func refusal(at *field.Path, message, got, want string) validation.Error {
	return validation.Error{
		Field: at.String(), Reason: pod.ReasonPolicy, Severity: pod.Error,
		Message: message, Got: got, Want: want,
	}
}
