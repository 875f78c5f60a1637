package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/podstead/podstead/pod"
)

// UseImages is the use of a file system on which images lie.
const UseImages = "images"

// Below these shares, in percent, a file system is under pressure: the
// kubelet's hard thresholds. That of images is what its collection leaves.
const (
	leastAvailable = 10
	leastImages    = 15
	leastInodes    = 5
)

// Pressure says what a file system is short of, "" for nothing. One that was
// short before has to have a hundredth more to be so no longer, so that it does
// not come and go.
func (s ImageSettings) Pressure(f pod.Filesystem, was bool) string {
	least, hold := leastAvailable, 0
	if slices.Contains(f.Uses, UseImages) {
		least = leastImages
		if s.High < 100 {
			least = max(leastAvailable, 100-s.High)
		}
	}
	if was {
		hold = 1
	}
	of := fmt.Sprintf("the file system of %s (%s)", strings.Join(f.Uses, ", "), f.Path)
	switch {
	case f.ReadOnly:
		return of + " can't be written: it is mounted read-only"
	case f.Size > 0 && 100*float64(f.Available) < float64(least+hold)*float64(f.Size):
		return fmt.Sprintf("%s has %s of %s available, and %d%% are wanted", of, mebibytes(f.Available), mebibytes(f.Size), least)
	case f.Inodes > 0 && 100*float64(f.InodesFree) < float64(leastInodes+hold)*float64(f.Inodes):
		return fmt.Sprintf("%s has room for %d more files of %d, and %d%% are wanted", of, f.InodesFree, f.Inodes, leastInodes)
	default:
		return ""
	}
}
