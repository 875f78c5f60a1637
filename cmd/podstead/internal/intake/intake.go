// Package intake joins parsing and policy to what sources ask for, so that
// the daemon and the check on the command line judge manifests by the same
// code.
package intake

import (
	"cmp"
	"slices"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/manifest"
	"github.com/podstead/podstead/manifest/policy"
	"github.com/podstead/podstead/manifest/source"
	"github.com/podstead/podstead/manifest/validation"
	"github.com/podstead/podstead/pod"
)

// Parser returns the parser of files or answers of up to maxBytes (the size
// of a manifest file when that is 0) for a source of the given level.
func Parser(maxBytes int, level policy.Level) source.Parser {
	judge := func(o *pod.Object) []validation.Error { return policy.Check(o, level) }
	return func(data []byte, origin pod.Origin) source.Parsed {
		r := manifest.Parse(data, manifest.Options{Origin: origin, MaxBytes: maxBytes, Check: judge})
		parsed := source.Parsed{Pods: r.Pods, Objects: r.Objects, Problems: r.Problems}
		for _, f := range r.Failed {
			parsed.Failed = append(parsed.Failed, source.Failed(f))
		}
		return parsed
	}
}

// Limits returns how much a source of the given level may want in all.
func Limits(level policy.Level) source.Limits {
	return func(objects []pod.Object) []pod.Problem { return policy.CheckSource(objects, level) }
}

// File is a manifest file's content under its name.
type File struct {
	Name string
	Data []byte
}

// Check judges files as a directory source of the given level would that had
// just these: each by itself, then against policy, then against each other.
// The problems are in the order of files and lines.
func Check(files []File, level policy.Level) []pod.Problem {
	var problems []pod.Problem
	state := pod.SourceState{Synced: true}
	var all []pod.Object
	parse := Parser(0, level)
	for _, f := range files {
		parsed := parse(f.Data, pod.Origin{File: f.Name})
		problems = append(problems, parsed.Problems...)
		state.Pods = append(state.Pods, parsed.Pods...)
		state.Objects = append(state.Objects, parsed.Objects...)
		all = append(all, parsed.All()...)
	}
	problems = append(problems, policy.CheckSource(all, level)...)
	problems = append(problems, plan.Merge([]pod.SourceState{state}, nil).Conflicts...)
	problems = append(problems, plan.MergeObjects([]pod.SourceState{state}, nil).Conflicts...)
	order := map[string]int{}
	for i, f := range files {
		order[f.Name] = i
	}
	slices.SortStableFunc(problems, func(a, b pod.Problem) int {
		return cmp.Or(cmp.Compare(order[a.Origin.File], order[b.Origin.File]),
			cmp.Compare(a.Origin.Line, b.Origin.Line), cmp.Compare(a.Origin.Column, b.Origin.Column))
	})
	return problems
}
