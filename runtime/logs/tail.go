package logs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/podstead/podstead/runtime/logs/logfile"
)

// Tail returns the last lines that a run printed to both streams: at most
// maxLines, and at most maxBytes together, for which the first line returned
// may lack its beginning. path is the run's current log file, as Path makes
// it; rotated files are looked at too. A run without a log has no lines. What
// is read is bounded, whatever the size of the log.
func Tail(path string, maxLines, maxBytes int) ([]string, error) {
	if maxLines <= 0 || maxBytes <= 0 {
		return nil, nil
	}
	raw, err := lastBytes(path, tailWindow(maxLines, maxBytes))
	if err != nil {
		return nil, err
	}
	return trim(join(raw), maxLines, maxBytes), nil
}

// tailWindow is how much of the files holds for certain what Tail may return:
// the content, an entry's overhead for every line and piece, and one entry
// that the window's start may cut.
func tailWindow(lines, bytes int) int64 {
	entries := lines + bytes/logfile.MaxPiece + 3
	return int64(bytes + entries*logfile.Overhead + logfile.MaxPiece)
}

// lastBytes reads the end of a run's files, beginning with a whole line.
func lastBytes(path string, window int64) ([]byte, error) {
	dir := filepath.Dir(path)
	attempt, ok := logfile.Attempt(filepath.Base(path))
	if !ok {
		return nil, &fs.PathError{Op: "tail", Path: path, Err: fs.ErrInvalid}
	}
	files, err := openSeries(dir, attempt)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer closeAll(files)
	var raw []byte
	for _, f := range slices.Backward(files) {
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		n := min(info.Size(), window-int64(len(raw)))
		part := make([]byte, n)
		got, err := f.ReadAt(part, info.Size()-n)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		raw = append(part[:got], raw...)
		if n < info.Size() {
			_, raw, _ = bytes.Cut(raw, []byte{'\n'})
			break
		}
	}
	return raw, nil
}

// join puts the pieces of each line together.
func join(raw []byte) []string {
	var lines []string
	var held [2][]byte
	var begun [2]bool
	for line := range bytes.Lines(raw) {
		line = bytes.TrimSuffix(line, []byte{'\n'})
		e, ok := logfile.Parse(line)
		if !ok {
			e = logfile.Entry{Full: true, Content: line}
		}
		s := e.Stream
		held[s] = append(held[s], e.Content...)
		begun[s] = !e.Full
		if e.Full {
			lines = append(lines, string(held[s]))
			held[s] = held[s][:0]
		}
	}
	for s := range held {
		if begun[s] {
			lines = append(lines, string(held[s]))
		}
	}
	return lines
}

// trim keeps the last lines and bytes.
func trim(lines []string, maxLines, maxBytes int) []string {
	lines = lines[max(0, len(lines)-maxLines):]
	for i, line := range slices.Backward(lines) {
		if len(line) >= maxBytes {
			lines = lines[i:]
			lines[0] = line[len(line)-maxBytes:]
			return lines
		}
		maxBytes -= len(line)
	}
	return lines
}

// linesBack looks backwards from size for more than want lines. It returns
// where the wanted ones begin, and how many it found: want+1 when there are
// more than want.
func linesBack(f io.ReaderAt, size, want int64) (offset, found int64, err error) {
	buf := make([]byte, blockSize+logfile.Overhead)
	end := int64(-1) // of the entry that is being looked for
	for hi := size; hi > 0; {
		lo := max(0, hi-blockSize)
		// A little more, for the head of an entry that begins at the end.
		block := buf[:min(hi+int64(logfile.Overhead), size)-lo]
		if _, err := f.ReadAt(block, lo); err != nil && err != io.EOF {
			return 0, 0, err
		}
		for at := hi - lo; at >= 0; {
			at = int64(bytes.LastIndexByte(block[:at], '\n'))
			if end >= 0 && (at >= 0 || lo == 0) && logfile.EndsLine(block[at+1:]) {
				if found++; found > want {
					return end + 1, found, nil
				}
			}
			if at >= 0 {
				end = lo + at
			}
		}
		hi = lo
	}
	return 0, found, nil
}
