// Package policy says what the objects of one source may do on this server.
// The Pod Security Standards come from Kubernetes' own library at their latest
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

// Level is what the objects of a source may do.
type Level struct {
	// PodSecurity is privileged, baseline or restricted. Anything else, the
	// empty string included, allows nothing.
	PodSecurity string
	// AllowHostPorts lifts the ban of baseline and restricted on host ports
	// for these, and on the ports that Services open on the server.
	AllowHostPorts []PortRange
	// AllowHostPaths lifts their ban on hostPath volumes for these absolute
	// paths and all below them, by whole components: /srv allows /srv/a, not
	// /srvx. A path with a ".." in it is never allowed. Symbolic links below
	// an allowed path are the concern of whoever mounts.
	AllowHostPaths []string
	// Namespaces lists the namespaces that objects may be in; empty allows
	// all.
	Namespaces []string
	// MaxPods and MaxContainers bound the whole source (CheckSource); 0 is
	// no bound. Containers of every list count, and each replica.
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

// Check returns everything that an object asks for and may not have, empty if
// it may be used. The object has passed package validation, which refuses what
// the Pod Security Standards forgive other platforms. The order is the same
// for the same object and level; the object is not changed.
func Check(o *pod.Object, l Level) []validation.Error {
	content := o.Content()
	if content == nil {
		return nil
	}
	errs := l.namespace(content.GetNamespace())
	security, err := l.security()
	if err != nil {
		return append(errs, refusal(field.NewPath("spec"), err.Error()+": nothing of this source may be used", "", ""))
	}
	switch t := o.Template(); {
	case o.Pod != nil:
		errs = append(errs, l.pod(o.Pod, security)...)
	case t != nil:
		for _, e := range l.pod(&corev1.Pod{ObjectMeta: t.ObjectMeta, Spec: t.Spec}, security) {
			e.Field = "spec.template." + e.Field
			errs = append(errs, e)
		}
	case o.Service != nil && security != api.LevelPrivileged:
		errs = append(errs, l.openPorts(&o.Service.Spec)...)
	}
	return errs
}

// pod returns what a pod, or the pods of a template, may not have.
func (l Level) pod(p *corev1.Pod, security api.Level) []validation.Error {
	var errs []validation.Error
	lifted := l.lift(p)
	for _, r := range refusals(security, lifted) {
		message := fmt.Sprintf("is not allowed by Pod Security level %s (%s)", security, r.result.ForbiddenReason)
		for _, place := range r.check.places(lifted, r.result) {
			errs = append(errs, refusal(place.at, message, place.got, place.want))
		}
	}
	return errs
}

func (l Level) namespace(name string) []validation.Error {
	if len(l.Namespaces) == 0 || slices.Contains(l.Namespaces, name) {
		return nil
	}
	return []validation.Error{refusal(field.NewPath("metadata", "namespace"),
		"is not allowed for this source", fmt.Sprintf("%q", name), strings.Join(l.Namespaces, ", "))}
}

func refusal(at *field.Path, message, got, want string) validation.Error {
	return validation.Error{
		Field: at.String(), Reason: pod.ReasonPolicy, Severity: pod.Error,
		Message: message, Got: got, Want: want,
	}
}
