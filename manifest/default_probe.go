package manifest

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// defaultHandlers fills in what the API server does for probes and hooks.
func defaultHandlers(c *corev1.Container) {
	for _, p := range probesOf(c) {
		setDefault(&p.TimeoutSeconds, 1)
		setDefault(&p.PeriodSeconds, 10)
		setDefault(&p.SuccessThreshold, 1)
		setDefault(&p.FailureThreshold, 3)
		if p.GRPC != nil {
			setPointer(&p.GRPC.Service, "")
		}
	}
	for _, a := range httpGetsOf(c) {
		setDefault(&a.Path, "/")
		setDefault(&a.Scheme, corev1.URISchemeHTTP)
	}
}

func forgetHandlerPlatitudes(c *corev1.Container) {
	for _, a := range httpGetsOf(c) {
		a.Protocol = nil
	}
	if c.Lifecycle != nil && *c.Lifecycle == (corev1.Lifecycle{}) {
		c.Lifecycle = nil
	}
}

// probesOf returns the probes of a container by their fields.
func probesOf(c *corev1.Container) map[string]*corev1.Probe {
	probes := map[string]*corev1.Probe{}
	for name, p := range map[string]*corev1.Probe{
		"startupProbe": c.StartupProbe, "livenessProbe": c.LivenessProbe, "readinessProbe": c.ReadinessProbe,
	} {
		if p != nil {
			probes[name] = p
		}
	}
	return probes
}

// httpGetsOf returns the HTTP requests of a container's probes and hooks.
func httpGetsOf(c *corev1.Container) []*corev1.HTTPGetAction {
	var gets []*corev1.HTTPGetAction
	for _, p := range probesOf(c) {
		if p.HTTPGet != nil {
			gets = append(gets, p.HTTPGet)
		}
	}
	if c.Lifecycle == nil {
		return gets
	}
	for _, h := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
		if h != nil && h.HTTPGet != nil {
			gets = append(gets, h.HTTPGet)
		}
	}
	return gets
}

// probeDefaults are numbers of a probe that are at least 1, with what the
// field left out means.
var probeDefaults = map[string]int{"periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}

// zeroNumbers reports probes that say 0 where Kubernetes takes that for the
// default: nobody who writes it means that.
func zeroNumbers(o *pod.Object, root *node) []trouble {
	var lists []containerList
	if o.Pod != nil {
		lists = containerLists(&o.Pod.Spec, "spec")
	}
	if t := o.Template(); t != nil {
		lists = containerLists(&t.Spec, "spec.template.spec")
	}
	var found []trouble
	for _, list := range lists {
		for i := range list.containers {
			for name := range probesOf(&list.containers[i]) {
				for number, standard := range probeDefaults {
					path := fmt.Sprintf("%s[%d].%s.%s", list.path, i, name, number)
					if n := root.find(path); n != nil && n.kind == kindInt && n.canonical() == "0" {
						found = append(found, trouble{
							reason: pod.ReasonInvalidProbe, field: path, message: "is out of range",
							got: "0", want: fmt.Sprintf("1 or more, or the field left out for %d", standard),
						})
					}
				}
			}
		}
	}
	return found
}
