package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/podstead/podstead/runtime/logs/logfile"
)

// Prune deletes the logs of all runs in a container's log folder but the
// newest keep, so that a container that restarts often does not fill the
// disk. It must not be called with fewer than the runs that are still wanted.
func Prune(dir string, keep int) error {
	found, err := logfile.Attempts(dir)
	if err != nil {
		return fmt.Errorf("prune logs: %w", err)
	}
	var failed error
	for _, attempt := range found[:max(0, len(found)-keep)] {
		paths, err := logfile.List(dir, attempt)
		failed = errors.Join(failed, err)
		for _, path := range paths {
			if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
				failed = errors.Join(failed, err)
			}
		}
	}
	if failed != nil {
		return fmt.Errorf("prune logs: %w", failed)
	}
	return nil
}
