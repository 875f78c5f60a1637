package plan

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/podstead/podstead/pod"
)

// Owner is where an object's manifest stands, without the line.
type Owner struct{ Source, File string }

func ownerOf(o pod.Origin) Owner { return Owner{Source: o.Source, File: o.File} }

// Merged is what all sources together want of pods.
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
	known := make(map[pod.ObjectKey]Owner, len(owners))
	for key, owner := range owners {
		known[pod.ObjectKey{Kind: pod.KindPod, Key: key}] = owner
	}
	fates, conflicts := join(sources, known, func(s *pod.SourceState) []candidate[pod.Desired] {
		list := make([]candidate[pod.Desired], len(s.Pods))
		for i := range s.Pods {
			d := &s.Pods[i]
			list[i] = candidate[pod.Desired]{pod.ObjectKey{Kind: pod.KindPod, Key: d.Key}, d.Origin, d}
		}
		return list
	})
	m := Merged{Wants: make(map[pod.Key]Want, len(fates)), Conflicts: conflicts}
	for key, f := range fates {
		m.Wants[key.Key] = Want{Desired: f.wanted, Keep: f.keep, Gone: f.gone}
	}
	return m
}

// ObjectWant is what is wanted of one object that is no pod.
type ObjectWant struct {
	// Object is the wanted object; nil when no source wants it.
	Object *pod.Object
	// Keep says that nobody can tell now whether it is wanted: it goes on as
	// it was recorded.
	Keep bool
	// Gone says in words why it is not wanted.
	Gone string
}

// MergedObjects is what all sources together want beside pods.
type MergedObjects struct {
	Wants map[pod.ObjectKey]ObjectWant
	// Conflicts are the manifests that lost against another one of the same
	// object.
	Conflicts []pod.Problem
}

// MergeObjects joins the sources as Merge does for pods, with the same rules:
// owners are the manifests of the objects that podstead acts on now, as
// recorded with them.
func MergeObjects(sources []pod.SourceState, owners map[pod.ObjectKey]Owner) MergedObjects {
	fates, conflicts := join(sources, owners, func(s *pod.SourceState) []candidate[pod.Object] {
		list := make([]candidate[pod.Object], len(s.Objects))
		for i := range s.Objects {
			o := &s.Objects[i]
			list[i] = candidate[pod.Object]{o.ObjectKey, o.Origin, o}
		}
		return list
	})
	m := MergedObjects{Wants: make(map[pod.ObjectKey]ObjectWant, len(fates)), Conflicts: conflicts}
	for key, f := range fates {
		m.Wants[key] = ObjectWant{Object: f.wanted, Keep: f.keep, Gone: f.gone}
	}
	return m
}

// candidate is one manifest of an object.
type candidate[T any] struct {
	key    pod.ObjectKey
	origin pod.Origin
	item   *T
}

// fate is what becomes of an object: it is wanted, kept as it is, or gone.
type fate[T any] struct {
	wanted *T
	keep   bool
	gone   string
}

// join applies the rules of Merge to what list takes from each source.
func join[T any](sources []pod.SourceState, owners map[pod.ObjectKey]Owner, list func(*pod.SourceState) []candidate[T]) (
	map[pod.ObjectKey]fate[T], []pod.Problem) {
	sources = slices.Clone(sources)
	slices.SortStableFunc(sources, func(a, b pod.SourceState) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Name, b.Name))
	})
	candidates := map[pod.ObjectKey][]candidate[T]{}
	for i := range sources {
		for _, c := range list(&sources[i]) {
			candidates[c.key] = append(candidates[c.key], c)
		}
	}
	fates := make(map[pod.ObjectKey]fate[T], len(candidates))
	var conflicts []pod.Problem
	for key, all := range candidates {
		winner := pick(all, owners[key])
		fates[key] = fate[T]{wanted: winner.item}
		for _, c := range all {
			if c.item != winner.item {
				conflicts = append(conflicts, conflict(key, c.origin, winner.origin))
			}
		}
	}
	for key, owner := range owners {
		if _, wanted := fates[key]; !wanted {
			keep, gone := unwanted(sources, owner)
			fates[key] = fate[T]{keep: keep, gone: gone}
		}
	}
	slices.SortFunc(conflicts, func(a, b pod.Problem) int {
		return cmp.Or(cmp.Compare(a.Origin.File, b.Origin.File), cmp.Compare(a.Origin.Line, b.Origin.Line),
			cmp.Compare(a.Origin.Item, b.Origin.Item), a.Object().Compare(b.Object()))
	})
	return fates, conflicts
}

func pick[T any](candidates []candidate[T], owner Owner) candidate[T] {
	for _, c := range candidates {
		if ownerOf(c.origin) == owner {
			return c
		}
	}
	return candidates[0]
}

func conflict(key pod.ObjectKey, loser, winner pod.Origin) pod.Problem {
	name := key.String()
	if key.Kind == pod.KindPod {
		name = "pod " + name
	}
	return pod.Problem{
		Origin: loser, Severity: pod.Error, Reason: pod.ReasonConflict, Kind: key.Kind, Key: key.Key,
		Field:       "metadata.name",
		Message:     fmt.Sprintf("%s is defined twice, the other one is %s", name, winner),
		Got:         key.Key.String(),
		Want:        "a name that no other manifest uses",
		Consequence: fmt.Sprintf("%s is used, this one is not", winner),
	}
}

// unwanted decides about an object that exists and that no source lists.
func unwanted(sources []pod.SourceState, owner Owner) (keep bool, gone string) {
	i := slices.IndexFunc(sources, func(s pod.SourceState) bool { return s.Name == owner.Source })
	switch {
	case owner == (Owner{}):
		if slices.ContainsFunc(sources, uncertain) {
			return true, ""
		}
		return false, "no manifest names it"
	case i < 0:
		return false, fmt.Sprintf("its source %q was removed from the configuration", owner.Source)
	case !sources[i].Synced || slices.Contains(sources[i].Unreadable, owner.File):
		return true, ""
	default:
		return false, fmt.Sprintf("its manifest was removed from %s", owner.File)
	}
}

func uncertain(s pod.SourceState) bool { return !s.Synced || len(s.Unreadable) > 0 }
