package manifest

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/podstead/podstead/pod"
)

// aWord is a valid name of anything.
func aWord() *rapid.Generator[string] { return rapid.StringMatching(`[a-z]([a-z0-9]{0,6}[a-z0-9])?`) }

// drawTree draws an object of any kind that is valid, as the tree that its
// manifest says.
func drawTree(t *rapid.T) map[string]any {
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		return drawWorkload(t, pod.KindDeployment)
	case 1:
		return drawWorkload(t, pod.KindReplicaSet)
	case 2:
		return drawWorkload(t, pod.KindDaemonSet)
	case 3:
		return drawService(t)
	case 4:
		return drawEndpointSlice(t)
	}
	return drawPod(t)
}

func drawPod(t *rapid.T) map[string]any {
	word := aWord()
	text := rapid.OneOf(word, rapid.SampledFrom([]string{
		"", "on", "no", "0777", "1e3", "12:30", "1.10", "true", "null", "~", "- a", "a: b", "# c", "'", `"`,
		"a\nb", "two words ", " lead", "*a", "&a", "!t", "{", "[", "%x", "@", "ü😀", "\t", "---", "a # b", "0x1F",
	}))
	containers := []any{}
	for i := range rapid.IntRange(1, 4).Draw(t, "containers") {
		c := map[string]any{
			"name": fmt.Sprintf("c%d", i), "image": "registry.example/" + word.Draw(t, "image") + ":1",
			"args": rapid.SliceOfN(text, 0, 4).Draw(t, "args"),
			"tty":  rapid.Bool().Draw(t, "tty"),
		}
		env := []any{}
		for j, value := range rapid.SliceOfN(text, 0, 4).Draw(t, "env") {
			env = append(env, map[string]any{"name": fmt.Sprintf("V%d", j), "value": value})
		}
		c["env"] = env
		if cpu := rapid.SampledFrom([]any{nil, "500m", 0.5, 1, "1"}).Draw(t, "cpu"); cpu != nil {
			c["resources"] = map[string]any{"limits": map[string]any{"cpu": cpu, "memory": "64Mi"}}
		}
		containers = append(containers, c)
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{
			"name":        word.Draw(t, "name"),
			"annotations": rapid.MapOfN(word, text, 0, 4).Draw(t, "annotations"),
		},
		"spec": map[string]any{
			"containers":                    containers,
			"hostNetwork":                   rapid.Bool().Draw(t, "hostNetwork"),
			"terminationGracePeriodSeconds": rapid.IntRange(0, 3600).Draw(t, "grace"),
		},
	}
}

// writeFlow writes a tree in YAML's flow style with keys in a drawn order,
// comments and odd blanks.
func writeFlow(t *rapid.T, v any) string {
	blank := func() string {
		return rapid.SampledFrom([]string{"", " ", "\n ", " # words\n  ", "\t"}).Draw(t, "blank")
	}
	switch v := v.(type) {
	case map[string]any:
		keys := []string{}
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		keys = rapid.Permutation(keys).Draw(t, "order")
		parts := []string{}
		for _, k := range keys {
			parts = append(parts, blank()+writeFlow(t, k)+": "+writeFlow(t, v[k])+blank())
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		parts := []string{}
		for _, item := range v {
			parts = append(parts, blank()+writeFlow(t, item)+blank())
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func onePod(t interface{ Fatalf(string, ...any) }, data []byte) *corev1.Pod {
	r := Parse(data, Options{})
	if len(r.Pods) != 1 || len(r.Problems) != 0 {
		t.Fatalf("%d pods, problems %v of\n%s", len(r.Pods), r.Problems, data)
	}
	return r.Pods[0].Pod
}

// objectsOf are all objects of a result.
func objectsOf(r Result) []pod.Object {
	var all []pod.Object
	for _, d := range r.Pods {
		all = append(all, pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.KindPod, Key: d.Key}, Pod: d.Pod})
	}
	return append(all, r.Objects...)
}

// oneObject is the only object of a manifest in which nothing is wrong.
func oneObject(t *rapid.T, data []byte) pod.Object {
	r := Parse(data, Options{})
	all := objectsOf(r)
	if len(all) != 1 || len(r.Problems) != 0 {
		t.Fatalf("%d objects, problems %v of\n%s", len(all), r.Problems, data)
	}
	return all[0]
}

func TestFormattingChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data, err := json.Marshal(drawTree(t))
		if err != nil {
			t.Fatal(err)
		}
		var tree map[string]any
		if err := json.Unmarshal(data, &tree); err != nil {
			t.Fatal(err)
		}
		block, err := yaml.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		indented, err := json.MarshalIndent(tree, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		want := oneObject(t, data)
		for name, other := range map[string]string{
			"indented JSON":  string(indented),
			"block YAML":     string(block),
			"with comments":  "# top\n---\n" + string(block) + "# end\n...\n",
			"carriage ends":  strings.ReplaceAll(string(block), "\n", "\r\n"),
			"byte order":     "\xEF\xBB\xBF" + string(block),
			"flow YAML":      writeFlow(t, tree),
			"item of a list": `{"apiVersion": "v1", "kind": "List", "items": [` + string(data) + `]}`,
		} {
			got := oneObject(t, []byte(other))
			if !equality.Semantic.DeepEqual(want.Content(), got.Content()) {
				t.Fatalf("%s changes the object:\n%s", name, cmp.Diff(want.Content(), got.Content()))
			}
		}
	})
}

// TestWhatIsPrintedIsReadBack: a defaulted object is a manifest of itself.
func TestWhatIsPrintedIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data, err := json.Marshal(drawTree(t))
		if err != nil {
			t.Fatal(err)
		}
		first := oneObject(t, data)
		printed, err := yaml.Marshal(first.Content())
		if err != nil {
			t.Fatal(err)
		}
		again := oneObject(t, data)
		DefaultObject(&again)
		if !equality.Semantic.DeepEqual(first.Content(), again.Content()) {
			t.Fatalf("defaults of defaults differ:\n%s", cmp.Diff(first.Content(), again.Content()))
		}
		all := objectsOf(Parse(printed, Options{}))
		if len(all) != 1 || !equality.Semantic.DeepEqual(first.Content(), all[0].Content()) {
			t.Fatalf("%d objects of\n%s", len(all), printed)
		}
	})
}

// TestTruncationIsNoPanicAndNoOtherPod cuts manifests at every byte: what is
// read of them has the name of the whole, or nothing is read.
func TestTruncationIsNoPanicAndNoOtherPod(t *testing.T) {
	for name, files := range map[string][]string{
		"pods":          {"init-containers", "sidecar", "env-field-ref", "shared-volume", "simple-pod", "host-path"},
		"other objects": {"deployment", "daemonset-surge", "service-printed-by-kubectl", "endpointslices", "deployment-recreate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var data []byte
			for _, file := range files {
				more, err := os.ReadFile("testdata/good/" + file + ".yaml")
				if err != nil {
					t.Fatal(err)
				}
				data = append(append(data, "---\n"...), more...)
			}
			if len(data) < 2000 {
				t.Fatalf("the manifest has %d bytes", len(data))
			}
			truncate(t, data)
		})
	}
}

func truncate(t *testing.T, data []byte) {
	t.Helper()
	whole := Parse(data, Options{})
	if len(objectsOf(whole)) < 5 || len(whole.Failed) > 0 {
		t.Fatalf("%d objects, problems %v", len(objectsOf(whole)), whole.Problems)
	}
	for cut := range len(data) {
		r := Parse(data[:cut], Options{})
		if cut < 10 && len(r.Failed) == 0 {
			t.Errorf("%d bytes are no failure", cut)
		}
		all := objectsOf(whole)
		for i, o := range objectsOf(r) {
			if o.ObjectKey != all[i].ObjectKey {
				t.Errorf("cut at %d: got %s", cut, o.ObjectKey)
			}
		}
	}
}

// TestMutationsNeverGoUnnoticed changes one thing of a good manifest so that
// it says something that is not allowed.
func TestMutationsNeverGoUnnoticed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := drawTree(t)
		object := rapid.SampledFrom(structures(tree)).Draw(t, "object")
		keys := []string{}
		for key := range object {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		key := rapid.SampledFrom(keys).Draw(t, "key")
		switch value := object[key]; rapid.IntRange(0, 1).Draw(t, "mutation") {
		case 0: // an unknown name
			delete(object, key)
			object[key+"x"] = value
		case 1: // another shape
			object[key] = []any{map[string]any{"x": []any{1}}}
		}
		data, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		r := Parse(data, Options{})
		if len(objectsOf(r)) != 0 || len(r.Failed) != 1 {
			t.Fatalf("%s: accepted as %d objects:\n%s", key, len(objectsOf(r)), data)
		}
		if !slices.ContainsFunc(r.Problems, func(p pod.Problem) bool { return strings.Contains(p.Field, key) }) {
			t.Fatalf("no problem names %s: %v", key, r.Problems)
		}
	})
}
