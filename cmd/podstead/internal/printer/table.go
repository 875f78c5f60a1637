// Package printer shows objects as kubectl does, so that nobody has to learn
// the columns twice.
package printer

import (
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/duration"
)

// gap is the space between columns, minCell the least width of one with it.
const (
	gap     = 3
	minCell = 6
)

// none is shown where there is nothing to show.
const none = "<none>"

// Table writes rows in columns. Columns never become narrower, so rows that
// are written later, while watching, stay below their headings.
type Table struct {
	w      io.Writer
	header []string
	widths []int
}

// NewTable returns a table that writes its headings with the first rows; none
// when header is nil.
func NewTable(w io.Writer, header []string) *Table {
	return &Table{w: w, header: header}
}

// Write adds rows.
func (t *Table) Write(rows [][]string) error {
	if t.header != nil {
		rows = append([][]string{t.header}, rows...)
		t.header = nil
	}
	for _, row := range rows {
		for i, cell := range row {
			if i == len(t.widths) {
				t.widths = append(t.widths, minCell)
			}
			t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell)+gap)
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", t.widths[i]-utf8.RuneCountInString(cell)))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// Age is how long ago a time was, such as 3m12s; <unknown> for the zero time.
func Age(at, now time.Time) string {
	if at.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(at))
}

// Clean makes text from containers safe to show: control characters, which a
// terminal might obey, are replaced by their number.
func Clean(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\t' || r == '\n' || r >= 0x20 && (r < 0x7f || r > 0x9f) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(`\x` + string("0123456789abcdef"[r>>4&15]) + string("0123456789abcdef"[r&15]))
	}
	return b.String()
}

// oneLine makes a message fit into a cell.
func oneLine(text string) string {
	return Clean(strings.Join(strings.Fields(text), " "))
}
