package api

import (
	"time"

	"github.com/podstead/podstead/pod"
)

// Probes tells how the probes of containers go. It is safe for concurrent
// use.
type Probes interface {
	// Reports returns what is known of the probes of one run of a container,
	// by its id; nothing for one that is not probed.
	Reports(container string) []pod.ProbeReport
}

// Probe is how a probe of a container goes.
type Probe struct {
	Kind pod.ProbeKind `json:"kind"`
	// Outcome is the verdict by the probe's thresholds.
	Outcome pod.ProbeOutcome `json:"outcome,omitempty"`
	// Succeeded, Failed and Unknown count attempts, Streak the latest ones
	// with the same result.
	Succeeded uint64 `json:"succeeded"`
	Failed    uint64 `json:"failed"`
	Unknown   uint64 `json:"unknown"`
	Streak    int    `json:"streak"`
	// Since is when the first of the streak was made, by the wall clock.
	Since time.Time `json:"since,omitzero"`
	// Recent are the latest attempts, newest first.
	Recent []pod.ProbeAttempt `json:"recent,omitempty"`
	// Next is when it is made again, by the wall clock.
	Next time.Time `json:"next,omitzero"`
}

func (s *Server) probes(container string) []Probe {
	if s.cfg.Probes == nil || container == "" {
		return nil
	}
	var probes []Probe
	for _, r := range s.cfg.Probes.Reports(container) {
		probes = append(probes, Probe{
			Kind: r.Kind, Outcome: r.Outcome, Succeeded: r.Succeeded, Failed: r.Failed, Unknown: r.Unknown,
			Streak: r.Streak, Since: r.Since.Wall, Recent: r.Recent, Next: r.Next.Wall,
		})
	}
	return probes
}
