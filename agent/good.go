package agent

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// goodAfter is how long a container must have run and been ready for its image
// to be a good one.
const goodAfter = 10 * time.Second

// loadGood reads which images were good. A record that is damaged is put aside
// and begun anew.
func (l *loop) loadGood() {
	good, err := l.cfg.GoodImages.Load()
	if err != nil {
		l.counts.change().Recoveries++
		l.event(pod.Key{}, warning, "StateRecovered", fmt.Sprintf("which images ran well could not be read and is begun anew: %v", err))
	}
	if good != nil {
		l.storage.good = good
	}
}

// noteGood remembers the images that run well now, so that those of the
// version before are kept for a return to it.
func (l *loop) noteGood(now pod.Stamp) {
	s, changed := &l.storage, false
	for key, ps := range l.pods {
		name := key.String()
		for container, digest := range ps.runsWell(now.Moment) {
			was := s.good[name][container]
			if was.Now == digest {
				continue
			}
			known := maps.Clone(s.good[name])
			if known == nil {
				known = map[string]pod.RunImages{}
			}
			known[container] = pod.RunImages{Now: digest, Before: was.Now}
			s.good[name], changed = known, true
		}
	}
	if l.allSynced() {
		maps.DeleteFunc(s.good, func(name string, _ map[string]pod.RunImages) bool {
			gone := !l.known(name)
			changed = changed || gone
			return gone
		})
	}
	s.unsaved = s.unsaved || changed
	l.saveGood()
}

// saveGood writes beside the loop; what changes meanwhile is written after it.
func (l *loop) saveGood() {
	s := &l.storage
	if !s.unsaved || s.saving {
		return
	}
	s.unsaved, s.saving = false, true
	good := maps.Clone(s.good)
	l.spawn(func(context.Context) {
		err := l.cfg.GoodImages.Save(good)
		l.send(func(l *loop) {
			// On a full disk it is tried again with the next look.
			l.storage.saving, l.storage.unsaved = false, l.storage.unsaved || err != nil
		})
	})
}

// runsWell lists the containers that have been ready for a while, or have done
// their work, with the digests of their images.
func (ps *podState) runsWell(now pod.Moment) map[string]string {
	well := map[string]string{}
	if len(ps.views) == 0 {
		return well
	}
	v := ps.views[len(ps.views)-1]
	for _, list := range [][]corev1.ContainerStatus{v.Pod.Status.InitContainerStatuses, v.Pod.Status.ContainerStatuses} {
		for i := range list {
			c, ok := ps.latest(v.Instance.Number, list[i].Name)
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

// latest is the newest run of a container of an instance.
func (ps *podState) latest(instance int, name string) (found pod.Container, ok bool) {
	for _, c := range ps.containers {
		if c.Instance.Number == instance && c.Name == name && (!ok || c.Attempt > found.Attempt) {
			found, ok = c, true
		}
	}
	return found, ok
}

// goodBefore are the digests to which pods may be taken back: of each
// container the last that ran well and is not what runs now. Before every
// source was read nobody knows which pods there are, and all that ran well
// stay.
func (l *loop) goodBefore() map[string]string {
	before, synced := map[string]string{}, l.allSynced()
	for name, containers := range l.storage.good {
		for container, images := range containers {
			switch {
			case !synced:
				before[images.Now], before[images.Before] = name, name
			case !l.known(name):
			case l.runsImage(name, container) == images.Now:
				before[images.Before] = name
			default:
				before[images.Now] = name
			}
		}
	}
	delete(before, "")
	return before
}

// runsImage is the digest of what a container runs or ran last, "" if nothing
// is known of it.
func (l *loop) runsImage(name, container string) string {
	ps := l.pods[pod.ParseKey(name)]
	if ps == nil {
		return ""
	}
	c, _ := ps.latest(ps.newest().Instance.Number, container)
	return c.Image.Digest
}

// known tells whether a pod is wanted or there is something of it.
func (l *loop) known(name string) bool {
	key := pod.ParseKey(name)
	w, wanted := l.wants[key]
	return l.pods[key] != nil || wanted && (w.Desired != nil || w.Keep)
}

func (l *loop) allSynced() bool {
	for _, s := range l.sources {
		if !s.Synced {
			return false
		}
	}
	return true
}
