package source

import (
	"slices"
	"time"

	"github.com/podstead/podstead/pod"
)

// GuardConfig sets the mass-delete guard of a URL source: an answer that
// removes many objects at once is believed only when it is given again. Each
// object counts once, whatever its replicas. The zero value holds the
// defaults.
type GuardConfig struct {
	// AllowEmpty switches the guard off: every answer is believed at once.
	AllowEmpty bool
	// Objects and Fraction are what one answer may remove: it is held when it
	// removes more than Objects and more than Fraction of them, or all, or so
	// many of the workloads among them. The defaults are 3 and 0.5.
	Objects  int
	Fraction float64
	// Confirm is for how long the same objects must be missing from consecutive
	// answers; 30 s by default.
	Confirm time.Duration
}

// guard remembers which objects the latest answers omitted, and since when.
type guard struct {
	config GuardConfig
	since  map[pod.ObjectKey]time.Time
}

func newGuard(c GuardConfig) *guard {
	c.Objects = orDefault(c.Objects, 3)
	c.Fraction = orDefault(c.Fraction, 0.5)
	c.Confirm = orDefault(c.Confirm, 30*time.Second)
	return &guard{config: c}
}

// judge is asked for every answer: wanted are the objects of the source so far,
// omitted those of them that the answer omits. It returns those to hold.
func (g *guard) judge(wanted, omitted []pod.ObjectKey, now time.Time) []pod.ObjectKey {
	if !g.mass(len(omitted), len(wanted)) && !g.mass(workloads(omitted), workloads(wanted)) {
		g.forget()
		return nil
	}
	since := make(map[pod.ObjectKey]time.Time, len(omitted))
	var held []pod.ObjectKey
	for _, key := range omitted {
		first, before := g.since[key]
		if !before {
			first = now
		}
		if before && now.Sub(first) >= g.config.Confirm {
			continue
		}
		since[key] = first
		held = append(held, key)
	}
	g.since = since
	slices.SortFunc(held, pod.ObjectKey.Compare)
	return held
}

// forget is called when a poll fails: answers have to be consecutive.
func (g *guard) forget() { g.since = nil }

func (g *guard) mass(omitted, wanted int) bool {
	if g.config.AllowEmpty || omitted == 0 {
		return false
	}
	return omitted == wanted ||
		omitted > g.config.Objects && float64(omitted) > g.config.Fraction*float64(wanted)
}

// workloads counts what stands for running pods: the rest of a source, such
// as its Services, must not make their loss look small.
func workloads(keys []pod.ObjectKey) int {
	n := 0
	for _, k := range keys {
		if k.Kind.IsWorkload() {
			n++
		}
	}
	return n
}
