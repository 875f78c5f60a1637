package bench

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sample is several measurements of the same thing.
type sample []time.Duration

func (s sample) median() time.Duration {
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// String is the median with the smallest and the largest.
func (s sample) String() string {
	if len(s) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%s to %s)", short(s.median()), short(slices.Min(s)), short(slices.Max(s)))
}

func short(d time.Duration) string {
	if d >= time.Second {
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + " s"
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
}

// row is one line of the table; value is what the budget bounds.
type row struct {
	what, ours, bare string
	unit             string
	value            float64
	budget           float64
	bounded          bool
}

func (r row) exceeded() bool { return r.bounded && r.value > r.budget }

func (r row) String() string {
	ratio, budget := "", ""
	if r.bare != "" && r.value > 0 {
		ratio = strconv.FormatFloat(r.value, 'f', 2, 64)
	}
	if r.bounded {
		verdict := "✓"
		if r.exceeded() {
			verdict = "✗"
		}
		budget = fmt.Sprintf("≤ %v%s %s", r.budget, r.unit, verdict)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s |", r.what, r.ours, r.bare, ratio, budget)
}

// table is what a run has measured.
type table struct{ rows []row }

// ratio adds what both sides did, bounded by how much slower podstead may be.
func (t *table) ratio(what string, ours, bare sample, budget float64) {
	value := float64(ours.median()) / float64(bare.median())
	t.rows = append(t.rows, row{what: what, ours: ours.String(), bare: bare.String(), unit: " ×", value: value, budget: budget, bounded: true})
}

// compare adds what both sides did where they did not do the same.
func (t *table) compare(what string, ours, bare sample) {
	t.rows = append(t.rows, row{what: what, ours: ours.String(), bare: bare.String()})
}

// bound adds a number with its budget.
func (t *table) bound(what string, value float64, unit string, budget float64) {
	t.rows = append(t.rows, row{what: what, ours: number(value, unit), unit: " " + unit, value: value, budget: budget, bounded: true})
}

// fact adds a number without a budget.
func (t *table) fact(what string, value float64, unit string) {
	t.rows = append(t.rows, row{what: what, ours: number(value, unit)})
}

func number(value float64, unit string) string {
	digits := 0
	if value != float64(int64(value)) {
		digits = 2
	}
	return strconv.FormatFloat(value, 'f', digits, 64) + " " + unit
}

func (t *table) String() string {
	var b strings.Builder
	b.WriteString("| What | podstead | bare client | ratio | budget |\n|---|---|---|---|---|\n")
	for _, r := range t.rows {
		fmt.Fprintln(&b, r)
	}
	return b.String()
}

// Between these lines of the page everything is written by the benchmark.
const (
	page  = "../../docs/performance.md"
	begin = "<!-- measured: written by make bench -->\n"
	end   = "<!-- end of measured -->\n"
)

func writePage(t *testing.T, table, load string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	next, ok := replace(string(text), machine(t, load)+"\n"+table)
	if !ok {
		t.Fatalf("%s has no place for the table: want the lines %q and %q", page, begin, end)
	}
	if err := os.WriteFile(page, []byte(next), 0o644); err != nil {
		t.Fatal(err)
	}
}

// replace puts a text between the marks.
func replace(page, text string) (string, bool) {
	before, rest, ok := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	return before + begin + text + end + after, ok && closed
}

// machine says when and where it was measured.
func machine(t *testing.T, load string) string {
	t.Helper()
	var name unix.Utsname
	var info unix.Sysinfo_t
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	cores, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("Measured on %s: Linux %s, cores %s, %d MiB of memory, load average %s at the beginning and %s at the end; %d pairs of single pods, %d of %d pods.\n",
		time.Now().UTC().Format(time.DateOnly), unix.ByteSliceToString(name.Release[:]), strings.TrimSpace(string(cores)),
		uint64(info.Totalram)*uint64(info.Unit)>>20, load, loadAverage(t), *flagPairs, *flagFills, *flagPods)
}

func TestTheTableTellsWhatIsOverItsBudget(t *testing.T) {
	var report table
	ours, bare := sample{3 * time.Second, time.Second, 200 * time.Millisecond}, sample{400 * time.Millisecond, 600 * time.Millisecond}
	report.ratio("slow", ours, bare, 1.5)
	report.bound("written", 0, "bytes", 0)
	report.fact("size", 1.5, "MiB")
	want := `| What | podstead | bare client | ratio | budget |
|---|---|---|---|---|
| slow | 1.00 s (200 ms to 3.00 s) | 500 ms (400 ms to 600 ms) | 2.00 | ≤ 1.5 × ✗ |
| written | 0 bytes |  |  | ≤ 0 bytes ✓ |
| size | 1.50 MiB |  |  |  |
`
	if got := report.String(); got != want {
		t.Errorf("the table is\n%swant\n%s", got, want)
	}
	old := "before\n" + begin + "old\n" + end + "after\n"
	if got, ok := replace(old, "new\n"); !ok || got != "before\n"+begin+"new\n"+end+"after\n" {
		t.Errorf("the page became %q, %v", got, ok)
	}
}
