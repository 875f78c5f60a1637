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

// Parser returns the parser of files or answers of up to maxBytes; the size
// of a manifest file when that is 0.
func Parser(maxBytes int) source.Parser {
	return func(data []byte, origin pod.Origin) source.Parsed {
		r := manifest.Parse(data, manifest.Options{Origin: origin, MaxBytes: maxBytes})
		parsed := source.Parsed{Pods: r.Pods, Problems: r.Problems}
		for _, f := range r.Failed {
			parsed.Failed = append(parsed.Failed, source.Failed(f))
		}
		return parsed
	}
}

// Policy returns the policy of a source of the given level.
func Policy(level policy.Level) source.Policy {
	return source.Policy{
		Pod: func(d pod.Desired) []pod.Problem {
			var problems []pod.Problem
			for _, e := range policy.Check(d.Pod, level) {
				problems = append(problems, problem(d, e))
			}
			return problems
		},
		Source: func(pods []pod.Desired) []pod.Problem { return policy.CheckSource(pods, level) },
	}
}

func problem(d pod.Desired, e validation.Error) pod.Problem {
	return pod.Problem{
		Origin: d.Origin, Key: d.Key, Severity: cmp.Or(e.Severity, pod.Error), Reason: e.Reason,
		Field: e.Field, Message: e.Message, Got: e.Got, Want: e.Want,
	}
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
	parse, judge := Parser(0), Policy(level)
	for _, f := range files {
		parsed := parse(f.Data, pod.Origin{File: f.Name})
		problems = append(problems, parsed.Problems...)
		for _, d := range parsed.Pods {
			against := judge.Pod(d)
			problems = append(problems, against...)
			if !slices.ContainsFunc(against, isError) {
				state.Pods = append(state.Pods, d)
			}
		}
	}
	problems = append(problems, judge.Source(state.Pods)...)
	problems = append(problems, plan.Merge([]pod.SourceState{state}, nil).Conflicts...)
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

func isError(p pod.Problem) bool { return p.Severity == pod.Error }
