package runtime

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
)

// unpackFactor is how many times as large as its compressed layers an image is
// taken to be when it is fetched and unpacked.
const unpackFactor = 3

// checkRoom ends a pull of which it is certain that it does not fit, before it
// takes the room that pods need.
func (r *Runtime) checkRoom(name string, sum pod.ImageProgress, refuse context.CancelCauseFunc) {
	if r.cfg.Available == nil {
		return
	}
	available, err := r.cfg.Available()
	if err == nil && sum.Total-sum.Done > available {
		refuse(&pod.NoRoom{Image: name, Need: unpackFactor * sum.Total, Available: available})
	}
}

// explainFull tells of a pull for which there was no room. What had arrived of
// it goes with its lease.
func (r *Runtime) explainFull(name string, track *tracker, err error) error {
	if full, ok := errors.AsType[*pod.NoRoom](err); ok {
		return full
	}
	full := &pod.NoRoom{Image: name, Need: unpackFactor * track.sum().Total, Err: native(err)}
	if r.cfg.Available != nil {
		// 0 when nobody knows.
		full.Available, _ = r.cfg.Available()
	}
	return full
}

// roomFor tells of an archive that is larger than what is left of the disk.
func (r *Runtime) roomFor(archive string, size int64) error {
	if r.cfg.Available == nil {
		return nil
	}
	available, err := r.cfg.Available()
	if err == nil && size > available {
		return fmt.Errorf("import images from %q: it has %d MiB, and %d MiB of disk are available: %w", archive, size>>20, available>>20, unix.ENOSPC)
	}
	return nil
}
