package source

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/podstead/podstead/pod"
)

// parse is a stand-in for the manifest package: documents between lines of
// "---", or a List; an image of "BAD" makes a document fail whose object is
// known, another kind one of which the name is known, and anything else one of
// which nothing is known.
func parse(data []byte, origin pod.Origin) Parsed {
	var out Parsed
	docs := strings.Split(string(data), "\n---\n")
	var list struct {
		Kind  string
		Items []any
	}
	if yaml.Unmarshal(data, &list) == nil && list.Kind == "List" {
		docs = nil
		for _, item := range list.Items {
			doc, _ := yaml.Marshal(item)
			docs = append(docs, string(doc))
		}
	}
	for i, doc := range docs {
		parseOne(&out, doc, i, origin)
	}
	return out
}

func parseOne(out *Parsed, doc string, item int, origin pod.Origin) {
	origin.Item, origin.Line, origin.Column = item, 1, 1
	var head struct {
		Kind     string
		Metadata struct{ Name string }
		Spec     struct {
			Type       string // of a Service, in place of the image
			Containers []struct{ Image string }
			Template   struct {
				Spec struct{ Containers []struct{ Image string } }
			}
		}
	}
	problem := pod.Problem{Origin: origin, Severity: pod.Error, Reason: pod.ReasonSyntax, Message: "no pod"}
	if strings.TrimSpace(doc) == "" || strings.TrimSpace(doc) == "null" {
		problem.Reason, problem.Message = pod.ReasonEmpty, "there is no object in it"
	}
	fail := func(key pod.ObjectKey) {
		problem.Kind, problem.Key = key.Kind, key.Key
		out.Problems = append(out.Problems, problem)
		out.Failed = append(out.Failed, Failed{Key: key, Item: item})
	}
	if err := yaml.Unmarshal([]byte(doc), &head); err != nil || head.Metadata.Name == "" {
		fail(pod.ObjectKey{})
		return
	}
	content := head.Spec.Type
	for _, c := range append(head.Spec.Containers, head.Spec.Template.Spec.Containers...) {
		content = c.Image
	}
	o := pod.Object{ObjectKey: pod.ObjectKey{Kind: pod.Kind(head.Kind), Key: key(head.Metadata.Name)}, Origin: origin}
	var into any
	switch o.Kind {
	case pod.KindPod:
		o.Pod = &corev1.Pod{}
		into = o.Pod
	case pod.KindDeployment:
		o.Deployment = &appsv1.Deployment{}
		into = o.Deployment
	case pod.KindService:
		o.Service = &corev1.Service{}
		into = o.Service
	default:
		o.Kind = ""
		problem.Reason = pod.ReasonUnsupportedKind
		fail(o.ObjectKey)
		return
	}
	if err := yaml.UnmarshalStrict([]byte(doc), into); err != nil || content == "" {
		fail(pod.ObjectKey{})
		return
	}
	if content == "BAD" {
		problem.Reason, problem.Message = pod.ReasonInvalidImage, "bad image"
		fail(o.ObjectKey)
		return
	}
	out.add(o)
}

func key(name string) pod.Key { return pod.Key{Namespace: "default", Name: name} }

// doc is the manifest of a pod.
func doc(name, image string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\nspec:\n  containers:\n  - name: c\n    image: %s\n", name, image)
}

// docOf is the manifest of an object of a kind; a Service has a type in place
// of an image.
func docOf(kind pod.Kind, name, image string) string {
	switch kind {
	case pod.KindDeployment:
		return fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: %s\nspec:\n  template:\n    spec:\n      containers:\n      - name: c\n        image: %s\n", name, image)
	case pod.KindPod:
		return doc(name, image)
	}
	return fmt.Sprintf("apiVersion: v1\nkind: %s\nmetadata:\n  name: %s\nspec:\n  type: %s\n", kind, name, image)
}

func docs(parts ...string) string { return strings.Join(parts, "\n---\n") }

// images is the content of a state in short: image by the name of the pod, or
// by kind and name of another object.
func images(s pod.SourceState) map[string]string {
	m := map[string]string{}
	for _, d := range s.Pods {
		m[d.Key.Name] += d.Pod.Spec.Containers[0].Image
	}
	for _, o := range s.Objects {
		name := string(o.Kind) + " " + o.Name
		if o.Service != nil {
			m[name] += string(o.Service.Spec.Type)
		} else {
			m[name] += o.Template().Spec.Containers[0].Image
		}
	}
	return m
}

// recorder collects what a source publishes.
type recorder struct {
	mu     sync.Mutex
	states []pod.SourceState
	times  []time.Time
}

func (r *recorder) publish(s pod.SourceState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states = append(r.states, s)
	r.times = append(r.times, time.Now())
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.states)
}

func (r *recorder) latest() (pod.SourceState, time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.states) == 0 {
		return pod.SourceState{}, time.Time{}, false
	}
	return r.states[len(r.states)-1], r.times[len(r.times)-1], true
}

func (r *recorder) all() []pod.SourceState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.states)
}

// until waits for a published state; the time is when it was published.
func (r *recorder) until(t *testing.T, what string, ok func(pod.SourceState) bool) (pod.SourceState, time.Time) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		s, at, any := r.latest()
		if any && ok(s) {
			return s, at
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s within 20 s; the latest state is %v, error %q, problems %v, held %v, unreadable %v",
				what, images(s), s.Error, s.Problems, s.Held, s.Unreadable)
		}
		time.Sleep(time.Millisecond)
	}
}

func (r *recorder) untilPods(t *testing.T, want map[string]string) (pod.SourceState, time.Time) {
	t.Helper()
	return r.until(t, fmt.Sprint("pods ", want), func(s pod.SourceState) bool { return maps.Equal(images(s), want) })
}

// start runs a source until the test ends or stop is called.
func start(t *testing.T, run func(context.Context, func(pod.SourceState)) error) (r *recorder, stop func()) {
	t.Helper()
	r = &recorder{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, r.publish) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run returned %v after its context ended", err)
			}
		})
	}
	t.Cleanup(stop)
	return r, stop
}

func put(t *testing.T, path, content string) {
	t.Helper()
	temporary := filepath.Join(filepath.Dir(path), ".tmp-"+filepath.Base(path))
	write(t, temporary, content)
	if err := os.Rename(temporary, path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func wantImages(t *testing.T, s pod.SourceState, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, images(s)); diff != "" {
		t.Errorf("wanted pods (-want +got):\n%s", diff)
	}
}

func hasProblem(s pod.SourceState, reason pod.Reason, consequence string) bool {
	return slices.ContainsFunc(s.Problems, func(p pod.Problem) bool {
		return p.Reason == reason && strings.Contains(p.Consequence, consequence)
	})
}
