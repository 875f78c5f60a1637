package source

import (
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/podstead/podstead/manifest/policy"
	"github.com/podstead/podstead/pod"
)

// level is the policy of the real package for limits on a whole source.
func level(l policy.Level) Limits {
	return func(objects []pod.Object) []pod.Problem { return policy.CheckSource(objects, l) }
}

func TestLimitsHitNewcomers(t *testing.T) {
	dir, d := directory(t, func(c *DirectoryConfig) { c.Limits = level(policy.Level{MaxPods: 2}) })
	put(t, filepath.Join(dir, "m.yaml"), doc("m", "1"))
	put(t, filepath.Join(dir, "z.yaml"), doc("z", "1"))
	r, _ := start(t, d.Run)
	r.untilPods(t, map[string]string{"m": "1", "z": "1"})
	// Sorted before those that run: the order of names must not decide.
	put(t, filepath.Join(dir, "a.yaml"), doc("a", "1"))
	s, _ := r.until(t, "refusal", func(s pod.SourceState) bool { return hasProblem(s, pod.ReasonPolicy, "nothing runs for it") })
	wantImages(t, s, map[string]string{"m": "1", "z": "1"})
	if s.Problems[0].Key != key("a") || s.Problems[0].Origin.File != filepath.Join(dir, "a.yaml") {
		t.Errorf("problem %v of %v, want it to name pod a and its file", s.Problems[0], s.Problems[0].Key)
	}
	// Changes that stay within the limit go on, and a free place is taken.
	put(t, filepath.Join(dir, "z.yaml"), doc("z", "2"))
	r.untilPods(t, map[string]string{"m": "1", "z": "2"})
	put(t, filepath.Join(dir, "m.yaml"), "kind: List\nitems: []\n")
	s, _ = r.untilPods(t, map[string]string{"a": "1", "z": "2"})
	if len(s.Problems) > 0 {
		t.Errorf("problems stay: %v", s.Problems)
	}
}

func TestGrownPodIsKeptAsItWas(t *testing.T) {
	dir, d := directory(t, func(c *DirectoryConfig) { c.Limits = level(policy.Level{MaxContainers: 2}) })
	put(t, filepath.Join(dir, "a.yaml"), doc("a", "1"))
	put(t, filepath.Join(dir, "b.yaml"), doc("b", "1"))
	r, _ := start(t, d.Run)
	r.untilPods(t, map[string]string{"a": "1", "b": "1"})
	put(t, filepath.Join(dir, "a.yaml"), doc("a", "2")+"  - name: d\n    image: x\n")
	s, _ := r.until(t, "refusal", func(s pod.SourceState) bool { return hasProblem(s, pod.ReasonPolicy, "pod default/a keeps running") })
	wantImages(t, s, map[string]string{"a": "1", "b": "1"})
}

func TestManyPodsBeyondALimitAreRefusedFast(t *testing.T) {
	parts := make([]string, 300)
	want := map[string]string{}
	for i := range parts {
		name := fmt.Sprintf("p%03d", i)
		parts[i] = doc(name, "v")
		if i < 10 {
			want[name] = "v"
		}
	}
	judged := atomic.Int64{}
	server := serve(t, say(docs(parts...)), false)
	r, _ := runURL(t, poll(server.URL, func(c *URLConfig) {
		c.MaxBytes = 1 << 20
		c.Limits = func(pods []pod.Object) []pod.Problem {
			judged.Add(1)
			return policy.CheckSource(pods, policy.Level{MaxPods: 10})
		}
	}))
	s, _ := r.untilPods(t, want)
	if len(s.Problems) != 290 || judged.Load() > 20 {
		t.Errorf("%d problems after judging %d times, want 290 after at most 20", len(s.Problems), judged.Load())
	}
}

func TestARefusedPodKeepsItsLastGood(t *testing.T) {
	judge := func(parse Parser) Parser {
		return func(data []byte, origin pod.Origin) Parsed {
			parsed := parse(data, origin)
			i := slices.IndexFunc(parsed.Pods, func(d pod.Desired) bool { return d.Pod.Spec.Containers[0].Image == "forbidden" })
			if i >= 0 {
				d := parsed.Pods[i]
				parsed.Pods = slices.Delete(parsed.Pods, i, i+1)
				parsed.Failed = append(parsed.Failed, Failed{Key: objectOf(d).ObjectKey, Item: d.Origin.Item})
				parsed.Problems = append(parsed.Problems, pod.Problem{
					Origin: d.Origin, Key: d.Key, Severity: pod.Error, Reason: pod.ReasonPolicy, Field: "spec", Message: "forbidden",
				})
			}
			return parsed
		}
	}
	server := serve(t, say(docs(doc("a", "forbidden"), doc("b", "1"))), false)
	r, _ := runURL(t, poll(server.URL, func(c *URLConfig) { c.Parse = judge(c.Parse) }))
	s, _ := r.untilPods(t, map[string]string{"b": "1"})
	if !hasProblem(s, pod.ReasonPolicy, "nothing runs for it") || s.Problems[0].Key != key("a") || s.Problems[0].Origin.File == "" {
		t.Errorf("problems %v", s.Problems)
	}
	server.set(say(firstGood))
	r.untilPods(t, onePods)
	server.set(http.HandlerFunc(say(docs(doc("a", "forbidden"), doc("b", "2")))))
	s, _ = r.untilPods(t, map[string]string{"a": "1", "b": "2"})
	if !hasProblem(s, pod.ReasonPolicy, "pod default/a keeps running as before") || !maps.Equal(images(s), map[string]string{"a": "1", "b": "2"}) {
		t.Errorf("problems %v", s.Problems)
	}
}
