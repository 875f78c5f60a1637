package agent

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// followUse notes which images are used now, and since when the others are
// not.
func (l *loop) followUse(now pod.Stamp) {
	s := &l.storage
	used := map[string]bool{}
	for digest := range l.imageUses().Digests {
		used[digest] = true
	}
	for digest := range s.used {
		if !used[digest] {
			s.lastUsed[digest] = now.Wall
			l.noteUse(digest, now)
		}
	}
	s.used = used
	known := map[string]bool{}
	for _, img := range s.images {
		known[img.Digest] = true
		if _, noted := s.unused[img.Digest]; !noted && !used[img.Digest] {
			s.unused[img.Digest] = now.Moment
		}
	}
	for digest := range s.unused {
		if used[digest] || !known[digest] {
			delete(s.unused, digest)
		}
	}
	for digest := range s.lastUsed {
		if !known[digest] {
			delete(s.lastUsed, digest)
		}
	}
}

// noteUse records with an image when it was last used. What can't be recorded
// is known until podstead ends.
func (l *loop) noteUse(digest string, now pod.Stamp) {
	l.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, l.cfg.OperationTimeout)
		defer cancel()
		_ = l.cfg.Images.NoteUse(ctx, digest, now.Wall)
	})
}

// imageUses are what images are needed for now.
func (l *loop) imageUses() plan.Uses {
	u := plan.Uses{Digests: map[string]string{}, Names: map[string]string{}, Revisions: map[string]string{}, Good: l.storage.good.Before(l.runImages(), l.allSynced())}
	for key, w := range l.wants {
		for _, name := range imageNames(w.Desired) {
			u.Names[name] = key.String()
		}
	}
	for key, ws := range l.workloads {
		for _, name := range ws.images() {
			u.Revisions[name] = key.String()
		}
	}
	for _, key := range sortedKeys(l.pods) {
		ps, who := l.pods[key], key.String()
		for _, c := range ps.containers {
			u.Digests[c.Image.Digest] = who
		}
		wanted := imageNames(l.wants[key].Desired)
		for name, img := range ps.resolved {
			if slices.Contains(wanted, name.Image) {
				u.Digests[img.Digest] = who
			}
		}
	}
	delete(u.Digests, "")
	for name, img := range l.images {
		if img.busy {
			u.Pulling = append(u.Pulling, name)
		}
	}
	return u
}

// imageNames are those that a wanted pod names.
func imageNames(d *pod.Desired) []string {
	if d == nil {
		return nil
	}
	var names []string
	for _, list := range [][]corev1.Container{d.Pod.Spec.InitContainers, d.Pod.Spec.Containers} {
		for i := range list {
			names = append(names, list[i].Image)
		}
	}
	return names
}

// withReasons are the stored images with what is known of their use, and why they
// stay.
func (l *loop) withReasons(stored []pod.StoredImage, now pod.Moment) []pod.StoredImage {
	s := &l.storage
	kept := l.cfg.Collect.Kept(stored, l.imageUses())
	images := slices.Clone(stored)
	for i := range images {
		img := &images[i]
		img.Kept = kept[img.Digest]
		if at := s.lastUsed[img.Digest]; at.After(img.LastUsed) {
			img.LastUsed = at
		}
		if img.Kept == "" && s.failedLately(img.Digest, now) {
			img.Kept = "it could not be removed"
		}
	}
	return images
}

// collect begins the next step of giving back what is not needed.
func (l *loop) collect(found []pod.Filesystem, now pod.Stamp) {
	s := &l.storage
	i := slices.IndexFunc(found, func(f pod.Filesystem) bool { return slices.Contains(f.Uses, plan.UseImages) })
	if i < 0 || s.images == nil {
		return
	}
	disk := found[i]
	layers := l.deadLayers(now.Moment)
	c := l.cfg.Collect.Collect(plan.Storage{
		Disk: disk, Images: l.withReasons(s.images, now.Moment), Unused: s.unused,
		Layers: layers, Active: s.active, Swept: !s.garbage, Wanted: l.wantedRoom(),
	}, now.Moment)
	ended := s.active && !c.Active
	s.active = c.Active
	l.setStuck(c.Stuck)
	switch {
	case c.Sweep:
		s.garbage = false
		l.collectStep(l.sweepGarbage)
	case len(c.Layers) > 0:
		s.garbage = true
		l.dropLayers(c.Layers)
	case c.Image != nil:
		l.removeImage(*c.Image, c.Reason, disk, now)
	default:
		if c.Wake != 0 {
			s.at = min(s.at, max(c.Wake, now.Moment.Add(diskSoon)))
		}
		if ended && c.Stuck == "" {
			l.tryAgain() // what had no room
		}
	}
}

func (l *loop) setStuck(stuck string) {
	s := &l.storage
	if stuck != "" && s.disk.Stuck == "" {
		l.event(pod.Key{}, warning, "FreeDiskSpaceFailed", stuck)
	}
	if (stuck == "") != (s.disk.Stuck == "") {
		l.unpublished = true
	}
	s.disk.Stuck = stuck
}

// collectStep runs one step of the collection beside the loop; then the disks are
// measured at once.
func (l *loop) collectStep(do func(context.Context) fact) {
	l.storage.busy = true
	l.spawn(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, l.cfg.OperationTimeout)
		defer cancel()
		done := do(ctx)
		l.send(func(l *loop) {
			l.storage.busy, l.storage.at = false, l.cfg.Now().Moment
			done(l)
			l.wakeWaiting()
		})
	})
}

// sweepGarbage has containerd collect what nothing refers to.
func (l *loop) sweepGarbage(ctx context.Context) fact {
	err := l.cfg.Images.Sweep(ctx)
	return func(l *loop) { l.collectFailed("what nothing refers to", err) }
}

func (l *loop) collectFailed(what string, err error) {
	if err == nil {
		return
	}
	l.counts.change().CollectErrors++
	l.event(pod.Key{}, warning, "ImageGCFailed", fmt.Sprintf("%s can't be removed: %v", what, err))
}

// deadLayers are the dead containers whose layers can be dropped now, those
// that ended first at the front.
func (l *loop) deadLayers(now pod.Moment) []string {
	var dead []pod.Container
	for _, ps := range l.pods {
		if ps.busy[targetPod] {
			continue
		}
		for _, c := range ps.containers {
			if c.State == pod.StateDead && c.Layer && c.Exit != nil && !l.storage.failedLately(c.ID, now) {
				dead = append(dead, c)
			}
		}
	}
	slices.SortFunc(dead, func(a, b pod.Container) int {
		return cmp.Or(cmp.Compare(a.Exit.At.Moment, b.Exit.At.Moment), cmp.Compare(a.ID, b.ID))
	})
	ids := make([]string, len(dead))
	for i := range dead {
		ids[i] = dead[i].ID
	}
	return ids
}

// dropLayers drops the layers of dead containers, during which nothing else is
// done to their pods.
func (l *loop) dropLayers(ids []string) {
	pods := map[pod.Key]*podState{}
	for _, id := range ids {
		ps := l.podOf(id)
		pods[ps.key] = ps
		ps.busy[targetPod] = true
	}
	l.collectStep(func(ctx context.Context) fact {
		var dropped []pod.Container
		failures := map[string]error{}
		for _, id := range ids {
			c, err := l.cfg.Containers.DropLayer(ctx, id)
			if err != nil {
				failures[id] = err
				continue
			}
			dropped = append(dropped, c)
		}
		return func(l *loop) {
			for key, ps := range pods {
				delete(ps.busy, targetPod)
				ps.rev++
				l.dirty[key] = true
			}
			for _, c := range dropped {
				l.counts.change().LayersDropped++
				l.observed(pods[c.Instance.Key], c)
			}
			for _, id := range slices.Sorted(maps.Keys(failures)) {
				l.storage.failed[id] = l.cfg.Now().Moment
				l.collectFailed("the layer of a dead container", failures[id])
			}
		}
	})
}

// removeImage removes one image. Nobody may come to rely on it meanwhile.
func (l *loop) removeImage(img pod.StoredImage, reason plan.CollectReason, disk pod.Filesystem, now pod.Stamp) {
	for _, known := range l.images {
		if known.present != nil && known.present.Digest == img.Digest {
			known.present = nil
		}
	}
	l.storage.removing = img.Digest
	l.collectStep(func(ctx context.Context) fact {
		err := l.cfg.Images.RemoveImage(ctx, img)
		return func(l *loop) { l.removedImage(img, reason, disk, now, err) }
	})
}

func (l *loop) removedImage(img pod.StoredImage, reason plan.CollectReason, disk pod.Filesystem, now pod.Stamp, err error) {
	s := &l.storage
	s.removing, s.stale = "", true
	if err != nil {
		s.failed[img.Digest] = now.Moment
		l.collectFailed("image "+img.Name(), err)
		return
	}
	s.images = slices.DeleteFunc(slices.Clone(s.images), func(o pod.StoredImage) bool { return o.Digest == img.Digest })
	n := l.counts.change()
	n.ImagesCollected[string(reason)]++
	n.ImageBytes += uint64(img.Size)
	why := fmt.Sprintf("%s is %d%% full", disk.Path, 100-100*disk.Available/max(1, disk.Size))
	if reason == plan.CollectAge {
		why = fmt.Sprintf("it was not used for %s", l.cfg.Collect.MaximumAge)
	}
	l.event(pod.Key{}, normal, "ImageRemoved", fmt.Sprintf("removed image %s (%s, %dMi, last used %s): %s",
		img.Name(), img.Digest, img.Size>>20, img.LastUsed.UTC().Format("2006-01-02T15:04:05Z"), why))
}
