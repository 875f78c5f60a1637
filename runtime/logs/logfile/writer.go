package logfile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Defaults of Config.
const (
	DefaultMaxSize  = 10 << 20
	DefaultMaxFiles = 5
)

// batchSize bounds what is gathered before it is written.
const batchSize = 128 << 10

// Config says where and how much a Writer writes.
type Config struct {
	// Path of the current file: a decimal number with ".log", as Path makes
	// it. Folders that are missing are made with mode 0700.
	Path string
	// MaxSize is where a file is rotated, in bytes; a file is larger only
	// when a single entry is. 0 means DefaultMaxSize.
	MaxSize int64
	// MaxFiles is the number of files, the current one included. 0 means
	// DefaultMaxFiles.
	MaxFiles int
	// Counters are kept up to date; nil for none.
	Counters *Counters
	// Now tells the time that entries get; nil means time.Now.
	Now func() time.Time
}

// Writer writes what a container prints into files in the CRI format, rotated
// by size and count; older files are not compressed, which would cost more
// CPU than all the rest. It never fails: what can't be written, because the
// disk is full or for another reason, is dropped in whole lines and counted,
// and writing goes on as soon as it works again. A disk that hangs blocks it.
// It may be used by several goroutines.
type Writer struct {
	cfg     Config
	dir     string
	attempt int

	mu      sync.Mutex
	file    *os.File
	size    int64
	batch   []byte
	stamp   []byte
	now     time.Time
	streams [2]streamState
}

// streamState is what is known of a stream between two entries.
type streamState struct {
	// partial: the last entry in the batch was a piece of a longer line.
	partial bool
	// open: the same, of the last entry in the file.
	open bool
	// torn: the rest of an open line was dropped, so that it must be closed
	// before another begins.
	torn bool
	// skipping: the beginning of a line was dropped, its rest must be too.
	skipping bool
}

// NewWriter returns a Writer and opens its file, so that the log exists
// before the container says something. Only a Path that names no log file is
// an error; a file that can't be opened now is tried again at each write.
func NewWriter(cfg Config) (*Writer, error) {
	attempt, rotated, ok := attemptOf(filepath.Base(cfg.Path))
	if !ok || rotated != "" {
		return nil, fmt.Errorf("log path %q: want a number with .log as the file's name", cfg.Path)
	}
	if cfg.MaxSize <= 0 {
		cfg.MaxSize = DefaultMaxSize
	}
	if cfg.MaxFiles <= 0 {
		cfg.MaxFiles = DefaultMaxFiles
	}
	if cfg.Counters == nil {
		cfg.Counters = new(Counters)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	w := &Writer{cfg: cfg, dir: filepath.Dir(cfg.Path), attempt: attempt}
	w.now = cfg.Now()
	if err := w.open(); err != nil {
		w.fail(err)
	}
	return w, nil
}

// Write takes what a stream printed and returns how much of it was used: all
// but an unfinished line of at most MaxPiece bytes, which is to be passed
// again with more behind it. With eof the unfinished line is written too.
func (w *Writer) Write(s Stream, data []byte, eof bool) (used int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.cfg.Now().UTC()
	w.stamp = w.now.AppendFormat(w.stamp[:0], TimeFormat)
	rest := data
	for len(rest) > 0 {
		// A line end may follow a piece of the greatest size.
		head := rest[:min(len(rest), MaxPiece+1)]
		end := bytes.IndexByte(head, '\n')
		switch {
		case end >= 0:
			w.add(s, true, rest[:end])
			rest = rest[end+1:]
			continue
		case len(head) > MaxPiece:
			w.add(s, false, rest[:MaxPiece])
			rest = rest[MaxPiece:]
			continue
		case eof:
			w.add(s, true, rest)
			rest = nil
		}
		break
	}
	w.flush()
	return len(data) - len(rest)
}

// Close closes the file.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return nil
	}
	err := w.file.Close()
	w.file = nil
	return err
}

// add puts one entry into the batch, after the rotation that it may need.
func (w *Writer) add(s Stream, full bool, content []byte) {
	need := int64(Overhead + len(content))
	if len(w.batch)+int(need) > batchSize {
		w.flush()
	}
	if filled := w.size + int64(len(w.batch)); filled > 0 && filled+need > w.cfg.MaxSize {
		w.flush()
		if err := w.rotate(); err != nil {
			w.fail(err)
			w.drop(s, full, len(content))
			return
		}
	}
	st := &w.streams[s]
	if st.skipping {
		w.drop(s, full, len(content))
		return
	}
	if st.torn {
		w.batch = appendEntry(w.batch, w.stamp, s, true, nil)
		st.torn = false
	}
	w.batch = appendEntry(w.batch, w.stamp, s, full, content)
	st.partial = !full
}

// flush writes the batch. What can't be written whole is dropped.
func (w *Writer) flush() {
	if len(w.batch) == 0 {
		return
	}
	written, err := w.writeBatch()
	if err == nil {
		w.cfg.Counters.wrote(bytes.Count(w.batch, []byte{'\n'}), len(w.batch))
		for i := range w.streams {
			w.streams[i].open = w.streams[i].partial
		}
	} else {
		w.fail(err)
		w.account(written)
	}
	w.batch = w.batch[:0]
}

// writeBatch appends the batch to the file and returns how much of it, in
// whole entries, is there.
func (w *Writer) writeBatch() (int, error) {
	if err := w.ensure(); err != nil {
		return 0, err
	}
	n, err := w.file.Write(w.batch)
	if err == nil {
		w.size += int64(n)
		return n, nil
	}
	whole := bytes.LastIndexByte(w.batch[:n], '\n') + 1
	w.size += int64(whole)
	if whole < n && w.file.Truncate(w.size) != nil {
		// The next opening repairs the torn entry.
		w.file.Close()
		w.file = nil
	}
	return whole, err
}

// account settles a batch of which only the first bytes were written.
func (w *Writer) account(written int) {
	w.cfg.Counters.wrote(bytes.Count(w.batch[:written], []byte{'\n'}), written)
	for at := 0; at < len(w.batch); {
		entry := w.batch[at : at+bytes.IndexByte(w.batch[at:], '\n')]
		s, full := Stdout, entry[tagAt] == 'F'
		if entry[streamAt+3] == 'e' {
			s = Stderr
		}
		if at < written {
			w.streams[s].open = !full
		} else {
			w.drop(s, full, len(entry)-headerLen)
		}
		at += len(entry) + 1
	}
}

// drop counts an entry that is not written.
func (w *Writer) drop(s Stream, full bool, size int) {
	st := &w.streams[s]
	if st.open {
		st.torn = true
	}
	st.skipping, st.partial = !full, st.open
	w.cfg.Counters.dropped(full, size)
}

func (w *Writer) fail(err error) { w.cfg.Counters.fail(err, w.now) }
