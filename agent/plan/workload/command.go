package workload

import (
	"fmt"
	"strings"
	"time"

	"github.com/podstead/podstead/pod"
)

// Apply carries out a command: it returns the record as it is to be stored,
// from which the next decision follows, and says in words what was done. An
// error says why it can't be done; nothing changes then. The record is that of
// the last decision.
func Apply(c pod.RolloutCommand, rec *Record, now pod.Stamp) (*Record, string, error) {
	if rec == nil {
		return nil, "", fmt.Errorf("%s: this server does not run it", c.Verb)
	}
	sp, ok := specOf(Settings{}, &rec.Manifest)
	if !ok {
		return nil, "", fmt.Errorf("%s: %s has no pods", c.Verb, rec.Manifest.ObjectKey)
	}
	e := edit{sp, rec.clone(), now}
	if why := e.refused(c.Verb); why != "" {
		return nil, "", fmt.Errorf("%s: %s %s", c.Verb, rec.Manifest.ObjectKey, why)
	}
	done, err := e.apply(c)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %s %w", c.Verb, rec.Manifest.ObjectKey, err)
	}
	return e.rec, done, nil
}

// edit changes what differs from the manifest.
type edit struct {
	spec
	rec *Record
	now pod.Stamp
}

// refused says which verbs a kind does not have.
func (e *edit) refused(v pod.RolloutVerb) string {
	switch kind := e.object.Kind; {
	case kind == pod.KindReplicaSet && v != pod.Scale && v != pod.RolloutReset:
		return "has no rollouts: change its manifest"
	case kind == pod.KindDaemonSet && (v == pod.Scale || v == pod.RolloutPause || v == pod.RolloutResume):
		return "can't be scaled or paused: it has one pod here"
	default:
		return ""
	}
}

func (e *edit) apply(c pod.RolloutCommand) (string, error) {
	drift := &e.rec.Drift
	switch c.Verb {
	case pod.Scale:
		return e.scale(c.Replicas)
	case pod.RolloutUndo:
		return e.undo(c.Revision)
	case pod.RolloutPause:
		return e.pause(true)
	case pod.RolloutResume:
		return e.pause(false)
	case pod.RolloutRestart:
		if e.isPaused() {
			return "", fmt.Errorf("is paused: resume it first")
		}
		at := e.now.Wall.UTC().Format(time.RFC3339)
		if drift.RestartedAt == at {
			return "", fmt.Errorf("was restarted in this very second")
		}
		drift.RestartedAt = at
		return "restarted", nil
	case pod.RolloutReset:
		if drift.Empty() {
			return "is as its manifest says", nil
		}
		*drift = Drift{}
		return "reset to its manifest", nil
	}
	return "", fmt.Errorf("does not know that command")
}

func (e *edit) isPaused() bool { return or(e.rec.Drift.Paused, e.paused) }

func (e *edit) scale(n int32) (string, error) {
	if n < 0 || n > pod.MaxReplicas {
		return "", fmt.Errorf("can't have %d pods, want 0 to %d; it stays as it was", n, pod.MaxReplicas)
	}
	e.rec.Drift.Replicas = &n
	if n == e.replicas {
		e.rec.Drift.Replicas = nil
	}
	return fmt.Sprintf("scaled to %d", n), nil
}

func (e *edit) pause(paused bool) (string, error) {
	word := "resumed"
	if paused {
		word = "paused"
	}
	switch {
	case e.isPaused() != paused:
	case paused:
		return "", fmt.Errorf("is paused already")
	default:
		return "", fmt.Errorf("is not paused")
	}
	e.rec.Drift.Paused = &paused
	if paused == e.paused {
		e.rec.Drift.Paused = nil
	}
	return word, nil
}

// undo goes to a revision that was made before.
func (e *edit) undo(number int64) (string, error) {
	if e.isPaused() {
		return "", fmt.Errorf("is paused: resume it first")
	}
	to, err := e.undoTo(number)
	if err != nil {
		return "", err
	}
	if f := to.Failure; f != nil {
		return "", fmt.Errorf("revision %d failed: %s: it is not tried again until the manifest changes (rollout restart tries what the manifest wants once more)", to.Number, f.Message)
	}
	drift := &e.rec.Drift
	drift.Undo, drift.RestartedAt = to.Hash, ""
	if wanted := e.rec.match(e.template); wanted != nil && wanted.Hash == to.Hash {
		drift.Undo = "" // that is what the manifest wants
	}
	return fmt.Sprintf("rolled back to revision %d", to.Number), nil
}

func (e *edit) undoTo(number int64) (*Revision, error) {
	if number == 0 {
		if rev := e.rec.before(); rev != nil {
			return rev, nil
		}
		return nil, fmt.Errorf("has no earlier revision that did not fail")
	}
	var known []string
	for i := len(e.rec.Revisions) - 1; i >= 0; i-- {
		rev := &e.rec.Revisions[i]
		known = append(known, fmt.Sprint(rev.Number))
		if rev.Number == number {
			return rev, nil
		}
	}
	return nil, fmt.Errorf("has no revision %d: there are %s", number, strings.Join(known, ", "))
}
