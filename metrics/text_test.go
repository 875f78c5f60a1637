package metrics

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// What is written is byte for byte what Prometheus' own encoder writes.
func TestTextIsThatOfPrometheus(t *testing.T) {
	odd := []string{`quote " and \ and` + "\nline", "\xff", "", "ü"}
	other := []string{"x", "y"}
	var strange []family
	for _, kind := range []metricKind{gauge, counter} {
		strange = append(strange, family{
			name: "strange", help: "a \\ and\na line \"", kind: kind, labels: []string{"id", "a", "b", "c", "more"},
			each: func(_ *view, row emit) {
				for _, v := range []float64{0, 1, -1, math.Inf(1), math.Inf(-1), math.NaN(), 1e21, 1.5e-9, 123456789} {
					row(v, odd, "z")
					row(v, other, "1", "2", "3")
				}
			},
		}, family{name: "none", help: "no labels", kind: kind, each: func(_ *view, row emit) { row(1, nil) }},
			family{name: "dropped", help: "only one that is left out", kind: kind, labels: []string{"id"}, each: func(_ *view, row emit) { row(1, odd[:1]) }},
			family{name: "renamed", help: "the same values", kind: kind, labels: []string{"q", "r", "s", "t"}, each: func(_ *view, row emit) { row(1, odd) }},
			family{name: "empty", help: "no rows", kind: kind, each: func(*view, emit) {}})
	}
	s := New(config(snapshot()))
	for _, drop := range []map[string]bool{nil, {"id": true, "name": true}} {
		ours := newText(&rows{drop: drop})
		for _, p := range append(pages(), page{path: "strange", families: strange}) {
			v := s.view(t.Context(), &p)
			var got, want bytes.Buffer
			n, dropped, err := p.write(&got, v, ours, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			theirs := &encoded{&rows{drop: drop}, func(f *dto.MetricFamily) error { _, err := expfmt.MetricFamilyToText(&want, f); return err }}
			m, _, err := p.write(nil, v, theirs, 1<<20)
			if err != nil || n != m || n == 0 || dropped != 0 {
				t.Errorf("%s: %d rows, and %d by Prometheus' encoder, %d dropped: %v", p.path, n, m, dropped, err)
			}
			if diff := cmp.Diff(want.String(), got.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", p.path, diff)
			}
			ours.reset()
		}
	}
}

func BenchmarkText(b *testing.B) {
	s := New(config(snapshot()))
	p := pages()[1]
	v := s.view(b.Context(), &p)
	ours := newText(&rows{})
	theirs := &encoded{&rows{}, nil}
	var out bytes.Buffer
	theirs.encode = func(f *dto.MetricFamily) error { _, err := expfmt.MetricFamilyToText(&out, f); return err }
	for name, w := range map[string]writer{"ours": ours, "expfmt": theirs} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				out.Reset()
				ours.reset()
				if _, _, err := p.write(&out, v, w, 1<<20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
