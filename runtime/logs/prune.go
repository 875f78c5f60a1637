package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/podstead/podstead/runtime/logs/logfile"
)

// Prune deletes the log of one run, rotated files included, so that a
// container that restarts often does not fill the disk. path is the run's
// current log file, as Path makes it. A run without a log is no error.
func Prune(path string) error {
	attempt, ok := logfile.Attempt(filepath.Base(path))
	if !ok {
		return fmt.Errorf("prune log %q: want a number with .log as the file's name", path)
	}
	paths, failed := logfile.List(filepath.Dir(path), attempt)
	for _, path := range paths {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	if failed != nil {
		return fmt.Errorf("prune log %q: %w", path, failed)
	}
	return nil
}
