package agent

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

const (
	// diskInterval is how often the file systems are measured, diskSoon how
	// often while one is short of room.
	diskInterval = 10 * time.Second
	diskSoon     = 3 * time.Second
	// listInterval is how often the stored images are listed although nobody is
	// known to have changed them.
	listInterval = 5 * time.Minute
	// removeAgain is how long an image that can't be removed is left alone.
	removeAgain = time.Minute
)

// storage is what the loop knows of file systems and of the images on them.
type storage struct {
	disk pod.Disk
	// at is when to look again; busy tells that a look or a step of the
	// collection is under way.
	at   pod.Moment
	busy bool

	// images are those stored, as listed last; stale tells that others may be
	// there now.
	images []pod.StoredImage
	listed pod.Moment
	stale  bool
	// active: a collection was begun. garbage: something may be there that
	// nothing refers to. removing is the image on its way out.
	active, garbage bool
	removing        string
	// unused is since when images are known not to be used, used which were at
	// the last look, and lastUsed when images were, by digest.
	unused   map[string]pod.Moment
	used     map[string]bool
	lastUsed map[string]time.Time
	// failed are images and containers' layers that could not be removed.
	failed map[string]pod.Moment

	good            plan.GoodImages
	saving, unsaved bool
}

func newStorage() storage {
	return storage{
		stale: true, garbage: true, unused: map[string]pod.Moment{}, used: map[string]bool{},
		lastUsed: map[string]time.Time{}, failed: map[string]pod.Moment{}, good: plan.GoodImages{},
	}
}

// soon lets the disks be looked at soon.
func (s *storage) soon(now pod.Moment) { s.at = min(s.at, now.Add(diskSoon)) }

// failedLately tells whether something could not be removed a short time ago.
func (s *storage) failedLately(what string, now pod.Moment) bool {
	at, failed := s.failed[what]
	if failed && now.Sub(at) >= removeAgain {
		delete(s.failed, what)
		failed = false
	}
	return failed
}

// left notes that an operation may have left something to be collected, and an
// image unused.
func (s *storage) left(a plan.Action, now pod.Moment) {
	switch a.(type) {
	case plan.Remove, plan.Teardown:
		s.garbage = true
		s.soon(now)
	}
}

// lookAtDisks measures the file systems beside the loop, now and then.
func (l *loop) lookAtDisks(now pod.Stamp) {
	s := &l.storage
	if s.busy || now.Moment < s.at {
		return
	}
	s.busy = true
	list := l.runtime.Up && (s.stale || now.Moment.Sub(s.listed) >= listInterval)
	if list {
		s.stale = false
	}
	l.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, l.cfg.OperationTimeout)
		defer cancel()
		found, err := l.cfg.Disks.Filesystems(ctx)
		var images []pod.StoredImage
		var listErr error
		if list {
			images, listErr = l.cfg.Images.StoredImages(ctx)
		}
		l.send(func(l *loop) {
			if list && listErr == nil {
				l.storage.images, l.storage.listed = images, now.Moment
			}
			l.storage.stale = l.storage.stale || listErr != nil
			l.measuredDisks(found, err)
		})
	})
}

// measuredDisks takes a measurement and begins the next step of giving room
// back, if one is due.
func (l *loop) measuredDisks(found []pod.Filesystem, err error) {
	s, now := &l.storage, l.cfg.Now()
	s.busy, s.at = false, now.Moment.Add(diskInterval)
	if err != nil {
		l.event(pod.Key{}, warning, "DiskUnknown", fmt.Sprintf("how full the disks are can't be told: %v", err))
	}
	if roomCame(s.disk.Filesystems, found) {
		l.tryAgain()
	}
	if l.runtime.Up && l.swept {
		l.followUse(now)
		l.noteGood(now)
		l.collect(found, now)
	}
	l.takeDisks(found, now)
	if s.disk.Pressure() != "" || l.wantedRoom() > 0 || l.anyFull() {
		s.soon(now.Moment)
	}
}

// takeDisks publishes what was measured when it differs by more than the noise
// of a server at work, and tells when pressure comes and goes. As long as
// images are being removed, it is not known whether there is pressure on them.
func (l *loop) takeDisks(found []pod.Filesystem, now pod.Stamp) {
	s := &l.storage
	was, short := map[string]string{}, s.disk.Pressure() != ""
	for _, f := range s.disk.Filesystems {
		was[f.Path] = f.Pressure
	}
	for i := range found {
		f := &found[i]
		if f.Pressure = was[f.Path]; !s.active || !slices.Contains(f.Uses, plan.UseImages) {
			f.Pressure = l.cfg.Collect.Pressure(*f, was[f.Path] != "")
		}
	}
	if s.disk.Filesystems == nil {
		s.disk.Since = now.Wall
	}
	if !alike(s.disk.Filesystems, found) {
		s.disk.Filesystems, l.unpublished = found, true
	}
	if is := s.disk.Pressure(); (is != "") != short {
		s.disk.Since = now.Wall
		if is != "" {
			l.event(pod.Key{}, warning, "NodeHasDiskPressure", is)
		} else {
			l.event(pod.Key{}, normal, "NodeHasNoDiskPressure", "every file system has room again")
		}
	}
}

// alike tells whether two measurements show the same but for a hundredth of
// the size.
func alike(a, b []pod.Filesystem) bool {
	return slices.EqualFunc(a, b, func(a, b pod.Filesystem) bool {
		near := func(x, y, size int64) bool { return max(x-y, y-x)*100 <= size }
		if !near(a.Available, b.Available, a.Size) || !near(a.InodesFree, b.InodesFree, a.Inodes) {
			return false
		}
		a.Available, a.InodesFree = b.Available, b.InodesFree
		a.Pressure, b.Pressure = shortOf(a), shortOf(b)
		return reflect.DeepEqual(a, b)
	})
}

// shortOf tells that there is pressure without its numbers, which change all
// the time.
func shortOf(f pod.Filesystem) string {
	if f.Pressure == "" {
		return ""
	}
	return "short"
}

// tightBytes is so little room that writing mostly fails.
const tightBytes = 4 << 20

func tight(f pod.Filesystem) bool {
	return f.ReadOnly || f.Available < tightBytes && f.Size > 0 || f.Inodes > 0 && f.InodesFree == 0
}

// roomCame tells whether a file system can be written again.
func roomCame(before, after []pod.Filesystem) bool {
	for _, b := range before {
		if !tight(b) {
			continue
		}
		for _, a := range after {
			if a.Path == b.Path && !tight(a) {
				return true
			}
		}
	}
	return false
}

// tryAgain forgets the failures that a full disk caused.
func (l *loop) tryAgain() {
	for key, ps := range l.pods {
		for name, f := range ps.failed {
			if f.Full {
				delete(ps.failed, name)
				l.dirty[key] = true
			}
		}
	}
	l.fetchAgain(func(f plan.Failure) bool { return f.Full })
}

// wantedRoom is how many bytes an image needs that did not fit.
func (l *loop) wantedRoom() int64 {
	wanted := int64(0)
	for _, ps := range l.pods {
		for _, f := range ps.failed {
			wanted = max(wanted, f.Need)
		}
	}
	for _, ws := range l.workloads {
		for _, f := range ws.failed {
			wanted = max(wanted, f.Need)
		}
	}
	return wanted
}

func (l *loop) anyFull() bool {
	for _, ps := range l.pods {
		for _, f := range ps.failed {
			if f.Full {
				return true
			}
		}
	}
	for _, ws := range l.workloads {
		for _, f := range ws.failed {
			if f.Full {
				return true
			}
		}
	}
	return false
}
