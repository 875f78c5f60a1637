package manifest

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
)

// noise is how much slower than promised this machine may be.
const noise = 5

// measure returns the time on the processor, which load from elsewhere does
// not change much, and the bytes that were allocated, freed ones included.
func measure(f func()) (took time.Duration, allocated uint64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := threadTime()
	f()
	took = threadTime() - start
	runtime.ReadMemStats(&after)
	return took, after.TotalAlloc - before.TotalAlloc
}

func threadTime() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func TestHostileInputsAreRefusedInTime(t *testing.T) {
	header := "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n"
	keys := strings.Builder{}
	for i := range 60_000 {
		fmt.Fprintf(&keys, "key%05d: x\n", i)
	}
	laughs := strings.Builder{}
	laughs.WriteString("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n")
	for i := 1; i < 10; i++ {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	bombs := strings.Builder{} // many entries that are each within the limits
	bombs.WriteString("apiVersion: v1\nkind: List\nmetadata: &m [" + strings.Repeat("x, ", 5000) + "x]\nitems:\n")
	for range 10_000 {
		bombs.WriteString("- *m\n")
	}
	for _, c := range []struct {
		name     string
		input    string
		within   time.Duration
		reason   pod.Reason
		maxBytes int
	}{
		{"billion laughs", header + laughs.String(), 10 * time.Millisecond, pod.ReasonTooComplex, 0},
		{"self reference", "&a [*a]", 10 * time.Millisecond, pod.ReasonTooComplex, 0},
		{"self reference in a mapping", header + "spec: &a\n  <<: *a\n", 10 * time.Millisecond, pod.ReasonTooComplex, 0},
		{"1,000 deep", strings.Repeat("[", 1000) + strings.Repeat("]", 1000), 50 * time.Millisecond, pod.ReasonTooComplex, 0},
		{"20,000 deep", "x: " + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), time.Second, pod.ReasonTooComplex, 0},
		{"20,000 deep, JSON", strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000), 200 * time.Millisecond, pod.ReasonTooComplex, 0},
		{"20,000 dashes", strings.Repeat("- ", 20_000), time.Second, pod.ReasonTooComplex, 0},
		{"60,000 keys", keys.String(), 200 * time.Millisecond, pod.ReasonTooComplex, 0},
		{"an alias in each of 10,000 entries", bombs.String(), time.Second, pod.ReasonTooComplex, 0},
		{"2 MiB", header + strings.Repeat("# padding\n", 2<<20/10), 10 * time.Millisecond, pod.ReasonTooLarge, 0},
		{"1 MiB of comments", strings.Repeat("#\n", 1<<19), time.Second, pod.ReasonEmpty, 0},
		{"1 MiB of document markers", strings.Repeat("---\n", 1<<18), time.Second, pod.ReasonEmpty, 0},
		{"1 MiB of documents", strings.Repeat("---\na\n", 1<<20/6), time.Second, pod.ReasonTooComplex, 0},
		{"1 MiB without a line end", strings.Repeat("x", 1<<20), time.Second, pod.ReasonType, 0},
		{"1 MiB of colons", strings.Repeat("a:\n", 1<<20/3), time.Second, pod.ReasonTooComplex, 0},
		{"1 MiB of anchors", "[" + strings.Repeat("&a ,", 1<<18-1) + "]", time.Second, pod.ReasonTooComplex, 0},
		{"1 MiB of question marks", strings.Repeat("? ", 1<<19), time.Second, pod.ReasonTooComplex, 0},
		{"10 MiB of colons", strings.Repeat("- a:\n", 2<<20), time.Second, pod.ReasonTooComplex, 10 << 20},
		{"10 MiB of JSON", "[" + strings.Repeat("1,", 5<<20-2) + "1]", time.Second, pod.ReasonTooComplex, 10 << 20},
		{"10 MiB of dashes", strings.Repeat("-\n", 5<<20), time.Second, pod.ReasonTooComplex, 10 << 20},
		{"an unclosed quote", "x: \"" + strings.Repeat("y ", 1<<19-10), time.Second, pod.ReasonSyntax, 0},
		{"a wrong indentation at the end", header + "spec:\n" + strings.Repeat("  a: b\n", 50_000) + " c: d\n", time.Second, pod.ReasonSyntax, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var result Result
			took, allocated := measure(func() {
				result = Parse([]byte(c.input), Options{Origin: pod.Origin{File: "hostile.yaml"}, MaxBytes: c.maxBytes})
			})
			t.Logf("took %s and %d MiB", took, allocated>>20)
			if took > noise*c.within {
				t.Errorf("took %s, promised are %s", took, c.within)
			}
			if allocated > 128<<20 {
				t.Errorf("allocated %d MiB in all", allocated>>20)
			}
			if len(result.Pods) > 0 || len(result.Failed) == 0 {
				t.Fatalf("%d pods, %d failed", len(result.Pods), len(result.Failed))
			}
			if !slices.ContainsFunc(result.Problems, func(p pod.Problem) bool { return p.Reason == c.reason }) {
				t.Errorf("got %s, want the reason %s", result.Problems[0], c.reason)
			}
		})
	}
}

func TestSizeLimitIsAnOption(t *testing.T) {
	manifest := []byte("apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: app\n    image: a/b:1\n")
	manifest = append(manifest, bytes.Repeat([]byte("#\n"), 1<<20)...)
	if r := Parse(manifest, Options{}); len(r.Pods) != 0 || r.Problems[0].Reason != pod.ReasonTooLarge {
		t.Errorf("2 MiB are read by default: %v", r.Problems)
	}
	if r := Parse(manifest, Options{MaxBytes: 10 << 20}); len(r.Pods) != 1 {
		t.Errorf("2 MiB are not read within 10 MiB: %v", r.Problems)
	}
	if r := Parse(manifest[:200], Options{MaxBytes: 200}); len(r.Pods) != 1 {
		t.Errorf("as many bytes as allowed are refused: %v", r.Problems)
	}
	if r := Parse(manifest[:201], Options{MaxBytes: 200}); len(r.Pods) != 0 {
		t.Error("one byte more than allowed is read")
	}
}

// TestLargeListIsNoBomb: the limit on keys and values is that of a pod.
func TestLargeListIsNoBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: PodList\nitems:\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "- metadata: {name: web-%d}\n  spec: {containers: [{name: app, image: 'a/b:1', args: [a, b, c, d, e]}]}\n", i)
	}
	b.WriteString("- metadata: {name: large}\n  spec: {containers: [{name: app, image: 'a/b:1', args: [" + strings.Repeat("a, ", MaxNodes) + "a]}]}\n")
	r := Parse([]byte(b.String()), Options{})
	if len(r.Pods) != 1000 || len(r.Problems) != 1 || r.Problems[0].Reason != pod.ReasonTooComplex {
		t.Errorf("%d pods, problems %v; want 1,000 pods and one that is too complex", len(r.Pods), r.Problems)
	}
}

func TestProblemsAreCounted(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers: [{name: app, image: 'a/b:1'}]\n  topologySpreadConstraints: [{}]\n")
	for i := range 300 {
		fmt.Fprintf(&b, "  x%d: 1\n", i)
	}
	r := Parse([]byte(b.String()), Options{})
	if len(r.Problems) != MaxProblems+1 {
		t.Fatalf("%d problems, want %d", len(r.Problems), MaxProblems+1)
	}
	if first := r.Problems[0]; first.Severity != pod.Error || !strings.Contains(first.Message, "301 problems") {
		t.Errorf("the first problem is %s", first)
	}
	for _, p := range r.Problems {
		if p.Severity == pod.Warning {
			t.Errorf("a warning takes the place of an error: %s", p)
		}
	}
}

func TestObjectsOfAFileAreLimited(t *testing.T) {
	for name, input := range map[string]string{
		"documents": strings.Repeat("---\na\n", MaxObjects+10),
		"entries":   "kind: List\napiVersion: v1\nitems:\n" + strings.Repeat("- 1\n", MaxObjects+10),
	} {
		t.Run(name, func(t *testing.T) {
			r := Parse([]byte(input), Options{})
			if len(r.Problems) != MaxObjects+1 {
				t.Fatalf("%d problems, want %d", len(r.Problems), MaxObjects+1)
			}
			if last := r.Problems[MaxObjects]; last.Reason != pod.ReasonTooComplex {
				t.Errorf("the last problem is %s", last)
			}
			if last := r.Failed[len(r.Failed)-1]; last != (FailedDocument{Item: MaxObjects}) {
				t.Errorf("the last failure is %v; what was left out could be any pod", last)
			}
		})
	}
}
