package validation

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/podstead/podstead/pod"
)

func (c *checker) containers(s *corev1.PodSpec, at *field.Path) {
	c.containerCount(s, at)
	names := map[string]*field.Path{}
	for here, container := range Containers(s, at) {
		c.containerName(container.Name, here.Child("name"), names)
		c.container(container, here)
	}
	for i := range s.InitContainers {
		k, here := &s.InitContainers[i], at.Child("initContainers").Index(i)
		c.initRestart(k, here)
		if pod.InitRole(k) == pod.RoleInit {
			c.endless(k, here)
		}
	}
	for i := range s.Containers {
		c.appRestart(&s.Containers[i], at.Child("containers").Index(i))
	}
	c.hostPorts(s, at)
}

func (c *checker) containerCount(s *corev1.PodSpec, at *field.Path) {
	if len(s.Containers) == 0 {
		c.refuse(at.Child("containers"), pod.ReasonRequired, finding{message: "is required", want: "at least one container"})
	}
	if n := len(s.InitContainers) + len(s.Containers) + len(s.EphemeralContainers); n > c.limits.Containers {
		c.refuse(at.Child("containers"), pod.ReasonLimit, finding{
			"are too many, with init containers", itoa(n), fmt.Sprintf("at most %d", c.limits.Containers)})
	}
}

func (c *checker) containerName(name string, at *field.Path, names map[string]*field.Path) {
	if name == "" {
		c.refuse(at, pod.ReasonRequired, finding{message: "is required", want: "a name"})
		return
	}
	c.refuseAll(at, pod.ReasonInvalidName, name, validation.IsDNS1123Label(name))
	if first, taken := names[name]; taken {
		c.refuse(at, pod.ReasonDuplicate, finding{
			"is taken by " + first.String(), quote(name), "a name that no other container of the pod has, init containers included"})
		return
	}
	names[name] = at
}

// container checks what holds for containers of every list.
func (c *checker) container(k *corev1.Container, at *field.Path) {
	c.image(k.Image, at.Child("image"))
	oneOf(c, at.Child("imagePullPolicy"), k.ImagePullPolicy, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)
	c.process(k, at)
	c.ports(k.Ports, at.Child("ports"))
	c.resources(&k.Resources, at.Child("resources"))
	c.mounts(k, at.Child("volumeMounts"))
	c.security(k.SecurityContext, at.Child("securityContext"))
	c.terminationMessage(k, at)
	c.files(k, at)
	c.probes(k, at)
	c.lifecycle(k, at.Child("lifecycle"))
}

// process checks what the program is started with.
func (c *checker) process(k *corev1.Container, at *field.Path) {
	c.words(k.Command, at.Child("command"))
	c.words(k.Args, at.Child("args"))
	c.env(k.Env, at.Child("env"))
	c.startSize(k, at)
	if k.WorkingDir == "" {
		return
	}
	here := at.Child("workingDir")
	c.absolutePath(here, pod.ReasonInvalid, k.WorkingDir)
	// A working directory below these has led out of containers before
	// (CVE-2024-21626).
	if within(k.WorkingDir, "/proc") || within(k.WorkingDir, "/dev") {
		c.refuse(here, pod.ReasonInvalid, finding{"is a folder of the kernel", quote(k.WorkingDir), "a path outside /proc and /dev"})
	}
}

func (c *checker) words(words []string, at *field.Path) {
	for i, w := range words {
		c.noNUL(at.Index(i), w)
	}
}

// noNUL refuses what can't be handed to a program: its strings end at a NUL.
func (c *checker) noNUL(at *field.Path, s string) {
	if strings.ContainsRune(s, 0) {
		c.refuse(at, pod.ReasonInvalid, finding{"has a NUL byte", quote(s), "text without NUL"})
	}
}

func (c *checker) terminationMessage(k *corev1.Container, at *field.Path) {
	oneOf(c, at.Child("terminationMessagePolicy"), k.TerminationMessagePolicy,
		corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError)
	if k.TerminationMessagePath == "" {
		return
	}
	here := at.Child("terminationMessagePath")
	if !c.absolutePath(here, pod.ReasonInvalid, k.TerminationMessagePath) {
		return
	}
	if reserved(k.TerminationMessagePath) || within(k.TerminationMessagePath, "/sys") {
		c.refuse(here, pod.ReasonInvalid, finding{
			"is where no file can be put", quote(k.TerminationMessagePath), "a file outside /proc and /sys, such as /dev/termination-log"})
	}
}
