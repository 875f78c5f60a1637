// Package record holds what witnesses, the fault injector and the harness
// write down, and how it is read back. All times are nanoseconds of
// CLOCK_BOOTTIME, so that records of different processes can be compared and
// nobody who sets the clock can spoil them.
package record

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Moment is a point in time, in nanoseconds since the boot.
type Moment int64

// Add returns the moment d later.
func (m Moment) Add(d time.Duration) Moment { return m + Moment(d) }

// Sub returns the time from earlier to m.
func (m Moment) Sub(earlier Moment) time.Duration { return time.Duration(m - earlier) }

// String shows seconds since the boot.
func (m Moment) String() string { return fmt.Sprintf("%.3fs", float64(m)/1e9) }

const clockBoottime = 7

// Now reads CLOCK_BOOTTIME.
func Now() Moment {
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		panic("clock_gettime: " + errno.Error()) // no Linux since 2.6.39 is without it
	}
	return Moment(ts.Nano())
}

// Witness is one line of a witness's file.
type Witness struct {
	Event string `json:"event"`
	At    Moment `json:"at"`
	// ID tells witnesses apart: namespace_pod_container.
	ID string `json:"id"`
	// Run is when this process began; it identifies the run.
	Run        Moment `json:"run"`
	BootID     string `json:"bootId,omitempty"`
	PodUID     string `json:"podUid,omitempty"`
	Generation string `json:"generation,omitempty"`
	PIDNS      uint64 `json:"pidNs,omitempty"`
	Cgroup     string `json:"cgroup,omitempty"`
	Code       int    `json:"code,omitempty"`
	// Signal is the number of the signal that an exit or a term answers.
	Signal int `json:"signal,omitempty"`
}

// Events of witnesses.
const (
	// Start: the process began and holds the lock of its ID.
	Start = "start"
	// Duplicate: another process held the lock.
	Duplicate = "duplicate"
	// Term: a signal to stop arrived.
	Term = "term"
	// Exit: the process ends by its own decision, or because of a Term.
	Exit = "exit"
)

// Manifest is one change of what is wanted of a pod.
type Manifest struct {
	At  Moment `json:"at"`
	Pod string `json:"pod"` // namespace/name
	// Containers maps the wanted containers to their generation; empty when
	// the pod was removed.
	Containers map[string]string `json:"containers,omitempty"`
	// Grace is the pod's terminationGracePeriodSeconds.
	Grace time.Duration `json:"grace"`
	// Final names the containers whose own exit is their last: they are not
	// lost by it, and must not run again until something else is wanted.
	Final []string `json:"final,omitempty"`
}

// Fault is something that was done to the system on purpose.
type Fault struct {
	From Moment `json:"from"`
	// To is when the harness had undone it.
	To   Moment `json:"to"`
	Kind string `json:"kind"`
	// Target is a witness's ID when the fault hit one container, and empty
	// when it hit what is above the containers.
	Target string `json:"target,omitempty"`
}

// Append adds a value as one line of JSON to a file and syncs it.
func Append(path string, value any) error {
	line, err := json.Marshal(value)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// Load reads a file of lines of JSON; a file that is not there is empty. A
// torn last line, of a process that was killed, is left out.
func Load[T any](path string) ([]T, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var values []T
	for r, n := bufio.NewReader(f), 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			return values, nil
		}
		if err != nil {
			return nil, err
		}
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		values = append(values, v)
	}
}
