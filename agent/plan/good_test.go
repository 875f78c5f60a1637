package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// Images to which a pod may be taken back stay as long as somebody may want it.
func TestImagesBefore(t *testing.T) {
	good := plan.GoodImages{"default/web": {"app": {Now: "new", Before: "old"}, "side": {Now: "one"}}}
	run := func(app string) plan.RunImages { return plan.RunImages{"default/web": {"app": app, "side": "one"}} }
	for name, c := range map[string]struct {
		run    plan.RunImages
		synced bool
		want   []string
	}{
		"what runs is good":           {run("new"), true, []string{"old"}},
		"what runs is not good yet":   {run("newest"), true, []string{"new"}},
		"it waits for its first run":  {plan.RunImages{"default/web": {}}, true, []string{"new", "one"}},
		"the pod is gone":             {plan.RunImages{}, true, nil},
		"nobody knows what is wanted": {plan.RunImages{}, false, []string{"new", "old", "one"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := map[string]string{}
			for _, digest := range c.want {
				want[digest] = "default/web"
			}
			if diff := cmp.Diff(want, good.Before(c.run, c.synced)); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGoodImagesAreNotedAndForgotten(t *testing.T) {
	good := plan.GoodImages{}
	for _, step := range []struct {
		digest string
		news   bool
	}{{"a", true}, {"a", false}, {"b", true}} {
		if news := good.Note(plan.RunImages{"default/web": {"app": step.digest}}); news != step.news {
			t.Errorf("noted %s: news %v, want %v", step.digest, news, step.news)
		}
	}
	want := plan.GoodImages{"default/web": {"app": pod.RunImages{Now: "b", Before: "a"}}}
	if diff := cmp.Diff(want, good); diff != "" {
		t.Errorf("noted (-want +got):\n%s", diff)
	}
	if good.Forget(plan.RunImages{"default/web": {}}) || !good.Forget(plan.RunImages{}) || len(good) != 0 {
		t.Errorf("forgotten wrongly: %v", good)
	}
}
