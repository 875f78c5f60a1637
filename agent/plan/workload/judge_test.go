package workload_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// wanted is how many pods are wanted, as a person would say it.
func (w *world) wanted(rec *workload.Record) int {
	switch {
	case w.ruling.disk != "" && w.ruling.disk != w.settings.Node.Labels["disk"]:
		return 0
	case w.ruling.kind == pod.KindDaemonSet:
		return 1
	case rec != nil && rec.Drift.Replicas != nil:
		return int(*rec.Drift.Replicas)
	}
	return int(w.ruling.replicas)
}

func (w *world) paused(rec *workload.Record) bool {
	if rec != nil && rec.Drift.Paused != nil {
		return *rec.Drift.Paused
	}
	return w.ruling.paused
}

// limits are maxSurge and maxUnavailable in pods, computed anew here.
func (w *world) limits(n int) (surge, missing int) {
	f := w.ruling
	if f.recreate {
		return 0, n
	}
	if f.onDelete { // the form gives no bounds then
		return 0, min(n, 1)
	}
	daemon := f.kind == pod.KindDaemonSet
	share := func(text string, round func(float64) float64, left string) int {
		if text == "" {
			text = left
		}
		percent, is := strings.CutSuffix(text, "%")
		v, _ := strconv.Atoi(percent)
		if is {
			return int(round(float64(v*n) / 100))
		}
		return v
	}
	if daemon {
		surge, missing = share(f.surge, math.Ceil, "0"), share(f.missing, math.Ceil, "1")
	} else {
		surge, missing = share(f.surge, math.Ceil, "25%"), share(f.missing, math.Floor, "25%")
	}
	if surge == 0 && missing == 0 {
		missing = 1
	}
	return surge, min(missing, n)
}

// exclusive tells whether two pods of different revisions may not be at once.
func (w *world) exclusive(a, b *corev1.Pod, n int) bool {
	f := w.ruling
	port := func(p *corev1.Pod) int32 { return (&simPod{desired: &pod.Desired{Pod: p}}).port() }
	folder := func(p *corev1.Pod) string {
		if len(p.Spec.Volumes) == 0 {
			return ""
		}
		return p.Spec.Volumes[0].HostPath.Path
	}
	return f.recreate || f.order == pod.StopFirst || port(a) != 0 && port(a) == port(b) ||
		n == 1 && f.order != pod.StartFirst && folder(a) != "" && folder(a) == folder(b)
}

// judge looks whether a decision keeps the laws.
func (w *world) judge(h *workload.Have, d *workload.Decision) {
	if d.Wake != 0 && d.Wake <= w.now {
		w.violate("it wakes at %v, which is over", time.Duration(d.Wake))
	}
	switch {
	case w.runtimeDown && (!d.Keep || len(d.Pods)+len(d.Ended)+len(d.Events) > 0 || d.Store):
		w.violate("it decided something while the runtime can't be asked")
	case d.Keep:
		return
	case w.gone && !w.keep:
		if len(d.Pods) > 0 {
			w.violate("it is not wanted, yet pods of it are")
		}
		return
	case d.Record == nil:
		return
	}
	n := w.wanted(d.Record)
	w.judgeNumber(h, d, n)
	w.judgeNew(h, d, n)
	w.judgeEnded(h, d, n)
	w.remember(d.Record)
	w.judgeFollowing(h, d)
}

// judgeNumber: never above the surge, never below the available ones that have
// to be there, as far as they were there.
func (w *world) judgeNumber(h *workload.Have, d *workload.Decision, n int) {
	surge, missing := w.limits(n)
	if after := len(d.Pods) + len(d.Unreadable); after > n+surge {
		w.violate("%d pods, but no more than %d+%d may be", after, n, surge)
	}
	minReady := time.Duration(w.ruling.minReady) * time.Second
	before, after := 0, 0
	for i := range h.Pods {
		p := &h.Pods[i]
		if p.Stopping || p.Ready.IsZero() || w.now < p.Ready.Moment.Add(minReady) {
			continue
		}
		before++
		if wants(d, p.Key) {
			after++
		}
	}
	if w.capacity > 0 && len(w.pods) >= w.capacity {
		missing = max(missing, 1)
	}
	if w.apart(h, d.Record, n) {
		missing = n
	}
	if after < min(before, n-missing) {
		w.violate("%d available pods became %d, but %d of %d have to be: %v", before, after, n-missing, n, d.Ended)
	}
}

// apart tells whether pods that run and the target may not be at once.
func (w *world) apart(h *workload.Have, rec *workload.Record, n int) bool {
	target := rec.Revision(rec.Target)
	return target != nil && slices.ContainsFunc(h.Pods, func(p workload.Pod) bool {
		other := rec.Revision(p.Revision)
		return other != nil && p.Revision != rec.Target && w.exclusive(asPod(target), asPod(other), n)
	})
}

// imageOf is the image that pods of a revision are to have: with the digest
// that it ran where it was good and another one is wanted, or an undo led to it.
func imageOf(d *workload.Decision, rev *workload.Revision) string {
	name, digest := rev.Template.Spec.Containers[0].Image, rev.Ran["app"]
	superseded := d.Status.Wanted != 0 && d.Status.Wanted != rev.Number
	if rev.Good && digest != "" && (superseded || d.Record.Drift.Undo == rev.Hash) {
		name += "@" + digest
	}
	return name
}

func asPod(rev *workload.Revision) *corev1.Pod { return &corev1.Pod{Spec: rev.Template.Spec} }

// judgeNew: no pod beside one that it can't be beside, none of a revision that
// failed and was left.
func (w *world) judgeNew(h *workload.Have, d *workload.Decision, n int) {
	label := workload.HashLabel(w.ruling.kind)
	names := map[string]bool{}
	for _, o := range d.Pods {
		if names[o.Key.Name] {
			w.violate("two pods are named %s", o.Key.Name)
		}
		names[o.Key.Name] = true
		if slices.ContainsFunc(h.Pods, func(p workload.Pod) bool { return p.Key == o.Key && !p.Stopping }) {
			continue
		}
		hash := o.Pod.Labels[label]
		for i := range h.Pods {
			p := &h.Pods[i]
			if p.Key == o.Key {
				w.violate("%s is started while it stops", o.Key)
			}
			if p.Revision != hash && p.Desired != nil && w.exclusive(o.Pod, p.Desired.Pod, n) {
				w.violate("%s is started beside %s", o.Key, p.Key)
			}
		}
		rev := d.Record.Revision(hash)
		if rev != nil && o.Pod.Spec.Containers[0].Image != imageOf(d, rev) {
			w.violate("%s gets image %s, not %s", o.Key, o.Pod.Spec.Containers[0].Image, imageOf(d, rev))
		}
		if rev != nil && w.failed[templateKey(rev.Template.Spec, rev.Template.Annotations)] && !w.ruling.keep && h.Record != nil && hash != h.Record.Target && lastGood(h.Record) != nil {
			w.violate("%s is started, whose revision failed before", o.Key)
		}
	}
}

// judgeEnded: what runs is not ended for a revision whose image is not here.
func (w *world) judgeEnded(h *workload.Have, d *workload.Decision, n int) {
	target := d.Record.Revision(d.Record.Target)
	surge, _ := w.limits(n)
	if w.apart(h, d.Record, n) {
		surge = 0
	}
	live, fresh := 0, 0
	for i := range h.Pods {
		if p := &h.Pods[i]; !p.Stopping {
			live++
			if p.Revision == d.Record.Target {
				fresh++
			}
		}
	}
	for i := range h.Pods {
		p := &h.Pods[i]
		gone := !p.Stopping && !wants(d, p.Key)
		if gone != slices.ContainsFunc(d.Ended, func(e workload.Ended) bool { return e.Key == p.Key }) {
			w.violate("%s ends without a word, or does not although it is said", p.Key)
		}
		if !gone || target == nil || p.Revision == target.Hash || live > n+surge || fresh >= n || w.paused(d.Record) {
			continue
		}
		image := workload.Image{Name: imageOf(d, target), Revision: target.Hash}
		if !h.Images[image].Present {
			w.violate("%s ends for %s, which is not here", p.Key, image.Name)
		}
		if drift := d.Record.Drift; w.ruling.onDelete && drift.RestartedAt == "" && drift.Undo == "" && !d.Record.Rollout.Rollback {
			w.violate("%s ends although the strategy is OnDelete", p.Key)
		}
	}
}

func wants(d *workload.Decision, key pod.Key) bool {
	return slices.ContainsFunc(d.Pods, func(o *pod.Desired) bool { return o.Key == key }) || slices.Contains(d.Unreadable, key)
}

// remember notes which templates failed.
func (w *world) remember(rec *workload.Record) {
	for i := range rec.Revisions {
		rev := &rec.Revisions[i]
		switch key := templateKey(rev.Template.Spec, rev.Template.Annotations); {
		case rev.Good:
			delete(w.failed, key)
		case rev.Failure != nil:
			w.failed[key] = true
		}
	}
}

// templateKey stands for what a person takes for one version.
func templateKey(spec corev1.PodSpec, annotations map[string]string) string {
	c := &spec.Containers[0]
	key := c.Image + " " + annotations[workload.RestartedAtAnnotation]
	if len(c.Env) > 0 {
		key += " " + c.Env[0].Value
	}
	if c.ImagePullPolicy == corev1.PullAlways {
		key += " always"
	}
	if len(c.Ports) > 0 {
		key += " port"
	}
	if len(spec.Volumes) > 0 {
		key += " " + spec.Volumes[0].HostPath.Path
	}
	return key + spec.NodeSelector["disk"]
}

func lastGood(rec *workload.Record) *workload.Revision {
	for i := len(rec.Revisions) - 1; i >= 0; i-- {
		if rec.Revisions[i].Good {
			return &rec.Revisions[i]
		}
	}
	return nil
}
