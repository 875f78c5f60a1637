package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// idlePull is how long a pull in which nothing moves holds its slot: a registry
// that does not answer must not keep others from being asked.
const idlePull = 5 * time.Second

// imageState is what the loop knows of one image name. Pods that want the
// same image share one pull.
type imageState struct {
	present *pod.Image
	// busy tells that it is looked for or pulled; slot that it may ask a
	// registry, which only so many may at a time.
	busy, slot bool
	// absent tells that it was looked for and is not here: only a registry can
	// help.
	absent bool
	// moved is when the pull under way began or went on.
	moved    pod.Moment
	progress pod.ImageProgress
	waiters  map[pod.Key]plan.Pull
	// fetches are the workloads that wait for it.
	fetches map[imageOf]plan.Pull
}

func (l *loop) image(name string) *imageState {
	if l.images[name] == nil {
		l.images[name] = &imageState{waiters: map[pod.Key]plan.Pull{}, fetches: map[imageOf]plan.Pull{}}
	}
	return l.images[name]
}

// waitsForImage tells whether a pull is under way for a pod.
func (l *loop) waitsForImage(key pod.Key) bool {
	for _, img := range l.images {
		if _, waits := img.waiters[key]; waits {
			return true
		}
	}
	return false
}

// presentImages are the images known to be present of those a pod names.
func (l *loop) presentImages(key pod.Key) map[string]pod.Image {
	present := map[string]pod.Image{}
	for _, name := range imageNames(l.wants[key].Desired) {
		if img := l.images[name]; img != nil && img.present != nil {
			present[name] = *img.present
		}
	}
	return present
}

func (l *loop) dispatchPull(ps *podState, a plan.Pull) {
	l.image(a.Image).waiters[ps.key] = a
	if !l.beginPull(a) {
		l.waiting = append(l.waiting, ps.key)
	}
}

// errAbsent tells that an image is not here and that no registry was asked.
var errAbsent = errors.New("the image is not present, and it is not its turn to be pulled")

// beginPull begins a pull unless one of that image is under way. It reports
// false when it has to wait for its turn. What is here already waits for none:
// without a turn an image is looked for once.
func (l *loop) beginPull(a plan.Pull) bool {
	img, now := l.image(a.Image), l.cfg.Now().Moment
	if img.busy {
		return true
	}
	if l.storage.removing != "" {
		return false
	}
	at := l.pullSlot(now)
	slot := at <= now
	if !slot && (a.Policy == corev1.PullAlways || img.absent) {
		l.pullAt = at
		return false
	}
	img.busy, img.slot, img.moved = true, slot, now
	cfg, ended := l.cfg, l.timed(a)
	l.spawn(func(ctx context.Context) {
		got, note, err := fetch(ctx, cfg.Images, a, slot, func() { l.send(func(l *loop) { l.pulling(a) }) },
			func(p pod.ImageProgress) { l.send(func(l *loop) { l.progress(a.Image, p) }) })
		l.send(func(l *loop) {
			if errors.Is(err, errAbsent) {
				l.absent(a.Image)
				return
			}
			ended(err)
			l.pulled(a, got, note, err)
		})
	})
	return true
}

// absent has those ask again that wait for an image that is not here: they wait
// for a turn now.
func (l *loop) absent(image string) {
	img := l.image(image)
	img.busy, img.absent = false, true
	for key := range img.waiters {
		l.dirty[key] = true
	}
	for of := range img.fetches {
		l.restless[of.workload] = true
	}
}

// pullSlot returns from when on another pull may begin if none ends before.
func (l *loop) pullSlot(now pod.Moment) pod.Moment {
	var idleFrom []pod.Moment
	for _, img := range l.images {
		if from := img.moved.Add(idlePull); img.busy && img.slot && from > now {
			idleFrom = append(idleFrom, from)
		}
	}
	if len(idleFrom) < l.cfg.Pulls {
		return now
	}
	slices.Sort(idleFrom)
	return idleFrom[len(idleFrom)-l.cfg.Pulls]
}

// pullsUnderWay counts them.
func (l *loop) pullsUnderWay() int {
	n := 0
	for _, img := range l.images {
		if img.busy && img.slot {
			n++
		}
	}
	return n
}

// fetch makes an image present by its policy. Always asks the registry; when
// that fails and the image is present, the present one is used and note says
// why: a server without its uplink starts what it has. Unless it may ask, it
// fails with errAbsent in place of asking.
func fetch(ctx context.Context, images Images, a plan.Pull, ask bool, begin func(), progress func(pod.ImageProgress)) (img pod.Image, note string, err error) {
	present, ok, err := images.Lookup(ctx, a.Image)
	if err != nil {
		return img, "", fmt.Errorf("look up image %q: %w", a.Image, err)
	}
	switch {
	case a.Policy == corev1.PullNever && !ok:
		return img, "", &pod.Refused{Reason: "ErrImageNeverPull", Message: fmt.Sprintf(
			"image %q is not present and imagePullPolicy is Never: import it, or allow it to be pulled", a.Image)}
	case ok && a.Policy != corev1.PullAlways:
		return present, "", nil
	case !ask:
		return img, "", errAbsent
	}
	begin()
	img, err = images.Pull(ctx, a.Image, progress)
	if err != nil && ok && ctx.Err() == nil && !errors.Is(err, pod.ErrUnavailable) {
		return present, fmt.Sprintf("image %q could not be asked for anew, the present one (%s) is used: %v", a.Image, present.Digest, err), nil
	}
	return img, "", err
}

func (l *loop) pulling(a plan.Pull) {
	l.counts.pulls[a.Image] = l.cfg.Now().Moment
	for key := range l.image(a.Image).waiters {
		l.event(key, normal, "Pulling", fmt.Sprintf("Pulling image %q", a.Image))
	}
	for of := range l.image(a.Image).fetches {
		l.eventOf(of.workload, normal, "Pulling", fmt.Sprintf("Pulling image %q", a.Image))
	}
}

func (l *loop) progress(image string, p pod.ImageProgress) {
	l.image(image).progress, l.image(image).moved = p, l.cfg.Now().Moment
	for key := range l.image(image).waiters {
		l.dirty[key] = true
	}
	l.unpublished = true
}

// pulled hands the result of a pull to every pod that waits for it.
func (l *loop) pulled(a plan.Pull, got pod.Image, note string, err error) {
	img := l.image(a.Image)
	img.busy, img.slot, img.absent = false, false, false
	l.countPull(a, note, err)
	l.wakeWaiting()
	waiters, fetches := img.waiters, img.fetches
	img.waiters, img.fetches = map[pod.Key]plan.Pull{}, map[imageOf]plan.Pull{}
	if err == nil {
		img.present = &got
		delete(l.gone, got.Digest)
	}
	l.storage.stale = true
	for _, key := range sortedKeys(waiters) {
		ps := l.pods[key]
		if ps == nil {
			continue
		}
		l.dirty[key] = true
		if err != nil {
			l.fail(ps, waiters[key], err)
			continue
		}
		delete(ps.failed, a.Name())
		ps.resolved[plan.Name{Image: a.Image, Instance: waiters[key].Instance}] = got
		l.pulledEvent(key, a, got, note)
	}
	for of := range fetches {
		l.fetchedFor(of, got, note, err)
	}
	l.unpublished = true
}

// imageGone forgets an image that was removed behind podstead's back: who wants
// to run it has it fetched again.
func (l *loop) imageGone(digest string) {
	l.gone[digest] = true
	l.storage.stale = true
	for _, img := range l.images {
		if img.present != nil && img.present.Digest == digest {
			img.present = nil
		}
	}
	for _, ps := range l.pods {
		maps.DeleteFunc(ps.resolved, func(_ plan.Name, img pod.Image) bool { return img.Digest == digest })
	}
}

// imagesChanged forgets the failures of pulls, since an image may be there
// now, and what was known to be present, since it may have changed.
func (l *loop) imagesChanged() {
	l.storage.stale = true
	clear(l.gone)
	for _, img := range l.images {
		img.present, img.absent = nil, false
	}
	for key, ps := range l.pods {
		for name := range ps.failed {
			if isPull(name) {
				delete(ps.failed, name)
			}
		}
		l.dirty[key] = true
	}
	l.fetchAgain(func(plan.Failure) bool { return true })
}

// isPull tells whether a name of an action is that of a pull.
func isPull(name string) bool { return strings.HasPrefix(name, "pull ") }
