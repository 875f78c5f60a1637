package agent

import (
	"context"
	"fmt"
	"maps"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

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
	s, well := &l.storage, plan.RunImages{}
	for key, ps := range l.pods {
		if len(ps.views) > 0 {
			v := ps.views[len(ps.views)-1]
			well[key.String()] = plan.RunWell(&v.Pod.Status, ps.latest(v.Instance.Number), now.Moment)
		}
	}
	s.unsaved = s.good.Note(well) || s.unsaved
	if l.allSynced() {
		s.unsaved = s.good.Forget(l.runImages()) || s.unsaved
	}
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

// latest are the newest runs of the containers of an instance.
func (ps *podState) latest(instance int) map[string]pod.Container {
	runs := map[string]pod.Container{}
	for _, c := range ps.containers {
		if known, ok := runs[c.Name]; c.Instance.Number == instance && (!ok || c.Attempt > known.Attempt) {
			runs[c.Name] = c
		}
	}
	return runs
}

// runImages are those of all pods that are wanted or of which there is
// something.
func (l *loop) runImages() plan.RunImages {
	images := plan.RunImages{}
	for key, w := range l.wants {
		if w.Desired != nil || w.Keep {
			images[key.String()] = map[string]string{}
		}
	}
	for key, ps := range l.pods {
		run := map[string]string{}
		for name, c := range ps.latest(ps.newest().Instance.Number) {
			run[name] = c.Image.Digest
		}
		images[key.String()] = run
	}
	return images
}

func (l *loop) allSynced() bool {
	for _, s := range l.sources {
		if !s.Synced {
			return false
		}
	}
	return true
}
