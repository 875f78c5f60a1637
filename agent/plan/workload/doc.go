// Package workload decides what pods a workload wants: a Deployment,
// ReplicaSet or DaemonSet. It is as pure as package plan, and its answer is
// the whole of what is wanted now: pods come into being and go by being in
// Decision.Pods or not, and how one pod is started and stopped is not decided
// here.
//
// Decide turns the manifest, the record and what was observed into a
// decision. Commands of people are no part of what it sees: Apply turns one
// into a changed record, with an error that the person reads, and the next
// decision follows from the record. So a command is durable before it has an
// effect, and a decision can be made again at any time.
//
// A decision is made in this order, one file each:
//
//   - place.go: whether this server runs the workload at all.
//   - decide.go: what changed in the manifest; how many pods are wanted.
//   - revisions.go: which revision the manifest wants.
//   - aim.go: which revision pods are made of, the target: the wanted one, once
//     it can be had, or the last good one when that failed.
//   - order.go: start-first or stop-first, from the facts.
//   - roll.go: which pods are added and ended now.
//   - ran.go, pull.go: which images a revision runs that is gone back to, and
//     which pods and fetches may ask a registry.
//   - judge.go: how far the rollout came, and whether it failed.
//   - following.go: the decision made again on its own outcome.
//   - status.go and words.go: what people see.
//
// The rules of rollouts:
//
//  1. A wanted revision becomes the target when its images are present and one
//     pod of it would be admitted. Until then all goes on as before, a rollout
//     that is under way included. A revision that can't be had is held, not
//     failed. As long as no pod of another revision runs there is nothing to
//     protect, and pods are made at once.
//  2. The rolling update is that of Kubernetes' deployment controller, with its
//     rounding; old pods that are not available go first. Scaling up in the
//     middle of a rollout makes pods of the target, scaling down ends those
//     that are not available first and old ones then; Kubernetes scales both
//     in proportion.
//  3. Where an old and a new pod can't be beside one another, every old one is
//     gone before a new one starts. That is so for the strategy Recreate, the
//     annotation stop-first, a port of the host that both have, and a folder
//     of the host that both may write to, if only one pod is wanted: with
//     several, pods share it anyway. Where only requests don't fit twice, one
//     pod at a time makes way.
//     With OnDelete a change of the manifest replaces no pod. There is no
//     command here that deletes one, so the commands restart and undo do, in
//     the order of the rolling update, and so does a rollback. A pod that is
//     gone for another reason is followed by one of the target.
//  4. A revision fails when its pods could become available and come no
//     further for the progress deadline, when one of them crashes CrashLimit
//     times, or when more of them than may be missing turn unready in the
//     watch window after all were available. Paused rollouts and pods that
//     can't be admitted are no failures.
//  5. A revision is good when it came through its watch window with at least
//     one pod. A failed one is replaced by the last good one, unless the
//     annotation says otherwise, and is not tried again while there is a good
//     one: not when the manifest comes back to it, and not by undo. Restart
//     makes another revision of the same template, so it is tried once more. A
//     rollback is not judged: what ails the last good one too lies elsewhere.
//     It runs the very images that the good one ran, by their digests, whatever
//     their tags mean by then, and asks no registry for those that are here,
//     with imagePullPolicy Always either: its pods have IfNotPresent. One that
//     is gone and can't be had again is waited for; nothing else is run in its
//     place. So it is for undo, but not for a manifest that comes back to a
//     good revision.
//  6. What people change against the manifest holds until its spec changes; a
//     pause, which is made to hold such changes, until something is said of it.
//     Restarting is no difference that could be taken back: the restarted pods
//     stay.
//
// To add a kind that replaces pods as these do, it takes a spec (spec.go) and a
// status. A kind with another way of life (StatefulSet, Job) takes a function
// of its own in place of rollOut, on the same members, names and record.
package workload
