package logfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// statusMagic begins every status file; its last digit is the version of the
// layout, which is that of Counters in the host's byte order.
const statusMagic = "PSLOG001"

const statusSize = 512

// Commands of fcntl(2) for locks that belong to an open file, which a reader
// can test without taking them. Package syscall does not name them.
const (
	fOFDGetLk = 36
	fOFDSetLk = 37
)

// Counters are what a logger tells of itself. They live in a mapped file, so
// that keeping them costs nothing. The zero Counters keep count in memory.
type Counters struct {
	magic        [8]byte
	entries      atomic.Uint64
	bytes        atomic.Uint64
	droppedLines atomic.Uint64
	droppedBytes atomic.Uint64
	rotations    atomic.Uint64
	errorTime    atomic.Int64
	// errorSeq is odd while the error is being written.
	errorSeq  atomic.Uint64
	errorText [256]byte
	// ended is 1 when the logger has written all there was.
	ended atomic.Uint64
}

// Status is what Counters said at one time.
type Status struct {
	// Entries and Bytes were written to log files, time stamps included.
	Entries, Bytes uint64
	// DroppedLines and DroppedBytes could not be written.
	DroppedLines, DroppedBytes uint64
	Rotations                  uint64
	// LastError is the latest reason why something was not written, in at
	// most 256 bytes, and LastErrorTime when that was.
	LastError     string
	LastErrorTime time.Time
	// Ended tells that the logger came to the end of the output. One that
	// neither lives nor ended was killed, and output after that is lost.
	Ended bool
}

// ErrLocked says that another logger holds the status file.
var ErrLocked = errors.New("another logger holds it")

// CreateStatus makes or empties a status file, locks it for as long as this
// process lives, and returns the counters in it.
func CreateStatus(path string) (*Counters, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open logger status: %w", err)
	}
	lock := syscall.Flock_t{Type: syscall.F_WRLCK}
	if err := syscall.FcntlFlock(f.Fd(), fOFDSetLk, &lock); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock logger status %q: %w", path, errors.Join(ErrLocked, err))
	}
	// Writing the room, instead of leaving a hole, keeps a full disk from
	// killing the logger when it touches the mapping.
	if _, err := f.WriteAt(make([]byte, statusSize), 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("write logger status: %w", err)
	}
	memory, err := syscall.Mmap(int(f.Fd()), 0, statusSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("map logger status %q: %w", path, err)
	}
	c := (*Counters)(unsafe.Pointer(&memory[0]))
	copy(c.magic[:], statusMagic)
	keepOpen(f)
	return c, nil
}

// keepOpen makes the lock last as long as the process: a descriptor of its
// own is closed neither by us nor by the garbage collector.
func keepOpen(f *os.File) {
	if _, err := syscall.Dup(int(f.Fd())); err == nil {
		f.Close()
	}
}

// ReadStatus reads a status file and tells whether its logger lives. A file
// that is not there is fs.ErrNotExist. Reading does not disturb the logger.
func ReadStatus(path string) (s Status, alive bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return Status{}, false, fmt.Errorf("read logger status: %w", err)
	}
	defer f.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK}
	if err := syscall.FcntlFlock(f.Fd(), fOFDGetLk, &lock); err != nil {
		return Status{}, false, fmt.Errorf("read logger status %q: %w", path, err)
	}
	alive = lock.Type != syscall.F_UNLCK
	var raw [statusSize]byte
	if _, err := f.ReadAt(raw[:], 0); err != nil {
		return Status{}, alive, fmt.Errorf("read logger status %q: %w", path, err)
	}
	if string(raw[:8]) != statusMagic {
		return Status{}, alive, fmt.Errorf("read logger status %q: got %q at its start, want %q", path, raw[:8], statusMagic)
	}
	return decodeStatus(raw[:]), alive, nil
}

func decodeStatus(raw []byte) Status {
	field := func(i int) uint64 { return binary.NativeEndian.Uint64(raw[8*i:]) }
	s := Status{
		Entries: field(1), Bytes: field(2),
		DroppedLines: field(3), DroppedBytes: field(4),
		Rotations: field(5), Ended: field(40) == 1,
	}
	if at := int64(field(6)); at != 0 {
		s.LastErrorTime = time.Unix(0, at)
	}
	if field(7)%2 == 0 {
		text := raw[64 : 64+256]
		for n, b := range text {
			if b == 0 {
				text = text[:n]
				break
			}
		}
		s.LastError = string(text)
	}
	return s
}

func (c *Counters) wrote(entries, bytes int) {
	c.entries.Add(uint64(entries))
	c.bytes.Add(uint64(bytes))
}

func (c *Counters) dropped(lineEnd bool, size int) {
	if lineEnd {
		c.droppedLines.Add(1)
	}
	c.droppedBytes.Add(uint64(size))
}

func (c *Counters) rotated() { c.rotations.Add(1) }

func (c *Counters) fail(err error, now time.Time) {
	c.errorTime.Store(now.UnixNano())
	c.errorSeq.Add(1)
	n := copy(c.errorText[:len(c.errorText)-1], err.Error())
	clear(c.errorText[n:])
	c.errorSeq.Add(1)
}

// Status returns what the counters say now, but for the last error, which
// only readers of the file see.
func (c *Counters) Status() Status {
	return Status{
		Entries: c.entries.Load(), Bytes: c.bytes.Load(),
		DroppedLines: c.droppedLines.Load(), DroppedBytes: c.droppedBytes.Load(),
		Rotations: c.rotations.Load(), Ended: c.ended.Load() == 1,
	}
}

// End notes that all output was written.
func (c *Counters) End() { c.ended.Store(1) }
