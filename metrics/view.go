package metrics

import (
	"path"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// view is everything that one scrape reads. It is immutable but for what it
// finds out on demand.
type view struct {
	cfg    *Config
	snap   *pod.Snapshot
	now    time.Time
	stats  *reading
	disk   *diskReading
	probes []pod.ProbeReport
	server *Server

	subjects []subject
}

// subject is a running container, or, with an empty container, a pod that has
// one: what has a cgroup.
type subject struct {
	// labels are those of subjectLabels.
	labels    []string
	pod       *pod.View
	container *pod.ContainerView // nil for a pod
	status    *corev1.ContainerStatus
	resources *specs.LinuxResources
	stats     pod.CgroupStats
	network   []pod.InterfaceStats
}

// subjectLabels identify a subject. A pod's row has neither container nor
// image: rules take a row with an image for a container.
var subjectLabels = []string{"container", "id", "image", "name", "namespace", "pod"}

// over yields the rows of every subject.
func over(each func(s *subject, v *view, row emit)) func(*view, emit) {
	return func(v *view, row emit) {
		for i := range v.subjects {
			each(&v.subjects[i], v, row)
		}
	}
}

// running tells whether a container has a process now. Of a dead one only
// oomEvents are shown, and the pod's pause container never is.
func running(c *pod.ContainerView) bool {
	return c.PID != 0 && c.CgroupPath != "" && c.Role != pod.RolePause
}

// findSubjects lists what runs, with what was read of it, and its limits if
// these are wanted.
func (v *view) findSubjects(limits bool) {
	for i := range v.snap.Pods {
		p := &v.snap.Pods[i]
		first := len(v.subjects)
		for j := range p.Containers {
			if c := &p.Containers[j]; running(c) {
				v.addContainer(p, c, limits)
			}
		}
		if len(v.subjects) > first {
			v.addPod(p, v.subjects[first].container)
		}
	}
}

func (v *view) addContainer(p *pod.View, c *pod.ContainerView, limits bool) {
	s := subject{pod: p, container: c, status: statusOf(p.Pod, c.Name)}
	s.labels = containerLabels(p, c, s.status)
	if spec := pod.ContainerSpec(p.Pod, c.Name); limits && spec != nil && v.cfg.Limits != nil {
		s.resources, _ = v.cfg.Limits.Container(p.Pod, spec)
	}
	if v.stats != nil {
		s.stats = v.stats.cgroups[c.CgroupPath]
	}
	v.subjects = append(v.subjects, s)
}

// containerLabels are subjectLabels of a container, whose status may be nil.
func containerLabels(p *pod.View, c *pod.ContainerView, status *corev1.ContainerStatus) []string {
	image := ""
	if status != nil {
		image = status.Image
	}
	return []string{c.Name, c.CgroupPath, image, c.ID, p.Instance.Namespace, p.Instance.Name}
}

func (v *view) addPod(p *pod.View, any *pod.ContainerView) {
	at := path.Dir(any.CgroupPath)
	s := subject{pod: p, labels: []string{"", at, "", "", p.Instance.Namespace, p.Instance.Name}}
	if v.stats != nil {
		s.stats, s.network = v.stats.cgroups[at], v.stats.networks[at]
	}
	v.subjects = append(v.subjects, s)
}

// statusOf finds the status of a container of a pod, nil if there is none.
func statusOf(p *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{p.Status.ContainerStatuses, p.Status.InitContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}
