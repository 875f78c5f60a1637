package workload

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// Record is all that is stored of a workload: what can't be observed again.
// It is a value: a decision returns a new one and leaves the old as it is.
// Without it nothing that runs is restarted; revisions are then read from the
// pods, and failures are forgotten.
type Record struct {
	// BootID is the boot that the moments below belong to.
	BootID string `json:"bootID"`
	// Generation rises with every change of the manifest's spec.
	Generation int64 `json:"generation"`
	// Manifest is the object as it was wanted last.
	Manifest pod.Object `json:"manifest"`
	// Revisions are sorted by number.
	Revisions []Revision `json:"revisions,omitempty"`
	// Target is the hash of the revision that pods are made of; empty before
	// the first.
	Target string `json:"target,omitempty"`
	// Rollout is how the target became what runs.
	Rollout Rollout `json:"rollout"`
	// Held tells that a revision waits to become the target.
	Held Held `json:"held"`
	// Drift is what people changed against the manifest.
	Drift Drift `json:"drift"`
}

// Revision is one version of a workload's pods.
type Revision struct {
	// Number rises; a revision that becomes the target again gets a new one.
	Number int64 `json:"number"`
	// Hash names it in the names and labels of its pods. It is computed once:
	// what counts as the same revision is decided by the template.
	Hash     string                  `json:"hash"`
	Template *corev1.PodTemplateSpec `json:"template"`
	// Good tells that it ran ready with all its pods through its watch
	// window: it can be gone back to.
	Good bool `json:"good,omitempty"`
	// Ran are the digests of the images that its containers ran well, by
	// container: by the time that it comes back a tag may mean another image.
	// Of a revision that was never good there are none.
	Ran map[string]string `json:"ran,omitempty"`
	// Failure is set for a revision that failed: it is not tried again while
	// there is a good one.
	Failure *Failure `json:"failure,omitempty"`
	// Created is when it was first wanted.
	Created pod.Stamp `json:"created"`
}

// Failure is why a revision failed, and what was seen then.
type Failure struct {
	Reason FailureReason `json:"reason"`
	// Message says it in words.
	Message string    `json:"message"`
	At      pod.Stamp `json:"at"`
	// Pods are the pods that failed, at most 3.
	Pods []pod.FailedPod `json:"pods,omitempty"`
}

// FailureReason is why a revision failed, in one word.
type FailureReason string

// The reasons of failures.
const (
	// FailedInTime: it was not ready within the progress deadline.
	FailedInTime FailureReason = "ProgressDeadlineExceeded"
	// FailedCrashing: one of its pods crashed again and again.
	FailedCrashing FailureReason = "CrashLoop"
	// FailedUnhealthy: it was ready and turned unhealthy in its watch window.
	FailedUnhealthy FailureReason = "Unhealthy"
)

// Rollout is how far the target has come. It is being rolled out until
// Complete, watched until Settled, and left alone from then on.
type Rollout struct {
	// Began is when it became the target, Progress when it last came further
	// than ever before.
	Began    pod.Stamp `json:"began"`
	Progress pod.Stamp `json:"progress"`
	// Complete is since when all pods are of it and available; zero until
	// then.
	Complete pod.Stamp `json:"complete"`
	Settled  bool      `json:"settled,omitempty"`
	// Rollback tells that it followed a revision that failed. It is then not
	// judged itself: there is nothing better to go to.
	Rollback bool `json:"rollback,omitempty"`
	// Stalled tells that it does not go on and that its pods are not to blame:
	// it is paused, or they can't be admitted. The deadline begins anew
	// afterwards.
	Stalled bool `json:"stalled,omitempty"`
	// Marks are how far it ever came.
	Marks Marks `json:"marks"`
	// Crashes are those of its pods from before, by name.
	Crashes map[string]int `json:"crashes,omitempty"`
}

// Marks count pods; they only rise, Old only falls.
type Marks struct {
	// Wanted is how many pods were wanted: another number begins anew.
	Wanted    int `json:"wanted"`
	Updated   int `json:"updated"`
	Available int `json:"available"`
	Old       int `json:"old"`
}

// Held is a revision that waits to become the target.
type Held struct {
	// Revision is its hash, empty if none waits.
	Revision string    `json:"revision,omitempty"`
	Since    pod.Stamp `json:"since"`
}

// Drift is what people changed against the manifest. It is taken back by the
// command reset and by the next change of the manifest's spec.
type Drift struct {
	// Replicas is set by scale.
	Replicas *int32 `json:"replicas,omitempty"`
	// Undo is the hash of the revision that undo went back to.
	Undo string `json:"undo,omitempty"`
	// Paused is set by pause and resume where the manifest says otherwise.
	Paused *bool `json:"paused,omitempty"`
	// RestartedAt is set by restart. Taking it back restarts nothing.
	RestartedAt string `json:"restartedAt,omitempty"`
}

// Empty tells whether nothing differs from the manifest.
func (d Drift) Empty() bool { return d == Drift{} }

// clone returns a copy of which everything that decisions change is its own.
func (r *Record) clone() *Record {
	c := *r
	c.Revisions = slices.Clone(r.Revisions)
	return &c
}

// Revision finds a revision by its hash; nil if it is not known.
func (r *Record) Revision(hash string) *Revision {
	if hash == "" {
		return nil
	}
	for i := range r.Revisions {
		if r.Revisions[i].Hash == hash {
			return &r.Revisions[i]
		}
	}
	return nil
}

// Hashes name the revisions. A kind that replaces no pods has one without a
// name.
func (r *Record) Hashes() []string {
	if HashLabel(r.Manifest.Kind) == "" {
		return []string{""}
	}
	hashes := make([]string, len(r.Revisions))
	for i := range r.Revisions {
		hashes[i] = r.Revisions[i].Hash
	}
	return hashes
}

// Has tells whether a revision is among them. A nil record has none.
func (r *Record) Has(hash string) bool { return r != nil && slices.Contains(r.Hashes(), hash) }

// good is the latest good revision; nil if there is none.
func (r *Record) good() *Revision {
	for i := len(r.Revisions) - 1; i >= 0; i-- {
		if r.Revisions[i].Good {
			return &r.Revisions[i]
		}
	}
	return nil
}

// before is the latest revision that did not fail and is neither the target
// nor waits: where undo goes. It is nil if there is none.
func (r *Record) before() *Revision {
	for i := len(r.Revisions) - 1; i >= 0; i-- {
		rev := &r.Revisions[i]
		if rev.Hash != r.Target && rev.Failure == nil && rev.Hash != r.Held.Revision {
			return rev
		}
	}
	return nil
}

// highest is the highest number that a revision has.
func (r *Record) highest() int64 {
	if len(r.Revisions) == 0 {
		return 0
	}
	return r.Revisions[len(r.Revisions)-1].Number
}

// rebooted takes the moments of an earlier boot for before this one. A
// rollout that was under way begins anew: every pod starts again.
func (r *Record) rebooted(bootID string) {
	r.BootID = bootID
	ro := &r.Rollout
	for _, s := range []*pod.Stamp{&ro.Began, &ro.Progress, &ro.Complete, &r.Held.Since} {
		s.Moment = 0
	}
	if !ro.Settled {
		ro.Complete, ro.Crashes, ro.Marks = pod.Stamp{}, nil, Marks{}
	}
	for i := range r.Revisions {
		rev := &r.Revisions[i]
		rev.Created.Moment = 0
		if rev.Failure != nil {
			f := *rev.Failure
			f.At.Moment = 0
			rev.Failure = &f
		}
	}
}
