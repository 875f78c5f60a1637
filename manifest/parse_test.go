package manifest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/podstead/podstead/manifest/validation"
	"github.com/podstead/podstead/pod"
)

// manifestOf is a valid pod with more lines in its spec.
func manifestOf(name, more string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\nspec:\n  containers:\n"+
		"  - name: app\n    image: registry.example/app:1.2\n%s", name, more)
}

func TestProblemsPointAtTheField(t *testing.T) {
	for _, c := range []struct {
		name, more string
		want       pod.Origin
		field      string
		reason     pod.Reason
	}{
		{"a value", "    imagePullPolicy: Sometimes\n",
			pod.Origin{Line: 9, Column: 22}, "spec.containers[0].imagePullPolicy", pod.ReasonInvalid},
		{"what is not there", "    env:\n    - value: x\n",
			pod.Origin{Line: 10, Column: 7}, "spec.containers[0].env[0].name", pod.ReasonRequired},
		{"a key of a mapping", "  nodeName: x\n  shareProcessNamespace: 1\n",
			pod.Origin{Line: 10, Column: 26}, "spec.shareProcessNamespace", pod.ReasonType},
		{"behind an entry that can't be used", "  - 5\n  - name: second\n    image: a/b\n    imagePullPolicy: X\n",
			pod.Origin{Line: 12, Column: 22}, "spec.containers[2].imagePullPolicy", pod.ReasonInvalid},
		{"behind wide characters", "    env: [{name: \"ÄÖÜ😀\", value: 1}]\n",
			pod.Origin{Line: 9, Column: 33}, "spec.containers[0].env[0].value", pod.ReasonType},
		{"a merged value", "  - <<: &other {image: 5}\n    name: second\n  - <<: *other\n    name: third\n    image: a/b\n",
			pod.Origin{Line: 9, Column: 24}, "spec.containers[1].image", pod.ReasonType},
		{"a key with dots and brackets", "    resources: {limits: {example.com/x: 1z}}\n",
			pod.Origin{Line: 9, Column: 41}, "spec.containers[0].resources.limits[example.com/x]", pod.ReasonInvalidQuantity},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Parse([]byte(manifestOf("web", c.more)), Options{})
			if len(r.Failed) != 1 {
				t.Fatalf("it did not fail: %v", r.Problems)
			}
			for _, p := range r.Problems {
				if p.Field == c.field && p.Reason == c.reason {
					if p.Origin != c.want {
						t.Errorf("it points at %d:%d, want %d:%d", p.Origin.Line, p.Origin.Column, c.want.Line, c.want.Column)
					}
					return
				}
			}
			t.Errorf("no problem %s with %s: %v", c.reason, c.field, r.Problems)
		})
	}
}

func TestLabelsArePointedAtByKey(t *testing.T) {
	manifest := strings.Replace(manifestOf("web", ""), "  name: web\n", "  name: web\n  labels:\n    a.b/c.d: ok\n    x.y/z: not ok\n", 1)
	r := Parse([]byte(manifest), Options{})
	if len(r.Problems) != 1 || r.Problems[0].Origin.Line != 7 || r.Problems[0].Origin.Column != 12 {
		t.Errorf("want one problem at 7:12: %v", r.Problems)
	}
}

func TestOriginIsKept(t *testing.T) {
	input := manifestOf("one", "") + "---\n" + manifestOf("two", "  topologySpreadConstraints: [{}]\n") + "---\n" + manifestOf("three", "  bad: 1\n")
	r := Parse([]byte(input), Options{Origin: pod.Origin{Source: "local", File: "web.yaml", Item: 7, Line: 7}})
	want := []pod.Origin{
		{Source: "local", File: "web.yaml", Item: 0, Line: 1, Column: 1},
		{Source: "local", File: "web.yaml", Item: 1, Line: 10, Column: 1},
	}
	got := []pod.Origin{}
	for _, d := range r.Pods {
		got = append(got, d.Origin)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(r.Pods[0].Warnings) != 0 || len(r.Pods[1].Warnings) != 1 {
		t.Errorf("warnings: %v and %v", r.Pods[0].Warnings, r.Pods[1].Warnings)
	}
	last := r.Problems[len(r.Problems)-1]
	if want := (pod.Origin{Source: "local", File: "web.yaml", Item: 2, Line: 28, Column: 3}); last.Origin != want {
		t.Errorf("the problem is at %+v, want %+v", last.Origin, want)
	}
	if want := (pod.Key{Namespace: "default", Name: "three"}); last.Key != want {
		t.Errorf("the problem is that of %s", last.Key)
	}
}

func TestFurtherChecksGetPositions(t *testing.T) {
	check := func(o *pod.Object) []validation.Error {
		if o.Pod.Namespace != "default" {
			t.Errorf("the pod is not defaulted")
		}
		return []validation.Error{
			{Field: "spec.containers[0].image", Reason: pod.ReasonPolicy, Severity: pod.Error, Message: "no"},
			{Field: "spec.containers[0].image", Reason: pod.ReasonPolicy, Severity: pod.Error, Message: "not at all"},
			{Field: "metadata.name", Reason: pod.ReasonPolicy, Severity: pod.Warning, Message: "hm"},
		}
	}
	r := Parse([]byte(manifestOf("web", "")), Options{Check: check})
	want := []pod.Origin{{Line: 4, Column: 9}, {Line: 8, Column: 12}, {Line: 8, Column: 12}}
	got := []pod.Origin{}
	for _, p := range r.Problems {
		got = append(got, p.Origin)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(r.Failed) != 1 {
		t.Errorf("failed %v, positions %s", r.Failed, diff)
	}
}

// keyed is the key of a pod; zero where it can't be told.
func keyed(k pod.Key) pod.ObjectKey {
	if k == (pod.Key{}) {
		return pod.ObjectKey{}
	}
	return pod.ObjectKey{Kind: pod.KindPod, Key: k}
}

// TestKeyOfFailedPods: what keeps a pod's last good manifest in use.
func TestKeyOfFailedPods(t *testing.T) {
	for _, c := range []struct {
		name, metadata string
		want           pod.Key
	}{
		{"name alone", "{name: web}", pod.Key{Namespace: "default", Name: "web"}},
		{"empty namespace", "{name: web, namespace: ''}", pod.Key{Namespace: "default", Name: "web"}},
		{"null namespace", "{name: web, namespace: null}", pod.Key{Namespace: "default", Name: "web"}},
		{"namespace", "{name: web, namespace: shop}", pod.Key{Namespace: "shop", Name: "web"}},
		{"no name", "{}", pod.Key{}},
		{"name of another type", "{name: 5}", pod.Key{}},
		{"namespace of another type", "{name: web, namespace: 5}", pod.Key{}},
		{"no mapping", "web", pod.Key{}},
		{"name that leaves its folder", "{name: ../web}", pod.Key{}},
		{"namespace that leaves its folder", "{name: web, namespace: ..}", pod.Key{}},
		{"name with a line end", `{name: "we\nb"}`, pod.Key{}},
		{"name in capitals", "{name: Web}", pod.Key{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Parse([]byte("apiVersion: v1\nkind: Pod\nmetadata: "+c.metadata+"\nspec: {bad: 1}\n"), Options{})
			if diff := cmp.Diff([]FailedDocument{{Key: keyed(c.want)}}, r.Failed); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestConsequencesOfAProblemAreNotReported(t *testing.T) {
	for name, more := range map[string]string{
		"a mount of a volume that is refused": "    volumeMounts: [{name: data, mountPath: /data}]\n  volumes:\n  - name: data\n    nfs: {server: a, path: /b}\n",
		"an image of the wrong type":          "  - name: second\n    image: 5\n",
		"an image with a slip":                "  - name: second\n    imgae: a/b:1\n",
		"an empty entry":                      "  -\n",
		"a source that is refused":            "    env:\n    - name: A\n      valueFrom:\n        secretKeyRef: {name: a, key: b}\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := Parse([]byte(manifestOf("web", more)), Options{})
			if len(r.Problems) != 1 {
				t.Errorf("want one problem, got %v", r.Problems)
			}
		})
	}
}

func TestValuesThatSayWhatIsSoAnywayAreTaken(t *testing.T) {
	plain := onePod(t, []byte(manifestOf("web", "")))
	for _, more := range []string{
		"  hostUsers: true\n", "  os: {name: linux}\n", "  setHostnameAsFQDN: false\n", "  tolerations: []\n",
		"  nodeSelector: {}\n", "  affinity: null\n", "  dnsConfig: {}\n", "  volumes: []\n", "  hostAliases: []\n",
		"  automountServiceAccountToken: false\n", "  schedulerName: default-scheduler\n", "  enableServiceLinks: false\n",
		"    lifecycle: {}\n", "    resources: {limits: {}}\n", "    envFrom: []\n", "    command: []\n", "status: {}\n",
	} {
		got := onePod(t, []byte(manifestOf("web", more)))
		if diff := cmp.Diff(plain, got); diff != "" {
			t.Errorf("%q changes the pod:\n%s", more, diff)
		}
	}
}

func TestDocumentsAreCut(t *testing.T) {
	one, two := manifestOf("one", ""), manifestOf("two", "")
	text := manifestOf("one", "    args:\n    - |\n      a\n      ---\n      b\n    - 'x\n\n      --- y'\n")
	for name, c := range map[string]struct {
		input string
		want  int
	}{
		"markers with comments":        {"# c\n--- # c\n" + one + "---\t# d\n" + two, 2},
		"directive":                    {"%YAML 1.1\n---\n" + one, 1},
		"end markers":                  {one + "...\n" + two + "...\n", 2},
		"directive after an end":       {one + "...\n%YAML 1.1\n---\n" + two, 2},
		"carriage returns":             {strings.ReplaceAll(one+"---\n"+two, "\n", "\r\n"), 2},
		"old Macintosh line ends":      {strings.ReplaceAll(one+"---\n"+two, "\n", "\r"), 2},
		"markers within text":          {text + "---\n" + two, 2},
		"no line end":                  {one + "---\n" + strings.TrimSuffix(two, "\n"), 2},
		"only a marker at the end":     {one + "---", 1},
		"empty ones between":           {"---\n---\n" + one + "---\n# none\n---\nnull\n---\n" + two + "---\n", 2},
		"one on the line of a marker":  {"--- {apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{name: a, image: b}]}}\n", 1},
		"dashes that mark nothing":     {strings.Replace(one, "\nspec", "\n  annotations: {a: ---b}\nspec", 1), 1},
		"JSON and YAML side by side":   {`{"apiVersion":"v1","kind":"PodList","items":[]}` + "\n---\n" + one, 1},
		"anchors stay in their places": {strings.Replace(one, "app:1.2", "app:1.2\n    args: &a [x]", 1) + "---\n" + strings.Replace(two, "app:1.2", "app:1.2\n    args: &a [z]\n    command: *a", 1), 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := Parse([]byte(c.input), Options{})
			if len(r.Pods) != c.want || len(r.Failed) != 0 {
				t.Errorf("%d pods, want %d; problems %v", len(r.Pods), c.want, r.Problems)
			}
		})
	}
}
