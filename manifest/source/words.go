package source

import (
	"fmt"
	"slices"
	"strings"

	"github.com/podstead/podstead/pod"
)

// called is how a sentence names an object.
func called(k pod.ObjectKey) string {
	if k.Kind == pod.KindPod {
		return "pod " + k.String()
	}
	return k.String()
}

// noun is what objects are called together.
func noun(keys []pod.ObjectKey) string {
	if slices.ContainsFunc(keys, func(k pod.ObjectKey) bool { return k.Kind != pod.KindPod }) {
		return "objects"
	}
	return "pods"
}

// consequence says what happens now to the objects that a problem concerns.
func consequence(p pod.Problem, keys []pod.ObjectKey, kept bool) string {
	switch {
	case p.Severity != pod.Error:
		return p.Consequence
	case !kept && p.Kind != "" && !p.Kind.IsWorkload():
		return "it is not used"
	case !kept:
		return "nothing runs for it"
	case len(keys) == 1:
		return called(keys[0]) + stays(keys)
	case len(keys) > 5:
		return fmt.Sprintf("its %d %s%s", len(keys), noun(keys), stays(keys))
	}
	pods, all := make([]string, len(keys)), make([]string, len(keys))
	for i, key := range keys {
		pods[i], all[i] = key.String(), called(key)
	}
	if noun(keys) == "pods" {
		return "pods " + strings.Join(pods, ", ") + stays(keys)
	}
	return strings.Join(all, ", ") + stays(keys)
}

// stays says that objects go on as before: pods run, other objects don't.
func stays(keys []pod.ObjectKey) string {
	pods := noun(keys) == "pods"
	switch {
	case pods && len(keys) == 1:
		return " keeps running as before"
	case pods:
		return " keep running as before"
	case len(keys) == 1:
		return " stays as it was"
	}
	return " stay as they were"
}
