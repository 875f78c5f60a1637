package manifest

import (
	"maps"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/pod"
)

// Default fills in what the API server of Kubernetes fills in for the fields
// that podstead supports, so that two manifests which mean the same are equal
// afterwards. It changes p, keeps everything that is set, and does nothing
// more when it is called again. The seccomp profile is not among the API's
// defaults; the runtime decides it.
func Default(p *corev1.Pod) {
	p.APIVersion, p.Kind = "v1", "Pod"
	setDefault(&p.Namespace, "default")
	defaultPod(&p.Spec)
}

// DefaultTemplate does the same for a template: a pod that is made from it
// needs nothing more but its kind and namespace.
func DefaultTemplate(t *corev1.PodTemplateSpec) { defaultPod(&t.Spec) }

func defaultPod(s *corev1.PodSpec) {
	defaultSpec(s)
	for _, list := range containerLists(s, "spec") {
		for i := range list.containers {
			defaultContainer(&list.containers[i], s.HostNetwork)
		}
	}
	for i := range s.Volumes {
		defaultVolume(&s.Volumes[i])
	}
}

// forgetPlatitudes clears fields that say what is so anyway, so that writing
// them changes nothing.
func forgetPlatitudes(o *pod.Object) {
	if o.Pod != nil {
		forgetPodPlatitudes(&o.Pod.Spec)
	}
	if t := o.Template(); t != nil {
		t.Name, t.Namespace = "", ""
		forgetPodPlatitudes(&t.Spec)
	}
	if o.Service != nil && o.Service.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		o.Service.Spec.SessionAffinityConfig = nil
	}
}

func forgetPodPlatitudes(s *corev1.PodSpec) {
	s.OS, s.HostUsers, s.RuntimeClassName = nil, nil, nil
	if s.SetHostnameAsFQDN != nil && !*s.SetHostnameAsFQDN {
		s.SetHostnameAsFQDN = nil
	}
	if s.HostnameOverride != nil && *s.HostnameOverride == "" {
		s.HostnameOverride = nil
	}
	if c := s.DNSConfig; c != nil && len(c.Nameservers)+len(c.Searches)+len(c.Options) == 0 {
		s.DNSConfig = nil
	}
	for _, list := range containerLists(s, "spec") {
		for i := range list.containers {
			forgetHandlerPlatitudes(&list.containers[i])
		}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func setPointer[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

func defaultSpec(s *corev1.PodSpec) {
	setDefault(&s.RestartPolicy, corev1.RestartPolicyAlways)
	setPointer(&s.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
	setDefault(&s.DNSPolicy, corev1.DNSClusterFirst)
	setDefault(&s.SchedulerName, corev1.DefaultSchedulerName)
	setPointer(&s.EnableServiceLinks, corev1.DefaultEnableServiceLinks)
	setPointer(&s.SecurityContext, corev1.PodSecurityContext{})
	for i := range s.SecurityContext.Sysctls {
		c := &s.SecurityContext.Sysctls[i]
		c.Name = pod.SysctlName(c.Name)
	}
}

func defaultContainer(c *corev1.Container, hostNetwork bool) {
	setDefault(&c.ImagePullPolicy, pullPolicy(c.Image))
	setDefault(&c.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	setDefault(&c.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
	if c.SecurityContext != nil {
		setPointer(&c.SecurityContext.ProcMount, corev1.DefaultProcMount)
	}
	for i := range c.Ports {
		setDefault(&c.Ports[i].Protocol, corev1.ProtocolTCP)
		if hostNetwork {
			setDefault(&c.Ports[i].HostPort, c.Ports[i].ContainerPort)
		}
	}
	for _, e := range c.Env {
		if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil {
			setDefault(&e.ValueFrom.FieldRef.APIVersion, "v1")
		}
	}
	defaultResources(&c.Resources)
	defaultHandlers(c)
}

// pullPolicy is Always for images that are named by the tag latest or by no
// tag and no digest, since those change under their name.
func pullPolicy(image string) corev1.PullPolicy {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return corev1.PullIfNotPresent
	}
	tagged, ok := reference.TagNameOnly(named).(reference.Tagged)
	if ok && tagged.Tag() == "latest" {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

// defaultResources requests what is limited and not requested. Amounts are
// rounded up to thousandths, the smallest that the API knows.
func defaultResources(r *corev1.ResourceRequirements) {
	roundUp(r.Limits)
	roundUp(r.Requests)
	for name, limit := range r.Limits {
		if _, found := r.Requests[name]; found {
			continue
		}
		if r.Requests == nil {
			r.Requests = corev1.ResourceList{}
		}
		r.Requests[name] = limit.DeepCopy()
	}
}

func roundUp(list corev1.ResourceList) {
	for name, amount := range maps.Clone(list) {
		amount.RoundUp(resource.Milli)
		list[name] = amount
	}
}

func defaultVolume(v *corev1.Volume) {
	if v.VolumeSource == (corev1.VolumeSource{}) {
		v.EmptyDir = &corev1.EmptyDirVolumeSource{}
	}
	if v.HostPath != nil {
		setPointer(&v.HostPath.Type, corev1.HostPathUnset)
	}
}
