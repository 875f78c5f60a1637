package logs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"

	"github.com/podstead/podstead/runtime/logs/logfile"
)

// blockSize is what is read at once; more than any entry takes.
const blockSize = 64 << 10

// reader goes through the files of a container's runs.
type reader struct {
	o Options
	// files are those still to be read, the present one first.
	files []*logFile
	// seen is the greatest name of a rotated file that was met of the run of
	// the last of files.
	seen string
	out  *printer
	buf  []byte
}

func newReader(w io.Writer, o Options, attempt int) (*reader, error) {
	r := &reader{o: o, out: newPrinter(w, o), buf: make([]byte, blockSize)}
	files, err := openSeries(o.Dir, attempt)
	if err != nil {
		return nil, err
	}
	r.queue(files)
	if o.Tail != nil {
		if err := r.skipToTail(*o.Tail); err != nil {
			r.close()
			return nil, err
		}
	}
	return r, nil
}

func (r *reader) close() { closeAll(r.files) }

func (r *reader) queue(files []*logFile) {
	for _, f := range files {
		if n := len(r.files); n > 0 && r.files[n-1].attempt != f.attempt {
			r.seen = ""
		}
		if !f.current {
			r.seen = max(r.seen, f.name)
		}
		r.files = append(r.files, f)
	}
}

// skipToTail leaves only the last lines to be read.
func (r *reader) skipToTail(want int64) error {
	for i, f := range slices.Backward(r.files) {
		size, err := f.Seek(0, io.SeekEnd)
		if err != nil {
			return err
		}
		offset, found, err := linesBack(f, size, want)
		if err != nil {
			return err
		}
		f.offset = offset
		if found > want {
			closeAll(r.files[:i])
			r.files = r.files[i:]
			return nil
		}
		want -= found
	}
	return nil
}

// once reads what is there now, and no more, however fast more is written.
func (r *reader) once(ctx context.Context) error {
	for i, f := range r.files {
		size, err := f.Seek(0, io.SeekEnd)
		if err != nil {
			return err
		}
		// An unfinished line at the end of the newest file is being written.
		last := i == len(r.files)-1 && !r.over()
		if err := r.copy(ctx, f, size, !last); err != nil {
			return err
		}
	}
	return r.out.finish()
}

// over tells that nothing is written to the present run any more.
func (r *reader) over() bool {
	if r.o.Ended != nil && r.o.Ended() {
		return true
	}
	found, err := logfile.Attempts(r.o.Dir)
	return err == nil && len(found) > 0 && found[len(found)-1] > r.files[0].attempt
}

// drain reads until nothing more is there, from file to file and from run to
// run, and returns with the file open that grows. Without look it reads the
// present file only.
func (r *reader) drain(ctx context.Context, look bool) error {
	for {
		f := r.files[0]
		if err := r.copy(ctx, f, -1, false); err != nil || !look {
			return err
		}
		if len(r.files) == 1 {
			next, err := r.lookAhead(f)
			if err != nil || len(next) == 0 {
				return err
			}
			r.queue(next)
		}
		// Only now that it has a successor it can't grow any more.
		if err := r.copy(ctx, f, -1, true); err != nil {
			return err
		}
		f.Close()
		r.files = r.files[1:]
		if r.files[0].attempt == f.attempt {
			continue
		}
		if err := r.out.finish(); err != nil {
			return err
		}
	}
}

// lookAhead finds what follows a file, of its run or the next.
func (r *reader) lookAhead(last *logFile) ([]*logFile, error) {
	next, err := successors(r.o.Dir, last, r.seen)
	if err != nil || len(next) > 0 {
		return next, err
	}
	found, err := logfile.Attempts(r.o.Dir)
	if err != nil {
		return nil, err
	}
	at, ok := slices.BinarySearch(found, last.attempt)
	if ok {
		at++
	}
	if at == len(found) {
		return nil, nil
	}
	// A last rotation of the ended run may have come in between.
	next, err = successors(r.o.Dir, last, r.seen)
	if err != nil || len(next) > 0 {
		return next, err
	}
	files, err := openSeries(r.o.Dir, found[at])
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return files, err
}

// copy prints the whole lines of a file up to limit, or its end if limit is
// negative; with final an unfinished last line too.
func (r *reader) copy(ctx context.Context, f *logFile, limit int64, final bool) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		block := r.buf
		if limit >= 0 {
			block = block[:max(0, min(int64(len(block)), limit-f.offset))]
		}
		n, err := f.ReadAt(block, f.offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		used, perr := r.lines(block[:n])
		f.offset += int64(used)
		if perr != nil {
			return perr
		}
		if used > 0 {
			continue
		}
		if n > 0 && (final || n == len(r.buf)) {
			f.offset += int64(n)
			if err := r.out.line(block[:n]); err != nil {
				return err
			}
			continue
		}
		return nil
	}
}

// lines prints the whole lines at the beginning of a block.
func (r *reader) lines(block []byte) (used int, err error) {
	for {
		end := bytes.IndexByte(block[used:], '\n')
		if end < 0 {
			return used, nil
		}
		if err := r.out.line(block[used : used+end]); err != nil {
			return used, err
		}
		used += end + 1
	}
}
