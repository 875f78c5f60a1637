package plan

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// life is one instance of a pod with everything observed of it.
type life struct {
	number     int
	containers []pod.Container // by name, then attempt
	sandbox    *pod.Sandbox
}

// instances groups what was observed by instance, oldest first. One of which
// only a beginning was made counts: it is gone on with, or taken away.
func instances(h Have) []life {
	byNumber := map[int]*life{}
	get := func(n int) *life {
		if byNumber[n] == nil {
			byNumber[n] = &life{number: n}
		}
		return byNumber[n]
	}
	for _, c := range h.Containers {
		l := get(c.Instance.Number)
		l.containers = append(l.containers, c)
	}
	for i := range h.Sandboxes {
		get(h.Sandboxes[i].Instance.Number).sandbox = &h.Sandboxes[i]
	}
	for n, begun := range h.Begun {
		if begun {
			get(n)
		}
	}
	lives := make([]life, 0, len(byNumber))
	for _, l := range byNumber {
		slices.SortFunc(l.containers, func(a, b pod.Container) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Attempt, b.Attempt))
		})
		lives = append(lives, *l)
	}
	slices.SortFunc(lives, func(a, b life) int { return cmp.Compare(a.number, b.number) })
	return lives
}

// condemned returns the intent to stop the whole instance, nil if there is
// none. The earliest counts: grace runs from it.
func (l *life) condemned() *pod.Stopping {
	var found *pod.Stopping
	for i := range l.containers {
		s := l.containers[i].Stopping
		if s == nil || s.Scope != pod.StopPod {
			continue
		}
		if found == nil || s.Since.Moment < found.Since.Moment {
			found = s
		}
	}
	return found
}

// latest returns the newest run of a container, nil if it never ran.
func (l *life) latest(name string) *pod.Container {
	var found *pod.Container
	for i := range l.containers {
		if l.containers[i].Name == name {
			found = &l.containers[i]
		}
	}
	return found
}

// latestHere is latest, but only of the present sandbox: what ran in an
// earlier one (before a reboot) does not count for the order of starting.
func (l *life) latestHere(name string) *pod.Container {
	c := l.latest(name)
	if c == nil || l.sandbox == nil || c.Sandbox != l.sandbox.ID {
		return nil
	}
	return c
}

// recorded returns the newest recorded version of the pod, nil if no record
// can be read.
func (l *life) recorded() *pod.Desired {
	var newest *pod.Container
	for i := range l.containers {
		c := &l.containers[i]
		if c.Pod == nil {
			continue
		}
		if newest == nil || newer(c, newest) {
			newest = c
		}
	}
	if newest == nil {
		return nil
	}
	return &pod.Desired{
		Key:    pod.Key{Namespace: newest.Pod.Namespace, Name: newest.Pod.Name},
		Pod:    newest.Pod,
		Origin: newest.Origin,
	}
}

func newer(a, b *pod.Container) bool {
	if a.Created.Moment != b.Created.Moment {
		return a.Created.Moment > b.Created.Moment
	}
	return a.ID > b.ID
}

// order lists the wanted containers as they start: pause if processes are
// shared, init containers and sidecars, then the others.
func order(p *corev1.Pod) []string {
	var names []string
	if shared := p.Spec.ShareProcessNamespace; shared != nil && *shared {
		names = append(names, pod.PauseName)
	}
	for i := range p.Spec.InitContainers {
		names = append(names, p.Spec.InitContainers[i].Name)
	}
	for i := range p.Spec.Containers {
		names = append(names, p.Spec.Containers[i].Name)
	}
	return names
}
