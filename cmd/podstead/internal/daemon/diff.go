package daemon

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/manifest/policy"
	"github.com/podstead/podstead/pod"
)

// control is the agent, and knows what the configured sources may have.
type control struct {
	*agent.Agent
	sources func() []config.Source
}

// Diff also tells what the sources of the manifests would refuse.
func (c control) Diff(ctx context.Context, objects []pod.Object) ([]pod.Change, error) {
	changes, err := c.Agent.Diff(ctx, objects)
	sources := c.sources()
	for i := range changes {
		if s := sourceOf(&changes[i], sources); s != nil {
			changes[i].Problems = refused(changes[i].After, level(*s))
		}
	}
	return changes, err
}

// sourceOf finds the source that a manifest is meant for: the one that has the
// object now, the one in whose folder the manifest is, or the only one that
// there is. It is nil if that can't be told.
func sourceOf(c *pod.Change, sources []config.Source) *config.Source {
	if c.After == nil {
		return nil
	}
	found := slices.IndexFunc(sources, func(s config.Source) bool { return c.Before != nil && s.Name == c.Before.Origin.Source })
	if found < 0 {
		found = slices.IndexFunc(sources, func(s config.Source) bool {
			return s.Directory != nil && strings.HasPrefix(c.After.Origin.File, filepath.Clean(s.Directory.Path)+"/")
		})
	}
	switch {
	case found >= 0:
		return &sources[found]
	case len(sources) == 1:
		return &sources[0]
	default:
		return nil
	}
}

// refused is what an object has that a source may not.
func refused(o *pod.Object, level policy.Level) []pod.Problem {
	var problems []pod.Problem
	for _, e := range policy.Check(o, level) {
		problems = append(problems, pod.Problem{
			Origin: o.Origin, Severity: e.Severity, Reason: e.Reason, Kind: o.Kind, Key: o.Key,
			Field: e.Field, Message: e.Message, Got: e.Got, Want: e.Want,
			Consequence: "the source would refuse it, and what runs would stay",
		})
	}
	return problems
}
