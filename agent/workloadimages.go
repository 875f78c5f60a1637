package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// imageOf is an image that a workload waits for.
type imageOf struct {
	workload pod.ObjectKey
	image    workload.Image
}

// fetchFor makes the images present that a workload waits for. It starts
// nothing. Those that nothing runs are looked for even if they were here: what
// runs makes way for them, and somebody may have removed them.
func (l *loop) fetchFor(ws *workloadState, now pod.Moment) {
	for _, f := range ws.fetch {
		if failed, did := ws.failed[f.Image]; did {
			if at := l.cfg.Settings.PullAgain(failed); now < at {
				ws.wakeAt(at)
				continue
			}
		}
		a := plan.Pull{Image: f.Name, Policy: f.Policy}
		if img := l.image(f.Name); img.present != nil && a.Policy != corev1.PullAlways && l.runs(img.present.Digest) {
			ws.fetched[f.Image] = workload.Fetched{Present: true}
			l.restless[ws.key] = true
			continue
		}
		l.image(f.Name).fetches[imageOf{ws.key, f.Image}] = a
		if !l.beginPull(a) {
			l.waitingWorkloads[ws.key] = true
		}
	}
}

// runs tells whether a container runs an image.
func (l *loop) runs(digest string) bool {
	for _, ps := range l.pods {
		for _, c := range ps.containers {
			if c.Live() && c.Image.Digest == digest {
				return true
			}
		}
	}
	return false
}

func (ws *workloadState) wakeAt(m pod.Moment) {
	if ws.wake == 0 || m < ws.wake {
		ws.wake = m
	}
}

// fetchedFor hands the result of a pull to a workload that waits for it.
func (l *loop) fetchedFor(of imageOf, got pod.Image, note string, err error) {
	ws := l.workloads[of.workload]
	if ws == nil || errors.Is(err, context.Canceled) {
		return
	}
	l.restless[ws.key] = true
	if err == nil {
		delete(ws.failed, of.image)
		ws.fetched[of.image] = workload.Fetched{Present: true}
		if note != "" {
			l.eventOf(ws.key, warning, "PullFailed", note)
			return
		}
		l.eventOf(ws.key, normal, "Pulled", fmt.Sprintf("Image %q is present (%s)", of.image.Name, got.Digest))
		return
	}
	if errors.Is(err, pod.ErrUnavailable) {
		l.runtimeDown(err)
		return
	}
	f := l.failure(ws.failed[of.image], err)
	ws.failed[of.image] = f
	ws.fetched[of.image] = workload.Fetched{Problem: f.Message}
	l.eventOf(ws.key, warning, orDefault(f.Reason, "Failed"), f.Message)
}

// fetchAgain forgets the fetches that failed: what they failed for may be
// otherwise now.
func (l *loop) fetchAgain(which func(plan.Failure) bool) {
	for key, ws := range l.workloads {
		for image, f := range ws.failed {
			if which(f) {
				delete(ws.failed, image)
				l.restless[key] = true
			}
		}
	}
}

// keepFetched forgets what came of images that nothing waits for any more:
// they may be removed.
func (l *loop) keepFetched(ws *workloadState) {
	waits := func(hash string) bool {
		return ws.record != nil && (hash == ws.record.Held.Revision || hash == ws.record.Target && !ws.record.Rollout.Settled)
	}
	maps.DeleteFunc(ws.fetched, func(i workload.Image, _ workload.Fetched) bool { return !waits(i.Revision) })
	maps.DeleteFunc(ws.failed, func(i workload.Image, _ plan.Failure) bool { return !waits(i.Revision) })
}

// images are those that have to stay for a workload.
func (ws *workloadState) images() []string {
	if ws.record == nil {
		return nil
	}
	return ws.record.Images()
}
