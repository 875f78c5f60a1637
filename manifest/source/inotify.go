package source

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// inotify speaks to the kernel itself, because the libraries for it
// (fsnotify, k8s.io/utils/inotify) don't tell a file that was renamed into
// place, which is whole, from one that was just created, which is not; and
// the latter drops the notice of an overflow.
type inotify struct {
	file *os.File
	// changed is signalled after hints were added.
	changed chan struct{}

	byDir map[string]int32 // watch descriptors; used by watch only

	mu      sync.Mutex
	watches map[int32]watch // by watch descriptor
	hints   hints
}

// watch says what is of interest in a directory.
type watch struct {
	// manifests: every name of a manifest, and the directory itself.
	manifests bool
	// names: these entries.
	names map[string]bool
	// content: also what is written to files.
	content bool
}

// hints is what happened since they were taken last.
type hints struct {
	any bool
	// overflow: the kernel dropped events.
	overflow bool
	// renamed are the names of manifests that were renamed into the source's
	// directory and not written since.
	renamed map[string]bool
}

const (
	namesMask   = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ONLYDIR
	contentMask = namesMask | unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF
)

func newInotify() (*inotify, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify_init: %w", err)
	}
	return &inotify{
		// A non-blocking file goes through the runtime's poller, so that
		// close ends a read.
		file:    os.NewFile(uintptr(fd), "inotify"),
		changed: make(chan struct{}, 1),
		watches: map[int32]watch{},
		byDir:   map[string]int32{},
	}, nil
}

// watch makes the given directories those that are watched. Directories that
// are gone are skipped; the watch of what they are in tells of their return.
// It may hang with the file system, and is called by one goroutine at a time.
func (n *inotify) watch(want map[string]watch) error {
	watches, byDir := map[int32]watch{}, map[string]int32{}
	var failed error
	for dir, w := range want {
		mask := uint32(namesMask)
		if w.content {
			mask = contentMask
		}
		wd, err := n.add(dir, mask)
		switch {
		case err == nil:
			watches[wd], byDir[dir] = w, wd
		case !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR):
			failed = fmt.Errorf("watch %s: %w", dir, err)
		}
	}
	n.mu.Lock()
	n.watches = watches
	n.mu.Unlock()
	for _, wd := range n.byDir {
		if _, used := watches[wd]; !used {
			n.remove(wd)
		}
	}
	n.byDir = byDir
	return failed
}

func (n *inotify) add(dir string, mask uint32) (wd int32, err error) {
	conn, err := n.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	failed := conn.Control(func(fd uintptr) {
		var added int
		added, err = unix.InotifyAddWatch(int(fd), dir, mask)
		wd = int32(added)
	})
	return wd, errors.Join(failed, err)
}

// remove ignores errors: the kernel removes the watch of a directory that is
// deleted.
func (n *inotify) remove(wd int32) {
	if conn, err := n.file.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _, _ = unix.InotifyRmWatch(int(fd), uint32(wd)) })
	}
}

// run reads events until close.
func (n *inotify) run() error {
	buffer := make([]byte, 64<<10)
	for {
		size, err := n.file.Read(buffer)
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read inotify events: %w", err)
		}
		if n.note(buffer[:size]) {
			select {
			case n.changed <- struct{}{}:
			default:
			}
		}
	}
}

func (n *inotify) close() error { return n.file.Close() }

// take returns the hints and starts anew.
func (n *inotify) take() hints {
	n.mu.Lock()
	defer n.mu.Unlock()
	taken := n.hints
	n.hints = hints{}
	return taken
}

// note adds what a buffer of struct inotify_event tells to the hints.
func (n *inotify) note(events []byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(events) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(events))
		mask := binary.NativeEndian.Uint32(events[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		name := string(bytes.TrimRight(events[unix.SizeofInotifyEvent:end], "\x00"))
		events = events[end:]
		if mask&unix.IN_Q_OVERFLOW != 0 {
			// Renames may have been followed by writes that were dropped.
			n.hints = hints{any: true, overflow: true}
		} else if w, ok := n.watches[wd]; ok {
			n.hints.add(w, mask, name)
		}
	}
	return n.hints.any
}

func (h *hints) add(w watch, mask uint32, name string) {
	manifest := w.manifests && isManifest(name)
	if !manifest && !w.names[name] && (!w.manifests || name != "") {
		return
	}
	h.any = true
	switch {
	case !manifest:
	case mask&unix.IN_MOVED_TO != 0 && !h.overflow:
		if h.renamed == nil {
			h.renamed = map[string]bool{}
		}
		h.renamed[name] = true
	case mask&(unix.IN_CREATE|unix.IN_MODIFY) != 0:
		delete(h.renamed, name)
	}
}
