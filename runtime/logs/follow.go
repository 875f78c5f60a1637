package logs

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Follow looks again at this pace even when no event came, since inotify may
// lose events, and asks whether the container has ended; without inotify (its
// limits may be used up) it looks faster.
const (
	pollWatched   = 500 * time.Millisecond
	pollUnwatched = 100 * time.Millisecond
)

// follow reads on until the container has ended.
func (r *reader) follow(ctx context.Context) error {
	pace := pollUnwatched
	var events <-chan fsnotify.Event
	var failures <-chan error
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		defer watcher.Close()
		if watcher.Add(r.o.Dir) == nil {
			pace, events, failures = pollWatched, watcher.Events, watcher.Errors
		}
	}
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	look := true
	for {
		// What was written before the end is read after it was told.
		ended := r.o.Ended != nil && r.o.Ended()
		if err := r.drain(ctx, look || ended); err != nil {
			return err
		}
		if ended {
			if err := r.copy(ctx, r.files[0], -1, true); err != nil {
				return err
			}
			return r.out.finish()
		}
		if err := r.out.flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-events:
			look = !e.Has(fsnotify.Write)
		case <-failures:
			look = true
		case <-ticker.C:
			look = true
		}
	}
}
