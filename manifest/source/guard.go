package source

import (
	"slices"
	"time"

	"github.com/podstead/podstead/pod"
)

// GuardConfig sets the mass-delete guard of a URL source: an answer that
// removes many pods at once is believed only when it is given again. The zero
// value holds the defaults.
type GuardConfig struct {
	// AllowEmpty switches the guard off: every answer is believed at once.
	AllowEmpty bool
	// Pods and Fraction are what one answer may remove: it is held when it
	// removes more than Pods pods and more than Fraction of them, or all.
	// The defaults are 3 and 0.5.
	Pods     int
	Fraction float64
	// Confirm is for how long the same pods must be missing from consecutive
	// answers; 30 s by default.
	Confirm time.Duration
}

// guard remembers which pods the latest answers omitted, and since when.
type guard struct {
	config GuardConfig
	since  map[pod.Key]time.Time
}

func newGuard(c GuardConfig) *guard {
	c.Pods = orDefault(c.Pods, 3)
	c.Fraction = orDefault(c.Fraction, 0.5)
	c.Confirm = orDefault(c.Confirm, 30*time.Second)
	return &guard{config: c}
}

// judge is asked for every answer: wanted are the pods of the source so far,
// omitted those of them that the answer omits. It returns those to hold.
func (g *guard) judge(wanted, omitted []pod.Key, now time.Time) []pod.Key {
	if !g.mass(len(omitted), len(wanted)) {
		g.forget()
		return nil
	}
	since := make(map[pod.Key]time.Time, len(omitted))
	var held []pod.Key
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
	slices.SortFunc(held, compareKeys)
	return held
}

// forget is called when a poll fails: answers have to be consecutive.
func (g *guard) forget() { g.since = nil }

func (g *guard) mass(omitted, wanted int) bool {
	if g.config.AllowEmpty || omitted == 0 {
		return false
	}
	return omitted == wanted ||
		omitted > g.config.Pods && float64(omitted) > g.config.Fraction*float64(wanted)
}
