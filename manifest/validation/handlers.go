package validation

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

// maxHandlerCommand bounds the command of a probe or hook, which is run again
// and again, in bytes with $(VAR) expanded.
const maxHandlerCommand = 128 << 10

// handlers checks what probes and hooks of a container do.
type handlers struct {
	*checker
	container *corev1.Container
	reason    pod.Reason
}

// oneHandler refuses none and several; alternatives is the struct of them.
func (c *checker) oneHandler(alternatives any, at *field.Path, reason pod.Reason, want string) {
	set := setFields(alternatives)
	switch {
	case len(set) == 0:
		c.refuse(at, reason, finding{message: "says nothing to do", want: "exactly one of " + want})
	case len(set) > 1:
		c.refuse(at, reason, finding{"says more than one thing to do", countOf(set), "exactly one of " + want})
	}
}

func (c *checker) lifecycle(k *corev1.Container, at *field.Path) {
	if k.Lifecycle == nil {
		return
	}
	for _, hook := range []struct {
		field   string
		handler *corev1.LifecycleHandler
	}{{"postStart", k.Lifecycle.PostStart}, {"preStop", k.Lifecycle.PreStop}} {
		if hook.handler == nil {
			continue
		}
		here := at.Child(hook.field)
		c.oneHandler(*hook.handler, here, pod.ReasonInvalid, "exec, httpGet and sleep")
		h := handlers{c, k, pod.ReasonInvalid}
		h.exec(hook.handler.Exec, here.Child("exec"))
		h.httpGet(hook.handler.HTTPGet, here.Child("httpGet"))
		h.sleep(hook.handler.Sleep, here.Child("sleep"))
	}
}

func (h handlers) exec(a *corev1.ExecAction, at *field.Path) {
	if a == nil {
		return
	}
	here := at.Child("command")
	if len(a.Command) == 0 || a.Command[0] == "" {
		h.refuse(here, h.reason, finding{message: "is required", want: "a program and its arguments, such as [cat, /tmp/healthy]"})
		return
	}
	h.words(a.Command, here)
	lengths := map[string]int{}
	for i := range h.container.Env {
		if v := &h.container.Env[i]; v.ValueFrom == nil {
			lengths[v.Name] = expandedLength(v.Value, lengths)
		}
	}
	total := 0
	for _, word := range a.Command {
		total = addLength(total, expandedLength(word, lengths)+1)
	}
	if total > maxHandlerCommand {
		h.refuse(here, h.reason, finding{
			"is too large, with $(VAR) expanded", bytesOf(total), fmt.Sprintf("at most %d bytes", maxHandlerCommand)})
	}
}

func (h handlers) httpGet(a *corev1.HTTPGetAction, at *field.Path) {
	if a == nil {
		return
	}
	h.port(a.Port, at.Child("port"))
	if a.Scheme != "" && a.Scheme != corev1.URISchemeHTTP && a.Scheme != corev1.URISchemeHTTPS {
		h.refuse(at.Child("scheme"), h.reason, finding{"is not a known scheme", quote(string(a.Scheme)), "HTTP or HTTPS"})
	}
	for i, header := range a.HTTPHeaders {
		here := at.Child("httpHeaders").Index(i)
		h.refuseAll(here.Child("name"), h.reason, header.Name, validation.IsHTTPHeaderName(header.Name))
		if strings.ContainsAny(header.Value, "\r\n\x00") {
			h.refuse(here.Child("value"), h.reason, finding{"has a line break or NUL in it", quote(header.Value), "one line"})
		}
	}
}

func (h handlers) tcpSocket(a *corev1.TCPSocketAction, at *field.Path) {
	if a != nil {
		h.port(a.Port, at.Child("port"))
	}
}

func (h handlers) grpc(a *corev1.GRPCAction, at *field.Path) {
	if a == nil {
		return
	}
	h.inRange(at.Child("port"), h.reason, int64(a.Port), 1, maxPort)
	if a.Mode != nil && *a.Mode != corev1.GRPCProbeModePlaintext && *a.Mode != corev1.GRPCProbeModeTLS {
		h.refuse(at.Child("mode"), h.reason, finding{"is not a known value", quote(string(*a.Mode)), "Plaintext or TLS"})
	}
}

// sleep must fit into the grace period, as in Kubernetes.
func (h handlers) sleep(a *corev1.SleepAction, at *field.Path) {
	if a == nil {
		return
	}
	grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if set := h.pod.Spec.TerminationGracePeriodSeconds; set != nil {
		grace = *set
	}
	h.inRange(at.Child("seconds"), h.reason, a.Seconds, 0, max(0, grace))
}

func (h handlers) port(port intstr.IntOrString, at *field.Path) {
	if port.Type == intstr.Int {
		h.inRange(at, h.reason, int64(port.IntVal), 1, maxPort)
		return
	}
	var names []string
	for _, p := range h.container.Ports {
		if p.Name != "" && !slices.Contains(names, p.Name) {
			names = append(names, p.Name)
		}
	}
	if slices.Contains(names, port.StrVal) {
		return
	}
	want := "a number, since no port of the container has a name"
	if len(names) > 0 {
		want = anyOf(append(names, "a number"))
	}
	h.refuse(at, h.reason, finding{"names no port of the container", quote(port.StrVal), want})
}
