package metrics

import (
	"strings"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"

	"github.com/podstead/podstead/pod"
)

// family is one metric: what it is called, what it means, and where its
// values come from.
type family struct {
	name, help string
	kind       metricKind
	labels     []string
	// optional families are left out, whole, when there are too many series.
	optional bool
	// each yields the values of gauges and counters, histograms those of
	// histograms.
	each       func(v *view, row emit)
	histograms func(v *view, row emitHistogram)
}

// emit takes one value. The labels are those of the family, in its order: base
// first, which many rows share, then extra.
type emit func(value float64, base []string, extra ...string)

// emitHistogram takes one histogram.
type emitHistogram func(h pod.Histogram, labels ...string)

type metricKind = dto.MetricType

const (
	gauge     = dto.MetricType_GAUGE
	counter   = dto.MetricType_COUNTER
	histogram = dto.MetricType_HISTOGRAM
)

// maxLabel bounds the bytes of a label's value. Names of pods may have 253.
const maxLabel = 256

// rows turns values into the form that the encoders take. It is used for one
// family after the other, so that a page costs the memory of its largest
// family, not of all of them, and is kept for the next page.
type rows struct {
	family  *family
	drop    map[string]bool
	out     dto.MetricFamily
	slots   []*slot
	used    int
	buckets []float64
}

// slot holds one row with everything that it points to.
type slot struct {
	metric dto.Metric
	gauge  dto.Gauge
	count  dto.Counter
	value  float64
	pairs  []*dto.LabelPair
	values []string
}

// fill collects the rows of a family.
func (r *rows) fill(f *family, v *view) *dto.MetricFamily {
	r.family, r.used = f, 0
	out := r.out.Metric[:0]
	r.out.Reset()
	r.out.Metric = out
	r.out.Name, r.out.Help, r.out.Type = &f.name, &f.help, &f.kind
	if f.histograms != nil {
		f.histograms(v, r.addHistogram)
	} else {
		f.each(v, r.add)
	}
	return &r.out
}

// next returns a slot with its labels set.
func (r *rows) next(base, extra []string) *slot {
	if r.used == len(r.slots) {
		r.slots = append(r.slots, &slot{})
	}
	s := r.slots[r.used]
	r.used++
	s.metric.Reset()
	if n := len(r.family.labels); len(s.values) < n {
		s.values, s.pairs = make([]string, n), make([]*dto.LabelPair, n)
		for i := range s.pairs {
			s.pairs[i] = &dto.LabelPair{}
		}
	}
	set := 0
	for i := range r.family.labels {
		name := &r.family.labels[i]
		if r.drop[*name] {
			continue
		}
		if i < len(base) {
			s.values[set] = clean(base[i])
		} else {
			s.values[set] = clean(extra[i-len(base)])
		}
		s.pairs[set].Name, s.pairs[set].Value = name, &s.values[set]
		set++
	}
	s.metric.Label = s.pairs[:set]
	r.out.Metric = append(r.out.Metric, &s.metric)
	return s
}

func (r *rows) add(value float64, base []string, extra ...string) {
	s := r.next(base, extra)
	s.value = value
	if r.family.kind == counter {
		s.count.Value = &s.value
		s.metric.Counter = &s.count
		return
	}
	s.gauge.Value = &s.value
	s.metric.Gauge = &s.gauge
}

func (r *rows) addHistogram(h pod.Histogram, labels ...string) {
	if r.buckets == nil {
		r.buckets = pod.HistogramBounds()
	}
	s := r.next(labels, nil)
	out := &dto.Histogram{SampleCount: &h.Count, SampleSum: &h.Sum}
	var sum uint64
	for i, n := range h.Buckets {
		sum += n
		out.Bucket = append(out.Bucket, &dto.Bucket{UpperBound: &r.buckets[i], CumulativeCount: new(sum)})
	}
	s.metric.Histogram = out
}

// clean makes any text fit for the value of a label.
func clean(text string) string {
	if len(text) > maxLabel {
		text = text[:maxLabel]
	}
	if utf8.ValidString(text) {
		return text
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// boolean is 1 for true.
func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
