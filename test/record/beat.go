package record

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// Names of a witness's files in its folder.
func lockPath(dir, id string) string { return filepath.Join(dir, id+".lock") }

// Path is where a witness writes its events.
func Path(dir, id string) string { return filepath.Join(dir, id+".jsonl") }

func beatPath(dir, id string, run Moment) string {
	return filepath.Join(dir, fmt.Sprintf("%s.%d.beat", id, run))
}

// Lock takes the lock of a witness for as long as this process lives. ok is
// false when another process holds it.
func Lock(dir, id string) (ok bool, err error) {
	fd, err := syscall.Open(lockPath(dir, id), syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return false, err
	}
	err = syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return false, syscall.Close(fd)
	}
	return err == nil, err
}

// Heart makes the file that tells until when a run lived. It is mapped, so
// that a beat needs neither a system call nor room on the disk.
func Heart(dir, id string, run Moment) (beat func(Moment), err error) {
	f, err := os.OpenFile(beatPath(dir, id, run), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 8), 0); err != nil {
		return nil, err
	}
	m, err := syscall.Mmap(int(f.Fd()), 0, 8, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	cell := (*atomic.Int64)(unsafe.Pointer(&m[0]))
	return func(at Moment) { cell.Store(int64(at)) }, nil
}

// LastBeats returns the last beat of each run of a witness, by the run.
func LastBeats(dir, id string) (map[Moment]Moment, error) {
	paths, err := filepath.Glob(filepath.Join(dir, id+".*.beat"))
	if err != nil {
		return nil, err
	}
	beats := map[Moment]Moment{}
	for _, path := range paths {
		text := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), id+"."), ".beat")
		run, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			continue // of a witness whose ID begins with this one
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read beat: %w", err)
		}
		if len(raw) < 8 {
			continue // of a run that has not begun: its start is not written yet
		}
		beats[Moment(run)] = Moment(binary.NativeEndian.Uint64(raw))
	}
	return beats, nil
}
