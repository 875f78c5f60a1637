package plan

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// goodAfter is how long a container must have run and been ready for its image
// to be a good one.
const goodAfter = 10 * time.Second

// GoodImages are the images that the containers of each pod ran well, by
// "namespace/name" and container.
type GoodImages map[string]map[string]pod.RunImages

// RunImages are the digests of what the containers of each pod run, or ran
// last, by "namespace/name" and container. A pod of which there is nothing and
// that nobody wants is not in it.
type RunImages map[string]map[string]string

// RunWell lists the containers of a pod that have been ready for a while, or
// have done their work, with the digests of their images. runs are the newest
// runs by container.
func RunWell(s *corev1.PodStatus, runs map[string]pod.Container, now pod.Moment) map[string]string {
	well := map[string]string{}
	for _, list := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses} {
		for i := range list {
			c, ok := runs[list[i].Name]
			if !ok || c.Image.Digest == "" {
				continue
			}
			ready := list[i].Ready && c.State == pod.StateRunning && now.Sub(c.Started.Moment) >= goodAfter
			if ready || c.State == pod.StateDead && c.Exit.Code == 0 {
				well[c.Name] = c.Image.Digest
			}
		}
	}
	return well
}

// Note remembers what runs well now beside what did before, and tells whether
// that is any news.
func (g GoodImages) Note(well RunImages) (news bool) {
	for name, containers := range well {
		for container, digest := range containers {
			was := g[name][container]
			if was.Now == digest {
				continue
			}
			// What was handed out stays as it is.
			known := maps.Clone(g[name])
			if known == nil {
				known = map[string]pod.RunImages{}
			}
			known[container] = pod.RunImages{Now: digest, Before: was.Now}
			g[name], news = known, true
		}
	}
	return news
}

// Forget drops pods that are gone for good, and tells whether there were any.
func (g GoodImages) Forget(run RunImages) (news bool) {
	before := len(g)
	maps.DeleteFunc(g, func(name string, _ map[string]pod.RunImages) bool {
		_, known := run[name]
		return !known
	})
	return len(g) != before
}

// Before are the digests to which pods may be taken back, with the name of one:
// of each container the last that ran well and is not what runs now. Before
// every source was read (synced) nobody knows which pods there are, and all
// that ran well stay.
func (g GoodImages) Before(run RunImages, synced bool) map[string]string {
	before := map[string]string{}
	for name, containers := range g {
		now, known := run[name]
		for container, images := range containers {
			switch {
			case !synced:
				before[images.Now], before[images.Before] = name, name
			case !known:
			case now[container] == images.Now:
				before[images.Before] = name
			default:
				before[images.Now] = name
			}
		}
	}
	delete(before, "")
	return before
}
