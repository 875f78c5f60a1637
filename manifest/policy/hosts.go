package policy

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// hostParts takes the probes and hooks of a container apart.
func hostParts(at *field.Path, k *corev1.Container) []part {
	var parts []part
	for _, probe := range []struct {
		name string
		*corev1.Probe
	}{{"livenessProbe", k.LivenessProbe}, {"readinessProbe", k.ReadinessProbe}, {"startupProbe", k.StartupProbe}} {
		if probe.Probe != nil {
			parts = append(parts, handlerParts(at.Child(probe.name), probe.HTTPGet, probe.TCPSocket)...)
		}
	}
	if k.Lifecycle == nil {
		return parts
	}
	for _, hook := range []struct {
		name string
		*corev1.LifecycleHandler
	}{{"postStart", k.Lifecycle.PostStart}, {"preStop", k.Lifecycle.PreStop}} {
		if hook.LifecycleHandler != nil {
			parts = append(parts, handlerParts(at.Child("lifecycle", hook.name), hook.HTTPGet, hook.TCPSocket)...)
		}
	}
	return parts
}

// handlerParts shows each kind of handler as a liveness probe: the check
// treats the host of every one alike.
func handlerParts(at *field.Path, http *corev1.HTTPGetAction, tcp *corev1.TCPSocketAction) []part {
	var parts []part
	show := func(kind, host string, h corev1.ProbeHandler) {
		parts = append(parts, contained(at.Child(kind, "host"), quoted(host),
			corev1.Container{LivenessProbe: &corev1.Probe{ProbeHandler: h}}))
	}
	if http != nil {
		show("httpGet", http.Host, corev1.ProbeHandler{HTTPGet: http})
	}
	if tcp != nil {
		show("tcpSocket", tcp.Host, corev1.ProbeHandler{TCPSocket: tcp})
	}
	return parts
}
