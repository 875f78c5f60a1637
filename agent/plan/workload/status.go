package workload

import (
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// status shows the workload in the shape of the Kubernetes API.
func (r *decider) status() {
	st := &r.Status
	st.Generation = r.rec.Generation
	if rev := r.rec.Revision(r.rec.Target); rev != nil {
		st.Revision = rev.Number
	}
	if rev := r.rec.Revision(r.declared); rev != nil {
		st.Wanted = rev.Number
	}
	if !r.where.stays {
		st.Elsewhere = r.where.why
	}
	st.Drift = r.driftText()
	if held := r.rec.Held.Revision; held != "" {
		st.Held = r.gate(held).why
		if before := r.have.Shown; r.gate(held).bad && (before == nil || before.Held != st.Held) {
			r.say(warning, "RolloutHeld", fmt.Sprintf("%s waits: %s; what runs stays", r.describe(r.rec.Revision(held)), st.Held))
		}
	}
	switch r.object.Kind {
	case pod.KindDeployment:
		st.Deployment = r.deploymentStatus()
		for i := range r.rec.Revisions {
			st.ReplicaSets = append(st.ReplicaSets, r.replicaSet(&r.rec.Revisions[i]))
		}
	case pod.KindReplicaSet:
		of := r.replicaSetStatus(all)
		st.ReplicaSet = &of
	case pod.KindDaemonSet:
		st.DaemonSet = r.daemonSetStatus()
	}
}

func (r *decider) counted(so func(*member) bool) int32 { return int32(r.count(so)) }

func (r *decider) updated(m *member) bool { return m.Revision == r.declared && r.declared != "" }

func isReady(m *member) bool { return m.ready }

// deploymentStatus counts a pod among the replicas for as long as it may get
// requests: Kubernetes' rollouts are over while old pods still answer some.
func (r *decider) deploymentStatus() *appsv1.DeploymentStatus {
	terminating := int32(r.stopping - r.leaving)
	st := &appsv1.DeploymentStatus{
		ObservedGeneration: r.rec.Generation, Replicas: r.counted(all) + int32(r.leaving), UpdatedReplicas: r.counted(r.updated),
		ReadyReplicas: r.counted(isReady), AvailableReplicas: r.counted(available), TerminatingReplicas: &terminating,
	}
	st.UnavailableReplicas = max(int32(max(r.n, len(r.members)))-st.AvailableReplicas, 0)
	st.Conditions = r.conditions(st)
	return st
}

func (r *decider) replicaSetStatus(of func(*member) bool) appsv1.ReplicaSetStatus {
	st := appsv1.ReplicaSetStatus{ObservedGeneration: r.rec.Generation}
	for _, m := range r.members {
		if !of(m) {
			continue
		}
		st.Replicas++
		st.FullyLabeledReplicas++
		if m.ready {
			st.ReadyReplicas++
		}
		if m.available {
			st.AvailableReplicas++
		}
	}
	return st
}

// replicaSet is the one that Kubernetes would have made for a revision.
func (r *decider) replicaSet(rev *Revision) appsv1.ReplicaSet {
	st := r.replicaSetStatus(func(m *member) bool { return m.Revision == rev.Hash })
	st.ObservedGeneration = 1
	labels := with(rev.Template.Labels, r.hashLabel, rev.Hash)
	selector := &metav1.LabelSelector{MatchLabels: with(nil, r.hashLabel, rev.Hash)}
	if r.selector != nil {
		selector = &metav1.LabelSelector{MatchLabels: with(r.selector.MatchLabels, r.hashLabel, rev.Hash), MatchExpressions: r.selector.MatchExpressions}
	}
	template := *rev.Template
	template.Labels = labels
	replicas := st.Replicas
	key := pod.ObjectKey{Kind: pod.KindReplicaSet, Key: pod.Key{Namespace: r.meta.Namespace, Name: replicaSetName(r.meta.Name, rev.Hash)}}
	return appsv1.ReplicaSet{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"},
		ObjectMeta: metav1.ObjectMeta{
			Name: key.Name, Namespace: key.Namespace, UID: pod.ObjectUID(r.NodeID, key), Generation: 1, Labels: labels,
			CreationTimestamp: metav1.NewTime(rev.Created.Wall),
			Annotations:       map[string]string{RevisionAnnotation: strconv.FormatInt(rev.Number, 10)},
			OwnerReferences:   []metav1.OwnerReference{r.reference(r.object.ObjectKey)},
		},
		Spec:   appsv1.ReplicaSetSpec{Replicas: &replicas, MinReadySeconds: int32(r.minReady.Seconds()), Selector: selector, Template: template},
		Status: st,
	}
}

func (r *decider) daemonSetStatus() *appsv1.DaemonSetStatus {
	st := &appsv1.DaemonSetStatus{ObservedGeneration: r.rec.Generation, DesiredNumberScheduled: int32(r.n)}
	if r.closed && len(r.members) == 0 {
		st.DesiredNumberScheduled = 0
	}
	has := func(so func(*member) bool) int32 { return min(r.counted(so), st.DesiredNumberScheduled) }
	st.CurrentNumberScheduled = has(all)
	st.UpdatedNumberScheduled = has(r.updated)
	st.NumberReady = has(isReady)
	st.NumberAvailable = has(available)
	st.NumberUnavailable = st.DesiredNumberScheduled - st.NumberAvailable
	return st
}

// conditions are those that kubectl and its users wait for.
func (r *decider) conditions(st *appsv1.DeploymentStatus) []appsv1.DeploymentCondition {
	_, missing := r.bounds(r.n)
	enough := appsv1.DeploymentCondition{
		Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue,
		Reason: "MinimumReplicasAvailable", Message: "Deployment has minimum availability.",
	}
	if int(st.AvailableReplicas) < r.n-missing {
		enough.Status, enough.Reason = corev1.ConditionFalse, "MinimumReplicasUnavailable"
		enough.Message = "Deployment does not have minimum availability."
	}
	list := []appsv1.DeploymentCondition{r.since(enough), r.since(r.progressing(st))}
	if failed := r.rec.Revision(r.declared); failed != nil && failed.Failure != nil && r.declared != r.rec.Target {
		list = append(list, r.since(appsv1.DeploymentCondition{
			Type: RolledBack, Status: corev1.ConditionTrue, Reason: string(failed.Failure.Reason),
			Message: r.describe(failed) + " failed: " + failed.Failure.Message,
		}))
	}
	return list
}

// RolledBack is the condition of a Deployment whose wanted revision failed and
// was replaced by the last good one. It is there only then.
const RolledBack appsv1.DeploymentConditionType = "RolledBack"

// progressing is the condition on which kubectl rollout status ends: with an
// error for the reason ProgressDeadlineExceeded alone, so that every failure
// has it and the message says what it was.
func (r *decider) progressing(st *appsv1.DeploymentStatus) appsv1.DeploymentCondition {
	c := appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue}
	set := func(status corev1.ConditionStatus, reason, message string) appsv1.DeploymentCondition {
		c.Status, c.Reason, c.Message = status, reason, message
		return c
	}
	target, declared := r.rec.Revision(r.rec.Target), r.rec.Revision(r.declared)
	all := st.Replicas == int32(r.n) && st.UpdatedReplicas == st.Replicas && st.AvailableReplicas == st.Replicas
	switch {
	case declared != nil && declared.Failure != nil:
		return set(corev1.ConditionFalse, deadlineExceeded, r.describe(declared)+" failed: "+declared.Failure.Message)
	case r.Status.Paused:
		return set(corev1.ConditionUnknown, "DeploymentPaused", "Deployment is paused")
	case target == nil:
		return set(corev1.ConditionUnknown, "NewReplicaSetCreated", "no pods were made yet")
	case r.rec.Held.Revision != "":
		return r.progressingHeld(set)
	case all:
		return set(corev1.ConditionTrue, "NewReplicaSetAvailable", fmt.Sprintf("ReplicaSet %q has successfully progressed.", r.name(target)))
	case r.overdue(r.rec.Rollout.Progress) && !r.rec.Rollout.Settled:
		return set(corev1.ConditionFalse, deadlineExceeded, fmt.Sprintf("ReplicaSet %q has timed out progressing.%s", r.name(target), r.blockers()))
	default:
		return set(corev1.ConditionTrue, "ReplicaSetUpdated", fmt.Sprintf("ReplicaSet %q is progressing.%s", r.name(target), r.blockers()))
	}
}

const deadlineExceeded = "ProgressDeadlineExceeded"

func (r *decider) progressingHeld(set func(corev1.ConditionStatus, string, string) appsv1.DeploymentCondition) appsv1.DeploymentCondition {
	text := fmt.Sprintf("%s waits: %s", r.describe(r.rec.Revision(r.rec.Held.Revision)), r.gate(r.rec.Held.Revision).why)
	if r.overdue(r.rec.Held.Since) {
		return set(corev1.ConditionFalse, deadlineExceeded, text)
	}
	return set(corev1.ConditionTrue, "ReplicaSetUpdated", text)
}

// overdue tells whether the progress deadline has passed since.
func (r *decider) overdue(since pod.Stamp) bool {
	if r.deadline == 0 {
		return false
	}
	at := since.Moment.Add(r.deadline)
	if r.now.Moment < at {
		r.wakeAt(at)
		return false
	}
	return true
}

// blockers says what keeps pods from starting although nothing is wrong with
// them.
func (r *decider) blockers() string {
	text := ""
	for _, m := range r.members {
		if m.Blocked != "" {
			text += fmt.Sprintf(" Pod %s: %s.", m.Key.Name, m.Blocked)
		}
	}
	return text
}

func (r *decider) name(rev *Revision) string { return replicaSetName(r.meta.Name, rev.Hash) }

// since gives a condition the times of the one shown before.
func (r *decider) since(c appsv1.DeploymentCondition) appsv1.DeploymentCondition {
	now := metav1.NewTime(r.now.Wall)
	c.LastTransitionTime, c.LastUpdateTime = now, now
	if r.have.Shown == nil || r.have.Shown.Deployment == nil {
		return c
	}
	list := r.have.Shown.Deployment.Conditions
	i := slices.IndexFunc(list, func(o appsv1.DeploymentCondition) bool { return o.Type == c.Type })
	if i < 0 || list[i].Status != c.Status {
		return c
	}
	c.LastTransitionTime = list[i].LastTransitionTime
	if list[i].Reason == c.Reason && list[i].Message == c.Message {
		c.LastUpdateTime = list[i].LastUpdateTime
	}
	return c
}
