package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/podstead/podstead/pod"
)

// Owner is where a pod's manifest stands, without the line.
type Owner struct{ Source, File string }

func ownerOf(o pod.Origin) Owner { return Owner{Source: o.Source, File: o.File} }

// Merged is what all sources together want.
type Merged struct {
	Wants map[pod.Key]Want
	// Conflicts are the manifests that lost against another one of the same
	// pod.
	Conflicts []pod.Problem
}

// Merge joins the sources. Of two manifests for one pod the one that owns the
// running pod stays (owners says who that is); else the source that comes
// first in the configuration wins, then the file and place in it. The loser
// is a conflict with both positions. A pod that runs but is wanted by nobody
// is kept while its source can't be read, and gone otherwise.
func Merge(sources []pod.SourceState, owners map[pod.Key]Owner) Merged {
	sources = slices.Clone(sources)
	slices.SortStableFunc(sources, func(a, b pod.SourceState) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Name, b.Name))
	})
	m := Merged{Wants: map[pod.Key]Want{}}
	for key, candidates := range byKey(sources) {
		winner := pick(candidates, owners[key])
		m.Wants[key] = Want{Desired: winner}
		for _, c := range candidates {
			if c != winner {
				m.Conflicts = append(m.Conflicts, conflict(c, winner))
			}
		}
	}
	for key, owner := range owners {
		if _, wanted := m.Wants[key]; !wanted {
			m.Wants[key] = unwanted(sources, owner)
		}
	}
	slices.SortFunc(m.Conflicts, func(a, b pod.Problem) int {
		return cmp.Or(cmp.Compare(a.Origin.File, b.Origin.File), cmp.Compare(a.Origin.Line, b.Origin.Line),
			cmp.Compare(a.Origin.Item, b.Origin.Item), cmp.Compare(a.Key.String(), b.Key.String()))
	})
	return m
}

func byKey(sources []pod.SourceState) map[pod.Key][]*pod.Desired {
	found := map[pod.Key][]*pod.Desired{}
	for i := range sources {
		for j := range sources[i].Pods {
			d := &sources[i].Pods[j]
			found[d.Key] = append(found[d.Key], d)
		}
	}
	return found
}

func pick(candidates []*pod.Desired, owner Owner) *pod.Desired {
	for _, c := range candidates {
		if ownerOf(c.Origin) == owner {
			return c
		}
	}
	return candidates[0]
}

func conflict(loser, winner *pod.Desired) pod.Problem {
	return pod.Problem{
		Origin: loser.Origin, Severity: pod.Error, Reason: pod.ReasonConflict, Key: loser.Key,
		Field:       "metadata.name",
		Message:     fmt.Sprintf("pod %s is defined twice, the other one is %s", loser.Key, winner.Origin),
		Got:         loser.Key.String(),
		Want:        "a name that no other manifest uses",
		Consequence: fmt.Sprintf("%s is used, this one is not", winner.Origin),
	}
}

// unwanted decides about a pod that exists and that no source lists.
func unwanted(sources []pod.SourceState, owner Owner) Want {
	i := slices.IndexFunc(sources, func(s pod.SourceState) bool { return s.Name == owner.Source })
	switch {
	case owner == (Owner{}):
		if slices.ContainsFunc(sources, uncertain) {
			return Want{Keep: true}
		}
		return Want{Gone: "no manifest names it"}
	case i < 0:
		return Want{Gone: fmt.Sprintf("its source %q was removed from the configuration", owner.Source)}
	case !sources[i].Synced || slices.Contains(sources[i].Unreadable, owner.File):
		return Want{Keep: true}
	default:
		return Want{Gone: fmt.Sprintf("its manifest was removed from %s", owner.File)}
	}
}

func uncertain(s pod.SourceState) bool { return !s.Synced || len(s.Unreadable) > 0 }
