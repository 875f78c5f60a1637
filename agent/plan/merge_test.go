package plan_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

func objectKey(kind pod.Kind, name string) pod.ObjectKey {
	return pod.ObjectKey{Kind: kind, Key: pod.Key{Namespace: "default", Name: name}}
}

func objectAt(kind pod.Kind, name, source, file string, line int) pod.Object {
	return pod.Object{
		ObjectKey: objectKey(kind, name), Deployment: &appsv1.Deployment{},
		Origin: pod.Origin{Source: source, File: file, Item: line - 1, Line: line, Column: 1},
	}
}

func read(name string, priority int, objects ...pod.Object) pod.SourceState {
	return pod.SourceState{Name: name, Priority: priority, Synced: true, Objects: objects}
}

// outcome is what becomes of objects, in words.
func outcome(m plan.MergedObjects) map[string]string {
	words := map[string]string{}
	for key, w := range m.Wants {
		switch {
		case w.Object != nil:
			words[key.String()] = w.Object.Origin.String()
		case w.Keep:
			words[key.String()] = "kept"
		default:
			words[key.String()] = w.Gone
		}
	}
	return words
}

func TestMergeObjects(t *testing.T) {
	const kind = pod.KindDeployment
	first := objectAt(kind, "web", "a", "a.yaml", 1)
	second := objectAt(kind, "web", "b", "b.yaml", 1)
	unsynced := read("b", 2)
	unsynced.Synced = false
	unreadable := read("b", 2)
	unreadable.Unreadable = []string{"b.yaml"}
	for name, c := range map[string]struct {
		sources []pod.SourceState
		owner   plan.Owner // of Deployment web; none if zero
		want    map[string]string
		loser   string
	}{
		"one":                       {[]pod.SourceState{read("a", 1, first)}, plan.Owner{}, map[string]string{"Deployment default/web": "a.yaml:1:1"}, ""},
		"the first source wins":     {[]pod.SourceState{read("b", 2, second), read("a", 1, first)}, plan.Owner{}, map[string]string{"Deployment default/web": "a.yaml:1:1"}, "b.yaml:1:1"},
		"the owner stays":           {[]pod.SourceState{read("a", 1, first), read("b", 2, second)}, plan.Owner{Source: "b", File: "b.yaml"}, map[string]string{"Deployment default/web": "b.yaml:1:1"}, "a.yaml:1:1"},
		"twice in a source":         {[]pod.SourceState{read("a", 1, first, objectAt(kind, "web", "a", "c.yaml", 4))}, plan.Owner{}, map[string]string{"Deployment default/web": "a.yaml:1:1"}, "c.yaml:4:1"},
		"two kinds are no conflict": {[]pod.SourceState{read("a", 1, first, objectAt(pod.KindService, "web", "a", "a.yaml", 9))}, plan.Owner{}, map[string]string{"Deployment default/web": "a.yaml:1:1", "Service default/web": "a.yaml:9:1"}, ""},
		"gone":                      {[]pod.SourceState{read("b", 2)}, plan.Owner{Source: "b", File: "b.yaml"}, map[string]string{"Deployment default/web": "its manifest was removed from b.yaml"}, ""},
		"its source is gone":        {[]pod.SourceState{read("a", 1)}, plan.Owner{Source: "b", File: "b.yaml"}, map[string]string{"Deployment default/web": `its source "b" was removed from the configuration`}, ""},
		"its source is not read":    {[]pod.SourceState{unsynced}, plan.Owner{Source: "b", File: "b.yaml"}, map[string]string{"Deployment default/web": "kept"}, ""},
		"its file is unreadable":    {[]pod.SourceState{unreadable}, plan.Owner{Source: "b", File: "b.yaml"}, map[string]string{"Deployment default/web": "kept"}, ""},
		"another file is":           {[]pod.SourceState{unreadable}, plan.Owner{Source: "b", File: "x.yaml"}, map[string]string{"Deployment default/web": "its manifest was removed from x.yaml"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			owners := map[pod.ObjectKey]plan.Owner{}
			if c.owner != (plan.Owner{}) {
				owners[objectKey(kind, "web")] = c.owner
			}
			m := plan.MergeObjects(c.sources, owners)
			if diff := cmp.Diff(c.want, outcome(m)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if c.loser == "" {
				if len(m.Conflicts) > 0 {
					t.Errorf("conflicts %v", m.Conflicts)
				}
				return
			}
			if len(m.Conflicts) != 1 || m.Conflicts[0].Origin.String() != c.loser || m.Conflicts[0].Object() != objectKey(kind, "web") {
				t.Fatalf("conflicts %v, want one at %s", m.Conflicts, c.loser)
			}
			text := "metadata.name: conflict: Deployment default/web is defined twice, the other one is " + c.want["Deployment default/web"]
			if got := m.Conflicts[0].String(); got != c.loser+": "+text+" (got default/web, want a name that no other manifest uses)" {
				t.Errorf("the conflict reads %s", got)
			}
		})
	}
}

// TestObjectsAreMergedAsPodsAre: the rules of pods hold for every kind, the
// order of sources does not matter, and each manifest is used or lost.
func TestObjectsAreMergedAsPodsAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pods, objects []pod.SourceState
		ofPods, ofObjects := map[pod.Key]plan.Owner{}, map[pod.ObjectKey]plan.Owner{}
		listed := 0
		for i := range rapid.IntRange(1, 4).Draw(t, "sources") {
			name := fmt.Sprint("s", i)
			p := read(name, rapid.IntRange(0, 2).Draw(t, "priority"))
			p.Synced = rapid.Bool().Draw(t, "synced")
			if rapid.Bool().Draw(t, "unreadable") {
				p.Unreadable = []string{"f1"}
			}
			o := p
			for line := range rapid.IntRange(0, 4).Draw(t, "manifests") {
				listed++
				object := objectAt(pod.KindService, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"), name,
					rapid.SampledFrom([]string{"f1", "f2"}).Draw(t, "file"), line+1)
				o.Objects = append(o.Objects, object)
				p.Pods = append(p.Pods, pod.Desired{Key: object.Key, Pod: &corev1.Pod{}, Origin: object.Origin})
			}
			pods, objects = append(pods, p), append(objects, o)
		}
		for _, name := range []string{"a", "b", "d"} {
			owner := plan.Owner{Source: rapid.SampledFrom([]string{"s0", "s1", "s9"}).Draw(t, "owner"), File: rapid.SampledFrom([]string{"f1", "f2"}).Draw(t, "owned")}
			key := objectKey(pod.KindService, name)
			ofPods[key.Key], ofObjects[key] = owner, owner
		}
		a, b := plan.Merge(pods, ofPods), plan.MergeObjects(objects, ofObjects)
		won := 0
		for key, want := range b.Wants {
			as := a.Wants[key.Key]
			if (as.Desired == nil) != (want.Object == nil) || as.Keep != want.Keep || as.Gone != want.Gone ||
				as.Desired != nil && as.Desired.Origin != want.Object.Origin {
				t.Fatalf("%s: as a pod %+v, as a Service %+v", key, as, want)
			}
			if want.Object != nil {
				won++
			}
		}
		if len(a.Wants) != len(b.Wants) || len(a.Conflicts) != len(b.Conflicts) || won+len(b.Conflicts) != listed {
			t.Fatalf("%d and %d wants, %d and %d conflicts of %d manifests", len(a.Wants), len(b.Wants), len(a.Conflicts), len(b.Conflicts), listed)
		}
		shuffled := plan.MergeObjects(rapid.Permutation(objects).Draw(t, "order"), ofObjects)
		if diff := cmp.Diff(outcome(b), outcome(shuffled)); diff != "" {
			t.Fatalf("the order of sources matters:\n%s", diff)
		}
	})
}
