package policy

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	psa "k8s.io/pod-security-admission/policy"
)

// check is one check of a standard at its latest version.
type check struct {
	id    psa.CheckID
	level api.Level
	run   psa.CheckPodFn
	// replaces names checks that have nothing to add when this one refuses.
	replaces []psa.CheckID
}

// checks returns those of a level, baseline's first, each level's by id.
func checks(level api.Level) []check {
	var list []check
	for _, c := range psa.DefaultChecks() {
		if api.CompareLevels(c.Level, level) <= 0 {
			latest := c.Versions[len(c.Versions)-1]
			list = append(list, check{c.ID, c.Level, latest.CheckPod, latest.OverrideCheckIDs})
		}
	}
	slices.SortFunc(list, func(a, b check) int {
		return cmp.Or(api.CompareLevels(a.level, b.level), strings.Compare(string(a.id), string(b.id)))
	})
	return list
}

// refused is a check with what it has against a pod.
type refused struct {
	check  check
	result psa.CheckResult
}

// refusals runs the checks of a level. The library's evaluator leaves out the
// checks of baseline that restricted replaces, and a replacement forgives
// Windows pods what baseline does not: restricted would then admit what
// baseline refuses. So a replaced check only keeps quiet where its replacement
// refuses the pod as well.
func refusals(level api.Level, p *corev1.Pod) []refused {
	var list []refused
	said := map[psa.CheckID]bool{}
	for _, c := range checks(level) {
		if result := c.run(&p.ObjectMeta, &p.Spec); !result.Allowed {
			list = append(list, refused{c, result})
			for _, id := range c.replaces {
				said[id] = true
			}
		}
	}
	return slices.DeleteFunc(list, func(r refused) bool { return said[r.check.id] })
}
