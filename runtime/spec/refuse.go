package spec

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// The reasons of refusals, as Kubernetes puts them into waiting.reason:
// reasonConfig where the kubelet could not make the configuration, reasonCreate
// where the runtime would not take it.
const (
	reasonConfig = "CreateContainerConfigError"
	reasonCreate = "CreateContainerError"
)

// refuse names the pod, the container and the field, and says what happens.
// The field is relative to the container; a leading "/" makes it one of the
// image's configuration.
func (b *builder) refuse(reason, field, format string, args ...any) error {
	place := b.field + "." + field
	if field[0] == '/' {
		place = fmt.Sprintf("image %s: %s", b.imageName(), field[1:])
	}
	return &pod.Refused{Reason: reason, Message: fmt.Sprintf(
		"container %q of %s: %s: %s; it is not started and tried again with back-off",
		b.req.Name, b.req.Instance.Key, place, fmt.Sprintf(format, args...))}
}

func (b *builder) imageName() string {
	if b.req.Image.Ref != "" {
		return b.req.Image.Ref
	}
	return b.c.Image
}

// fieldOf returns the path of a container in its pod.
func fieldOf(p *corev1.Pod, name string) string {
	for i := range p.Spec.InitContainers {
		if p.Spec.InitContainers[i].Name == name {
			return "spec.initContainers[" + strconv.Itoa(i) + "]"
		}
	}
	for i := range p.Spec.Containers {
		if p.Spec.Containers[i].Name == name {
			return "spec.containers[" + strconv.Itoa(i) + "]"
		}
	}
	return "spec.containers"
}
