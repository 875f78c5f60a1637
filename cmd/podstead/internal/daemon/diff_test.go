package daemon

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/manifest/policy"
	"github.com/podstead/podstead/pod"
)

// TestSourceOfAManifest: its policy is that of the source which has the object,
// or else in whose folder the file is, or else the only one.
func TestSourceOfAManifest(t *testing.T) {
	folder := config.Source{Name: "files", Directory: &config.Directory{Path: "/m/"}}
	fleet := config.Source{Name: "fleet", URL: &config.URL{URL: "https://fleet/pods"}}
	of := func(source, file string) *pod.Object {
		return &pod.Object{Origin: pod.Origin{Source: source, File: file}}
	}
	for name, c := range map[string]struct {
		change  pod.Change
		sources []config.Source
		want    string
	}{
		"it has the object":         {pod.Change{Before: of("fleet", ""), After: of("", "/m/web.yaml")}, []config.Source{folder, fleet}, "fleet"},
		"the file is in its folder": {pod.Change{After: of("", "/m/web.yaml")}, []config.Source{fleet, folder}, "files"},
		"it is the only one":        {pod.Change{After: of("", "web.yaml")}, []config.Source{fleet}, "fleet"},
		"a folder beside it":        {pod.Change{After: of("", "/more/web.yaml")}, []config.Source{fleet, folder}, ""},
		"nobody knows":              {pod.Change{After: of("", "-")}, []config.Source{fleet, folder}, ""},
		"it is deleted":             {pod.Change{Before: of("fleet", "")}, []config.Source{fleet}, ""},
	} {
		got := ""
		if s := sourceOf(&c.change, c.sources); s != nil {
			got = s.Name
		}
		if got != c.want {
			t.Errorf("%s: the source is %q, want %q", name, got, c.want)
		}
	}
}

func TestRefusedByTheSource(t *testing.T) {
	o := &pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.KindPod, Key: pod.Key{Namespace: "default", Name: "web"}}, Pod: &corev1.Pod{}, Origin: pod.Origin{File: "web.yaml", Line: 1, Column: 1}}
	o.Pod.Spec.HostNetwork = true
	if got := refused(o, policy.Level{PodSecurity: "privileged"}); len(got) > 0 {
		t.Errorf("a privileged source refuses %v", got)
	}
	got := refused(o, policy.Level{PodSecurity: "baseline"})
	if len(got) != 1 || got[0].Field != "spec.hostNetwork" || got[0].Reason != pod.ReasonPolicy || got[0].Origin != o.Origin {
		t.Errorf("a baseline source refuses %v, want spec.hostNetwork", got)
	}
}
