package spec

import (
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/pod"
)

func envField(i int) string { return "env[" + strconv.Itoa(i) + "]" }

// fieldRef returns what a pod may know of itself. A label or annotation that
// is not there, and the address of a pod without one, are empty, as in
// Kubernetes; the host's address is waited for.
func (b *builder) fieldRef(field, path string) (string, error) {
	r := b.req
	if name, key, ok := strings.Cut(path, "['"); ok && strings.HasSuffix(key, "']") {
		switch key = strings.TrimSuffix(key, "']"); name {
		case "metadata.labels":
			return r.Pod.Labels[key], nil
		case "metadata.annotations":
			return r.Pod.Annotations[key], nil
		}
	}
	switch path {
	case "metadata.name":
		return r.Instance.Name, nil
	case "metadata.namespace":
		return r.Instance.Namespace, nil
	case "metadata.uid":
		return string(r.UID), nil
	case "spec.nodeName":
		return r.Node.Name, nil
	case "spec.serviceAccountName":
		return r.Pod.Spec.ServiceAccountName, nil
	case "status.podIP":
		return first(r.Sandbox.IPs), nil
	case "status.podIPs":
		return strings.Join(r.Sandbox.IPs, ","), nil
	case "status.hostIP", "status.hostIPs":
		return b.hostIP(field, path)
	}
	return "", b.refuse(reasonConfig, field, "%s is not a field that can be referred to", quote(path))
}

func (b *builder) hostIP(field, path string) (string, error) {
	ips := b.req.Node.HostIPs
	if len(ips) == 0 {
		return "", b.refuse(reasonConfig, field, "%s: this host has no address yet", path)
	}
	if path == "status.hostIP" {
		return ips[0], nil
	}
	return strings.Join(ips, ","), nil
}

// resourceFieldRef returns a limit or request in units of the divisor,
// rounded up. A limit that is not set is that of the pod, else all that the
// node has to give; a request that is not set is 0.
func (b *builder) resourceFieldRef(field string, ref *corev1.ResourceFieldSelector) (string, error) {
	c := b.c
	if ref.ContainerName != "" {
		if c = pod.ContainerSpec(b.req.Pod, ref.ContainerName); c == nil {
			return "", b.refuse(reasonConfig, field+".containerName", "the pod has no container %s", quote(ref.ContainerName))
		}
	}
	kind, name, _ := strings.Cut(ref.Resource, ".")
	resourceName := corev1.ResourceName(name)
	var quantity resource.Quantity
	switch kind {
	case "limits":
		var known bool
		if quantity, known = b.limit(c, resourceName); !known {
			return "", b.refuse(reasonConfig, field+".resource", "%s: neither the container nor the node says how much there is", quote(ref.Resource))
		}
	case "requests":
		quantity = c.Resources.Requests[resourceName]
	default:
		return "", b.refuse(reasonConfig, field+".resource", "got %s, want limits.NAME or requests.NAME", quote(ref.Resource))
	}
	return inUnits(quantity, ref.Divisor, resourceName == corev1.ResourceCPU), nil
}

func (b *builder) limit(c *corev1.Container, name corev1.ResourceName) (resource.Quantity, bool) {
	lists := []corev1.ResourceList{c.Resources.Limits}
	if podLevel := b.req.Pod.Spec.Resources; podLevel != nil {
		lists = append(lists, podLevel.Limits)
	}
	for _, list := range lists {
		if q, ok := list[name]; ok && !q.IsZero() {
			return q, true
		}
	}
	q, ok := b.req.Node.Allocatable[name]
	return q, ok
}

// inUnits divides and rounds up; CPU counts in thousandths, so that a
// divisor of 1m is one.
func inUnits(q, divisor resource.Quantity, milli bool) string {
	if divisor.Sign() <= 0 {
		divisor = resource.MustParse("1")
	}
	n, d := q.Value(), divisor.Value()
	if milli {
		n, d = q.MilliValue(), divisor.MilliValue()
	}
	units := n / d
	if n%d > 0 {
		units++
	}
	return strconv.FormatInt(units, 10)
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
