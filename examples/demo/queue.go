package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	// jobTime is how long the worker takes for a job.
	jobTime = 2 * time.Second
	// stuckTime is how long it may take before it counts as stuck.
	stuckTime = 5 * jobTime
)

// prepare is the work of an init container.
func prepare(folder string) error {
	fmt.Println("preparing", folder)
	return os.WriteFile(filepath.Join(folder, "ready"), []byte("yes\n"), 0o644)
}

// work does one job after the other until it is told to stop, or finds that
// no new one is to be begun.
func work(ctx context.Context, folder string) error {
	if _, err := os.Stat(filepath.Join(folder, "ready")); err != nil {
		return fmt.Errorf("nothing was prepared: %w", err)
	}
	// What an earlier run was asked for is not asked of this one.
	for _, left := range []string{"finish", "finished"} {
		if err := os.Remove(filepath.Join(folder, left)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for n := 1; ; n++ {
		line := fmt.Sprintf("job %d done\n", n)
		fmt.Print(line)
		if err := os.WriteFile(filepath.Join(folder, "last"), []byte(line), 0o644); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(folder, "finish")); err == nil {
			return rest(ctx, folder)
		}
		if !wait(ctx, jobTime) {
			return nil
		}
	}
}

// rest tells that no job is at hand and waits for the order to stop.
func rest(ctx context.Context, folder string) error {
	fmt.Println("no job is left half done")
	if err := os.WriteFile(filepath.Join(folder, "finished"), nil, 0o644); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// check is a liveness probe: it fails when the worker is stuck.
func check(folder string) error {
	last, err := os.Stat(filepath.Join(folder, "last"))
	if err != nil {
		return fmt.Errorf("no job was done: %w", err)
	}
	if age := time.Since(last.ModTime()); age > stuckTime {
		return fmt.Errorf("the last job was done %s ago", age.Round(time.Second))
	}
	return nil
}

// finish is a preStop hook: it asks the worker to begin no new job, and waits
// until the one at hand is done.
func finish(ctx context.Context, folder string) error {
	if err := os.WriteFile(filepath.Join(folder, "finish"), nil, 0o644); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "finished")); err == nil {
			return nil
		}
		if !wait(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
}
