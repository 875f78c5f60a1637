package plan

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/podstead/podstead/pod"
)

// Storage is what the collection of images is decided by.
type Storage struct {
	// Disk is the file system of images.
	Disk pod.Filesystem
	// Images are those stored, sorted by digest, with Kept filled in.
	Images []pod.StoredImage
	// Unused is since when each image is known not to be used, by digest.
	Unused map[string]pod.Moment
	// Layers are the containers that are dead and still have their writable
	// layer.
	Layers []string
	// Active tells that a collection was begun and has not come to its end,
	// Swept that in it everything was collected that nothing refers to.
	Active, Swept bool
	// Wanted is how many bytes have to be available for an image; 0 for none.
	Wanted int64
}

// Collection is the next step of giving back what is not needed. At most one
// of Sweep, Layers and Image is set; after it, things are looked at anew.
type Collection struct {
	// Active tells that more than this step may be needed.
	Active bool
	// Sweep: have collected what nothing refers to any more.
	Sweep bool
	// Layers are the dead containers whose writable layers are to be dropped.
	Layers []string
	// Image is to be removed, for Reason.
	Image  *pod.StoredImage
	Reason CollectReason
	// Stuck says why nothing more can be given back although it is wanted.
	Stuck string
	// Wake is when there may be more to be given back; 0 for never.
	Wake pod.Moment
}

// CollectReason is why an image is removed.
type CollectReason string

// The reasons, as the kubelet counts them.
const (
	CollectSpace CollectReason = "space"
	CollectAge   CollectReason = "age"
)

// Shares of inodes, in percent, that are treated like High and Low of bytes.
const (
	inodesHigh = 95
	inodesLow  = 90
)

// Collect decides the next step. What costs nothing goes first: garbage, then
// the layers of dead containers, then the images that were not used for the
// longest time.
func (s ImageSettings) Collect(st Storage, now pod.Moment) Collection {
	if s.High >= 100 || !s.short(st) {
		return s.collectOld(st, now)
	}
	c := Collection{Active: true}
	switch candidate, wake := s.leastUsed(st, now); {
	case !st.Swept:
		c.Sweep = true
	case len(st.Layers) > 0:
		c.Layers = st.Layers
	case candidate != nil:
		c.Image, c.Reason = candidate, CollectSpace
	default:
		c.Active, c.Wake = false, wake
		c.Stuck = s.stuck(st)
	}
	return c
}

// short tells whether the disk is too full: High of it is used, or, once a
// collection was begun, more than Low.
func (s ImageSettings) short(st Storage) bool {
	d := st.Disk
	bytes, inodes := usedPercent(d.Size, d.Available), usedPercent(d.Inodes, d.InodesFree)
	switch {
	case st.Wanted > d.Available:
		return true
	case st.Active:
		return bytes > float64(s.Low) || inodes > inodesLow
	default:
		return bytes >= float64(s.High) || inodes >= inodesHigh
	}
}

// usedPercent is how much is used; 0 where there is no bound.
func usedPercent(size, free int64) float64 {
	if size <= 0 {
		return 0
	}
	return 100 - 100*float64(free)/float64(size)
}

// leastUsed finds the image that is to go first, or else when there will be
// one.
func (s ImageSettings) leastUsed(st Storage, now pod.Moment) (*pod.StoredImage, pod.Moment) {
	var found *pod.StoredImage
	wake := pod.Moment(0)
	for i := range st.Images {
		img := &st.Images[i]
		if img.Kept != "" {
			continue
		}
		if at := s.ripe(st, img, s.MinimumAge, now); now < at {
			if wake == 0 || at < wake {
				wake = at
			}
			continue
		}
		if found == nil || before(img, found) {
			found = img
		}
	}
	return found, wake
}

// ripe is when an image will have been unused for so long.
func (s ImageSettings) ripe(st Storage, img *pod.StoredImage, age time.Duration, now pod.Moment) pod.Moment {
	since, known := st.Unused[img.Digest]
	if !known {
		since = now
	}
	return since.Add(age)
}

// before orders images by their last use; of two that were used at the same
// time the larger one goes first.
func before(a, b *pod.StoredImage) bool {
	return cmp.Or(a.LastUsed.Compare(b.LastUsed), cmp.Compare(b.Size, a.Size), strings.Compare(a.Digest, b.Digest)) < 0
}

// collectOld removes what was not used for MaximumAge.
func (s ImageSettings) collectOld(st Storage, now pod.Moment) Collection {
	var c Collection
	if s.MaximumAge == 0 {
		return c
	}
	for i := range st.Images {
		img := &st.Images[i]
		if img.Kept != "" {
			continue
		}
		at := s.ripe(st, img, max(s.MinimumAge, s.MaximumAge), now)
		if now >= at {
			return Collection{Image: img, Reason: CollectAge}
		}
		if c.Wake == 0 || at < c.Wake {
			c.Wake = at
		}
	}
	return c
}

// stuck says what keeps images, for people.
func (s ImageSettings) stuck(st Storage) string {
	var kept, young int
	var size int64
	for _, img := range st.Images {
		if img.Kept == "" {
			young++
		} else {
			kept++
			size += img.Size
		}
	}
	text := fmt.Sprintf("no image can be removed: %d are in use, pinned or the last good ones of pods (%s)", kept, mebibytes(size))
	if young > 0 {
		text += fmt.Sprintf(", %d were used less than %s ago", young, s.MinimumAge)
	}
	return text
}

func mebibytes(n int64) string { return fmt.Sprintf("%dMi", n>>20) }
