package metrics

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/expfmt"
)

// text writes families of gauges and counters in Prometheus' text format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/), as expfmt
// does. The labels that many rows share are written once and copied: they are
// nine tenths of a page that is asked for four times a minute. Histograms are
// left to expfmt. It serves one page after the other.
type text struct {
	rows   *rows
	family *family
	count  int
	out    bytes.Buffer
	// shared holds labels as they are written, of which known tells where.
	shared []byte
	known  map[*string]sharedLabels
}

// usualLine is more than most rows have, in bytes.
const usualLine = 1 << 10

type sharedLabels struct {
	names    []string
	from, to int
}

func newText(r *rows) *text { return &text{rows: r, known: map[*string]sharedLabels{}} }

// reset forgets what belonged to the page before.
func (t *text) reset() {
	t.shared = t.shared[:0]
	clear(t.known)
}

// fill writes a family into memory and returns how many rows it has.
func (t *text) fill(f *family, v *view) (int, error) {
	t.family, t.count = f, 0
	t.out.Reset()
	if f.histograms != nil {
		out := t.rows.fill(f, v)
		if len(out.Metric) == 0 {
			return 0, nil
		}
		_, err := expfmt.MetricFamilyToText(&t.out, out)
		return len(out.Metric), err
	}
	t.head(f)
	f.each(v, t.add)
	return t.count, nil
}

// flush writes out what was filled.
func (t *text) flush(to io.Writer) error {
	_, err := to.Write(t.out.Bytes())
	return err
}

func (t *text) head(f *family) {
	help := strings.ReplaceAll(strings.ReplaceAll(f.help, "\\", `\\`), "\n", `\n`)
	for _, s := range []string{"# HELP ", f.name, " ", help,
		"\n# TYPE ", f.name, " ", strings.ToLower(f.kind.String()), "\n"} {
		t.out.WriteString(s)
	}
}

func (t *text) add(value float64, base []string, extra ...string) {
	t.count++
	t.out.Grow(usualLine)
	line := t.out.AvailableBuffer()
	line = append(line, t.family.name...)
	open := len(line)
	line = append(line, '{')
	line = append(line, t.labels(base)...)
	for i, v := range extra {
		line = t.rows.label(line, t.family.labels[len(base)+i], v)
	}
	if len(line) == open+1 {
		line = line[:open]
	} else {
		line[len(line)-1] = '}' // in place of the last comma
	}
	line = strconv.AppendFloat(append(line, ' '), value, 'g', -1, 64)
	t.out.Write(append(line, '\n'))
}

// labels returns shared labels as they are written, each with a comma.
func (t *text) labels(base []string) []byte {
	if len(base) == 0 {
		return nil
	}
	names := t.family.labels[:len(base)]
	if l, ok := t.known[&base[0]]; ok && slices.Equal(l.names, names) {
		return t.shared[l.from:l.to]
	}
	from := len(t.shared)
	for i, v := range base {
		t.shared = t.rows.label(t.shared, names[i], v)
	}
	t.known[&base[0]] = sharedLabels{names, from, len(t.shared)}
	return t.shared[from:]
}

// label adds name="value", unless the name is left out.
func (r *rows) label(line []byte, name, value string) []byte {
	if r.drop[name] {
		return line
	}
	line = append(append(line, name...), '=', '"')
	for _, c := range []byte(clean(value)) {
		switch c {
		case '\\':
			line = append(line, '\\', '\\')
		case '\n':
			line = append(line, '\\', 'n')
		case '"':
			line = append(line, '\\', '"')
		default:
			line = append(line, c)
		}
	}
	return append(line, '"', ',')
}
