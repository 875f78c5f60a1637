package plan

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// images asks for every image that an instance needs and does not have yet,
// all at once; it tells whether all are there. l is nil for an instance of
// which nothing exists.
func (p *planner) images(number int, d *pod.Desired, l *life) bool {
	if l == nil {
		l = &life{number: number}
	}
	complete := true
	for _, name := range order(d.Pod) {
		if name != pod.PauseName && !p.hasImage(l, name, d) {
			complete = false
		}
	}
	return complete
}

// hasImage tells whether a container's image is there, and asks for it if
// not.
func (p *planner) hasImage(l *life, name string, d *pod.Desired) bool {
	if _, ok := p.imageOf(l, name, d); ok {
		return true
	}
	c := pod.ContainerSpec(d.Pod, name)
	a := Pull{Image: c.Image, Policy: c.ImagePullPolicy, Instance: l.number}
	p.try(a)
	p.noteFailure(a, "the pull of "+c.Image)
	return false
}

// imageOf finds the image that a container has to run. A name is resolved
// once: restarts run what the run before them ran, and a new instance or a
// changed name resolves it anew.
func (p *planner) imageOf(l *life, name string, d *pod.Desired) (pod.Image, bool) {
	c := pod.ContainerSpec(d.Pod, name)
	if last := l.latest(name); last != nil && last.Image.Digest != "" && !p.have.Gone[last.Image.Digest] {
		if s := last.Spec(); s != nil && s.Image == c.Image {
			return last.Image, true
		}
	}
	if img, ok := p.have.Resolved[Name{Image: c.Image, Instance: l.number}]; ok {
		return img, true
	}
	if c.ImagePullPolicy != corev1.PullAlways {
		img, ok := p.have.Images[c.Image]
		return img, ok
	}
	return pod.Image{}, false
}
