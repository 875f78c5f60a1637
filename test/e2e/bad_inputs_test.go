package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/api"
	parser "github.com/podstead/podstead/manifest"
	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/test/harness"
)

// TestBadInputs puts every bad manifest of the golden tests in the place of a
// good older version of the same pod, which runs. The daemon must say of it
// what check says, word for word, and the pod must not notice.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	h := newHost(t, harness.Options{})
	client := api.NewClient(h.Socket)
	defer client.Close()
	for key, files := range badByPod(t) {
		t.Run(key.Name, func(t *testing.T) {
			h := h.For(t)
			good := inNamespace(witnessPod(h, key.Name, "1"), key.Namespace)
			h.Write("case.yaml", good)
			before := h.WaitRunning(key.String(), 20*time.Second).Status.ContainerStatuses[0]
			for _, file := range files {
				judgeBad(t, h, client, file, good)
			}
			if after := h.WaitRunning(key.String(), 10*time.Second).Status.ContainerStatuses[0]; after.ContainerID != before.ContainerID || after.RestartCount != 0 {
				t.Errorf("pod %s was container %s and is %s, restarted %d times", key, before.ContainerID, after.ContainerID, after.RestartCount)
			}
			h.Remove("case.yaml")
			h.WaitGone(key.String(), 20*time.Second)
		})
	}
}

// judgeBad writes one bad manifest over the good one and back.
func judgeBad(t *testing.T, h *harness.Host, client *api.Client, file, good string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if noWorkload(content) {
		content = append(content, "\n---\n"+good...)
	}
	h.Write("case.yaml", string(content))
	defer func() {
		h.Write("case.yaml", good)
		h.Eventually(5*time.Second, func() error { return noProblems(t, client) })
	}()
	said, err := h.CLI("check", filepath.Join(h.Manifests, "case.yaml"))
	if err == nil || said == "" {
		t.Errorf("%s: check says %q, %v: want errors and exit code 1", file, said, err)
	}
	want := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
	h.Eventually(5*time.Second, func() error {
		if got := problems(t, client); !slices.Equal(got, want) {
			return fmt.Errorf("%s: the daemon says\n%s\ncheck says\n%s", file, strings.Join(got, "\n"), said)
		}
		return nil
	})
}

// problems are those of the one source, in the order of check.
func problems(t *testing.T, client *api.Client) []string {
	t.Helper()
	status, err := client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := slices.Clone(status.Sources[0].Problems)
	slices.SortStableFunc(found, func(a, b pod.Problem) int {
		return cmp.Or(cmp.Compare(a.Origin.Line, b.Origin.Line), cmp.Compare(a.Origin.Column, b.Origin.Column))
	})
	lines := make([]string, len(found))
	for i, p := range found {
		p.Origin.Source = ""
		lines[i] = p.String()
	}
	return lines
}

func noProblems(t *testing.T, client *api.Client) error {
	if left := problems(t, client); len(left) > 0 {
		return fmt.Errorf("mended, and still %v", left)
	}
	return nil
}

// badByPod sorts the bad manifests by the pod that they would be; those that
// can't be told from one are "web".
func badByPod(t *testing.T) map[pod.Key][]string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"bad/*.yaml", "../validation/testdata/[0-9]*.yaml"} {
		found, err := filepath.Glob(filepath.Join("..", "..", "manifest", "testdata", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no bad manifests at %s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	byPod := map[pod.Key][]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		byPod[keyOf(content)] = append(byPod[keyOf(content)], file)
	}
	t.Logf("%d bad manifests of %d pods: %v", len(files), len(byPod), slices.Collect(maps.Keys(byPod)))
	return byPod
}

func keyOf(content []byte) pod.Key {
	result := parser.Parse(content, parser.Options{})
	for _, failed := range result.Failed {
		if failed.Key != (pod.ObjectKey{}) && !noWorkload(content) {
			return failed.Key.Key
		}
	}
	return pod.Key{Namespace: "default", Name: "web"}
}

// noWorkload tells manifests of which nothing that is wrong can be what became
// of a pod: the pod stands beside it.
func noWorkload(content []byte) bool {
	result := parser.Parse(content, parser.Options{})
	return !slices.ContainsFunc(result.Failed, func(f parser.FailedDocument) bool {
		return f.Key.Kind == "" || f.Key.Kind.IsWorkload()
	})
}

func inNamespace(yaml, namespace string) string {
	return strings.Replace(yaml, "metadata:\n", "metadata:\n  namespace: "+namespace+"\n", 1)
}
