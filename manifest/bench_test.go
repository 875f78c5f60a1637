package manifest

import (
	"os"
	"testing"
)

// BenchmarkParse reads a pod as people write them.
func BenchmarkParse(b *testing.B) {
	data, err := os.ReadFile("testdata/good/env-field-ref.yaml")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if r := Parse(data, Options{}); len(r.Pods) != 1 {
			b.Fatal(r.Problems)
		}
	}
}
