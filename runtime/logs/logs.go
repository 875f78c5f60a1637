// Package logs reads the logs of containers: files in the CRI format that
// podstead-logger writes and rotates, in one folder per container of a pod,
// one series of files per run of the container.
package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/podstead/podstead/runtime/logs/logfile"
)

// Status is what a logger tells of itself.
type Status = logfile.Status

// ReadStatus reads the status file of a logger and tells whether the logger
// lives: a logger that is not alive while its container runs has died, and
// output is lost until the container starts again. A file that is not there
// is fs.ErrNotExist.
func ReadStatus(path string) (s Status, alive bool, err error) { return logfile.ReadStatus(path) }

// Path is the log file of a run of the container whose log folder is dir;
// attempt counts the runs from 0.
func Path(dir string, attempt int) string { return logfile.Path(dir, attempt) }

// Newest is the Attempt that stands for the newest run that has a log.
const Newest = -1

// Options say what Read reads and how it looks.
type Options struct {
	// Dir is the container's log folder.
	Dir string
	// Attempt is the run to read, from 0, or Newest.
	Attempt int
	// Previous asks for the newest run before Attempt that has a log. It is
	// never followed.
	Previous bool
	// Follow goes on with what is written later, across rotation and, for
	// later runs, across restarts, until Ended or the context says so.
	Follow bool
	// Tail is the number of last lines of the run to begin with; nil means
	// all of them.
	Tail *int64
	// Since leaves out what is older; the zero time leaves out nothing.
	Since time.Time
	// Timestamps puts the time in RFC 3339 before each line.
	Timestamps bool
	// Limit ends the output after so many bytes; 0 means no limit.
	Limit int64
	// Sanitize replaces control bytes by visible text, for terminals. Tabs
	// and colours stay.
	Sanitize bool
	// Ended tells that no more output comes: the container has ended, its
	// logger too, and it is not started again. nil means never.
	Ended func() bool
}

// Read writes the output of a container to w, lines as they were printed,
// both streams in the order of their time. A run without a log is an error
// that wraps fs.ErrNotExist. When the context ends, so does a following Read,
// with the context's error.
func Read(ctx context.Context, w io.Writer, o Options) error {
	attempt, err := choose(o)
	if err != nil {
		return err
	}
	r, err := newReader(w, o, attempt)
	if err != nil {
		return fmt.Errorf("read log of run %d in %q: %w", attempt, o.Dir, err)
	}
	defer r.close()
	if o.Follow && !o.Previous {
		err = r.follow(ctx)
	} else {
		err = r.once(ctx)
	}
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

// choose finds the run that is meant.
func choose(o Options) (int, error) {
	found, err := logfile.Attempts(o.Dir)
	if err != nil {
		return 0, fmt.Errorf("list logs: %w", err)
	}
	if len(found) == 0 {
		return 0, fmt.Errorf("no log in %q: %w", o.Dir, fs.ErrNotExist)
	}
	attempt := o.Attempt
	if attempt == Newest {
		attempt = found[len(found)-1]
	}
	at, ok := slices.BinarySearch(found, attempt)
	switch {
	case o.Previous && at == 0:
		return 0, fmt.Errorf("no log of a run before run %d in %q: %w", attempt, o.Dir, fs.ErrNotExist)
	case o.Previous:
		return found[at-1], nil
	case !ok:
		return 0, fmt.Errorf("no log of run %d in %q: %w", attempt, o.Dir, fs.ErrNotExist)
	}
	return attempt, nil
}
