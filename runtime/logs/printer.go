package logs

import (
	"bufio"
	"errors"
	"io"
	"time"

	"github.com/podstead/podstead/runtime/logs/logfile"
)

// maxHeld is how much of a line whose end has not come is held back, so that
// lines of the other stream do not get into its middle.
const maxHeld = 1 << 20

// errLimit ends the output at Options.Limit.
var errLimit = errors.New("limit reached")

// printer turns entries into what a person sees.
type printer struct {
	o       Options
	w       *bufio.Writer
	left    int64
	held    [2][]byte
	begun   [2]bool
	scratch []byte
}

func newPrinter(w io.Writer, o Options) *printer {
	return &printer{o: o, w: bufio.NewWriterSize(w, 32<<10), left: o.Limit}
}

// line takes one line of a log file. What is not in the CRI format is shown
// as it is: hiding it would hide what went wrong.
func (p *printer) line(raw []byte) error {
	e, ok := logfile.Parse(raw)
	if !ok {
		return p.write(append(p.clean(raw), '\n'))
	}
	if e.Time.Before(p.o.Since) {
		return nil
	}
	s := e.Stream
	if !p.begun[s] && p.o.Timestamps {
		p.held[s] = e.Time.AppendFormat(p.held[s], time.RFC3339Nano)
		p.held[s] = append(p.held[s], ' ')
	}
	p.begun[s] = !e.Full
	p.held[s] = append(p.held[s], p.clean(e.Content)...)
	if e.Full {
		p.held[s] = append(p.held[s], '\n')
	}
	if !e.Full && len(p.held[s]) < maxHeld {
		return nil
	}
	err := p.write(p.held[s])
	p.held[s] = p.held[s][:0]
	return err
}

// finish ends the lines that will not be finished by the container.
func (p *printer) finish() error {
	for s := range p.held {
		if !p.begun[s] {
			continue
		}
		p.begun[s] = false
		err := p.write(append(p.held[s], '\n'))
		p.held[s] = p.held[s][:0]
		if err != nil {
			return err
		}
	}
	return p.flush()
}

// flush passes on what was printed; unfinished lines stay held back.
func (p *printer) flush() error { return p.w.Flush() }

// clean returns the text to show, valid until the next call.
func (p *printer) clean(text []byte) []byte {
	p.scratch = p.scratch[:0]
	if p.o.Sanitize {
		p.scratch = Sanitize(p.scratch, text)
	} else {
		p.scratch = append(p.scratch, text...)
	}
	return p.scratch
}

func (p *printer) write(text []byte) error {
	if p.o.Limit > 0 {
		text = text[:min(int64(len(text)), p.left)]
		p.left -= int64(len(text))
	}
	if _, err := p.w.Write(text); err != nil {
		return err
	}
	if p.o.Limit > 0 && p.left == 0 {
		if err := p.flush(); err != nil {
			return err
		}
		return errLimit
	}
	return nil
}
