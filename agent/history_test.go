package agent_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

// uids are those of all pods that run now.
func (f *fake) uids() map[types.UID]bool {
	found := map[types.UID]bool{}
	f.set(func(f *fake) {
		for _, c := range f.containers {
			if c.State == pod.StateRunning {
				found[c.UID] = true
			}
		}
	})
	return found
}

// TestHistoryOfGeneratedNamesEnds: of the pods of revisions that are on record no
// more one number is kept for all, of a workload that is gone as well, over
// restarts too; and no uid is ever given twice.
func TestHistoryOfGeneratedNamesEnds(t *testing.T) {
	const revisions, kept = 25, 2
	for _, kind := range []pod.Kind{pod.KindDeployment, pod.KindDaemonSet, pod.KindReplicaSet} {
		t.Run(string(kind), func(t *testing.T) {
			f := newFake()
			given := map[types.UID]bool{}
			rounds := func(t *testing.T, a *agent.Agent) {
				for i := range revisions {
					a.Publish(objects(versioned(kind, i, kept), versioned(kind, i, kept, "other")))
					settle(15 * time.Second)
					if kind == pod.KindReplicaSet { // its pods follow no change
						a.Publish(objects(versioned(kind, i, kept, "other")))
						settle(15 * time.Second)
					}
				}
				last := f.uids()
				a.Publish(source(desired("plain")))
				settle(time.Minute)
				a.Publish(source())
				settle(time.Minute)
				for uid := range last {
					if given[uid] {
						t.Errorf("%s was given before", uid)
					}
					given[uid] = true
				}
				var names []string
				f.set(func(f *fake) {
					for name := range f.history {
						names = append(names, name)
					}
				})
				slices.Sort(names)
				if want := []string{string(kind) + " default/other", string(kind) + " default/web", "default/plain"}; !slices.Equal(names, want) {
					t.Errorf("the history has %v, want %v", names, want)
				}
			}
			restarted(t, f, rounds, rounds)
		})
	}
}

// versioned is a workload of two pods, or of one, in its i-th version.
func versioned(kind pod.Kind, i int, kept int32, name ...string) pod.Object {
	o := deployment("app:1", func(d *appsv1.Deployment) {
		two := int32(2)
		d.Spec.Replicas, d.Spec.RevisionHistoryLimit = &two, &kept
		d.Annotations[pod.WatchSecondsAnnotation] = "1"
		d.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "VERSION", Value: fmt.Sprint(i)}}
		if len(name) > 0 {
			d.Name = name[0]
		}
	})
	d := o.Deployment
	switch kind {
	case pod.KindDaemonSet:
		o.DaemonSet = &appsv1.DaemonSet{ObjectMeta: d.ObjectMeta, Spec: appsv1.DaemonSetSpec{
			Selector: d.Spec.Selector, Template: d.Spec.Template, RevisionHistoryLimit: &kept,
		}}
	case pod.KindReplicaSet:
		o.ReplicaSet = &appsv1.ReplicaSet{ObjectMeta: d.ObjectMeta, Spec: appsv1.ReplicaSetSpec{
			Replicas: d.Spec.Replicas, Selector: d.Spec.Selector, Template: d.Spec.Template,
		}}
	default:
		return o
	}
	o.Kind, o.Deployment = kind, nil
	return o
}
