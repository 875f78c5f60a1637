package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/api/apitest"
	"github.com/podstead/podstead/pod"
)

func objectKey(kind pod.Kind, namespace, name string) pod.ObjectKey {
	return pod.ObjectKey{Kind: kind, Key: pod.Key{Namespace: namespace, Name: name}}
}

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name}}
}

// deployment has a manifest of two pods, and two revisions.
func deployment(namespace, name string, replicas int32) pod.WorkloadView {
	two, none, yes := int32(2), int32(0), true
	v := pod.WorkloadView{ObjectKey: objectKey(pod.KindDeployment, namespace, name), Replicas: replicas, Revision: 1, Wanted: 2,
		Deployment: &appsv1.Deployment{ObjectMeta: meta(namespace, name), Spec: appsv1.DeploymentSpec{Replicas: &two}},
		Revisions:  []pod.RevisionView{{Number: 1, Good: true, Created: time.Unix(1000, 0)}, {Number: 2, Failure: &pod.RevisionFailure{Reason: "CrashLoop", Message: "it crashed 3 times"}}},
	}
	for _, hash := range []string{"1", "2"} {
		set := appsv1.ReplicaSet{ObjectMeta: meta(namespace, name+"-"+hash), Spec: appsv1.ReplicaSetSpec{Replicas: &none}}
		set.OwnerReferences = []metav1.OwnerReference{{Kind: "Deployment", Name: name, Controller: &yes}}
		v.ReplicaSets = append(v.ReplicaSets, set)
	}
	return v
}

func workloads() pod.Snapshot {
	return pod.Snapshot{
		Version: 1,
		Workloads: []pod.WorkloadView{
			{ObjectKey: objectKey(pod.KindDaemonSet, "shop", "agent"), DaemonSet: &appsv1.DaemonSet{ObjectMeta: meta("shop", "agent")}},
			deployment("default", "api", 2), deployment("shop", "web", 4),
			{ObjectKey: objectKey(pod.KindReplicaSet, "shop", "lone"), Replicas: 3, ReplicaSet: &appsv1.ReplicaSet{ObjectMeta: meta("shop", "lone")}},
		},
		Services: []pod.ServiceView{{
			Service: &corev1.Service{ObjectMeta: meta("shop", "web"), Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.1"}},
			Slices:  []discoveryv1.EndpointSlice{{ObjectMeta: meta("shop", "web-ipv4"), AddressType: discoveryv1.AddressTypeIPv4}},
		}},
	}
}

func TestEachKindHasTheShapeOfTheAPI(t *testing.T) {
	d := &apitest.Daemon{}
	d.Publish(workloads())
	c, socket := serve(t, d)
	for _, want := range []struct {
		kind  pod.Kind
		path  string
		names []string
	}{
		{pod.KindDeployment, "/apis/apps/v1/deployments", []string{"default/api", "shop/web"}},
		{pod.KindReplicaSet, "/apis/apps/v1/replicasets", []string{"default/api-1", "default/api-2", "shop/lone", "shop/web-1", "shop/web-2"}},
		{pod.KindDaemonSet, "/apis/apps/v1/daemonsets", []string{"shop/agent"}},
		{pod.KindService, "/api/v1/services", []string{"shop/web"}},
		{pod.KindEndpointSlice, "/apis/discovery.k8s.io/v1/endpointslices", []string{"shop/web-ipv4"}},
	} {
		list, err := c.Objects(t.Context(), want.kind, api.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range list.Items {
			got = append(got, o.GetNamespace()+"/"+o.GetName())
			one, err := c.Object(t.Context(), objectKey(want.kind, o.GetNamespace(), o.GetName()))
			if err != nil || one.GetName() != o.GetName() || one.GetResourceVersion() != "1" {
				t.Errorf("%s %s: got %v, %v", want.kind, o.GetName(), one, err)
			}
		}
		if !slices.Equal(got, want.names) {
			t.Errorf("%s: got %v, want %v", want.kind, got, want.names)
		}
		code, text := raw(t, socket, want.path)
		wantStart := fmt.Sprintf(`{"kind":"%sList","apiVersion":%q,"metadata":{"resourceVersion":"1"},"items":[{"kind":%q,"apiVersion":%q`,
			want.kind, want.kind.APIVersion(), want.kind, want.kind.APIVersion())
		if code != http.StatusOK || !strings.Contains(text, wantStart) {
			t.Errorf("%s: %d %s, want %s in it", want.path, code, text, wantStart)
		}
		_, err = c.Object(t.Context(), objectKey(want.kind, "shop", "gone"))
		if !apierrors.IsNotFound(err) || !strings.HasPrefix(err.Error(), api.Resource(want.kind).String()+" \"gone\"") {
			t.Errorf("%s gone: %v", want.kind, err)
		}
	}
}

func TestObjectsAreSelected(t *testing.T) {
	d := &apitest.Daemon{}
	d.Publish(workloads())
	c, _ := serve(t, d)
	for _, test := range []struct {
		options api.ListOptions
		want    string
	}{
		{api.ListOptions{Namespace: "shop"}, "lone web-1 web-2"},
		{api.ListOptions{LabelSelector: "app in (web-2, lone)"}, "lone web-2"},
		{api.ListOptions{FieldSelector: "metadata.name=api-1"}, "api-1"},
		{api.ListOptions{FieldSelector: "metadata.namespace!=shop"}, "api-1 api-2"},
		{api.ListOptions{Namespace: "none"}, ""},
	} {
		list, err := c.Objects(t.Context(), pod.KindReplicaSet, test.options)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range list.Items {
			got = append(got, o.GetName())
		}
		if text := strings.Join(got, " "); text != test.want {
			t.Errorf("%+v: got %q, want %q", test.options, text, test.want)
		}
	}
	for _, bad := range []api.ListOptions{{LabelSelector: "a in"}, {FieldSelector: "spec.replicas=1"}} {
		if _, err := c.Objects(t.Context(), pod.KindService, bad); !apierrors.IsBadRequest(err) {
			t.Errorf("%+v: %v, want a bad request", bad, err)
		}
	}
}

// As in Kubernetes the spec has the number that is in force; the snapshot
// stays as it is.
func TestSpecHasWhatIsInForce(t *testing.T) {
	d := &apitest.Daemon{}
	snap := workloads()
	snap.Workloads[2].Paused = true
	d.Publish(snap)
	c, _ := serve(t, d)
	o, err := c.Object(t.Context(), objectKey(pod.KindDeployment, "shop", "web"))
	if err != nil {
		t.Fatal(err)
	}
	web := o.(*appsv1.Deployment)
	if *web.Spec.Replicas != 4 || !web.Spec.Paused {
		t.Errorf("got %d replicas, paused %t, want 4 and paused", *web.Spec.Replicas, web.Spec.Paused)
	}
	if shared := snap.Workloads[2].Deployment; *shared.Spec.Replicas != 2 || shared.Spec.Paused || shared.Kind != "" {
		t.Errorf("the snapshot was changed: %+v", shared)
	}
}

func TestWorkloadsAreWatched(t *testing.T) {
	d := &apitest.Daemon{}
	d.Publish(workloads())
	c, _ := serve(t, d)
	seen, details := make(chan string), make(chan string)
	follow(t, func() error {
		return c.WatchObjects(t.Context(), pod.KindDeployment, api.ListOptions{Namespace: "shop"}, func(e watch.EventType, o api.Object) error {
			return send(t, seen, fmt.Sprintf("%s %s %d", e, o.GetName(), *o.(*appsv1.Deployment).Spec.Replicas))
		})
	})
	follow(t, func() error {
		return c.WatchWorkload(t.Context(), objectKey(pod.KindDeployment, "shop", "web"), func(e watch.EventType, w *api.Workload) error {
			return send(t, details, fmt.Sprintf("%s %s %v", e, w.Name, w.Plan))
		})
	})
	expect(t, seen, "ADDED web 4")
	expect(t, details, "ADDED web []")
	change := func(edit func(*pod.Snapshot)) {
		next := workloads()
		edit(&next)
		d.Publish(next)
	}
	// What only the details tell is no change of the object. The last of them
	// is found only after all others were compared, times among them.
	change(func(s *pod.Snapshot) { s.Workloads[2].Events = []corev1.Event{{Reason: "Told"}} })
	expect(t, details, "MODIFIED web []")
	change(func(s *pod.Snapshot) { s.Workloads[2].Plan = []string{"it waits"} })
	expect(t, details, "MODIFIED web [it waits]")
	change(func(s *pod.Snapshot) { s.Workloads[2].Replicas = 5 })
	expect(t, seen, "MODIFIED web 5")
	expect(t, details, "MODIFIED web []")
	change(func(s *pod.Snapshot) { s.Workloads = s.Workloads[:2] })
	expect(t, seen, "DELETED web 5")
	expect(t, details, "DELETED web []")
}

// follow runs a watch until the test ends.
func follow(t *testing.T, run func() error) {
	done := make(chan error, 1)
	go func() { done <- run() }()
	t.Cleanup(func() {
		if err := receive(t, done); err != nil {
			t.Errorf("watch: %v", err)
		}
	})
}

func send(t *testing.T, to chan<- string, text string) error {
	select {
	case to <- text:
	case <-t.Context().Done():
	}
	return nil
}

func TestWorkloadDetails(t *testing.T) {
	d := &apitest.Daemon{}
	snap := workloads()
	snap.Workloads[2].Drift, snap.Workloads[2].Held = []string{"replicas is 4"}, "no image"
	snap.Services[0].Problems = []pod.Problem{{Message: "taken"}}
	d.Publish(snap)
	c, _ := serve(t, d)
	web, err := c.Workload(t.Context(), objectKey(pod.KindDeployment, "shop", "web"))
	if err != nil {
		t.Fatal(err)
	}
	if len(web.ReplicaSets) != 2 || web.View().Failed().Failure.Message != "it crashed 3 times" || !web.View().RolledBack() || web.Held != "no image" {
		t.Errorf("got %+v", web)
	}
	list, err := c.Workloads(t.Context(), pod.KindReplicaSet, api.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Name != "lone" {
		t.Errorf("got %+v, %v, want the ReplicaSet of its own", list, err)
	}
	if _, err := c.Workload(t.Context(), objectKey(pod.KindDaemonSet, "shop", "gone")); !apierrors.IsNotFound(err) {
		t.Errorf("gone: %v", err)
	}
	services, err := c.Services(t.Context(), api.ListOptions{Namespace: "shop"})
	if err != nil || len(services.Items) != 1 || len(services.Items[0].Slices) != 1 || services.Items[0].Problems[0].Message != "taken" {
		t.Errorf("got %+v, %v", services, err)
	}
	status, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status.Workloads[pod.KindDeployment] != 2 || status.Workloads[pod.KindDaemonSet] != 1 || status.Services != 1 {
		t.Errorf("got %v workloads and %d Services", status.Workloads, status.Services)
	}
	if len(status.Troubles) != 2 || !status.Troubles[1].RolledBack || status.Troubles[1].Failed != "revision 2 failed: it crashed 3 times" || status.Troubles[1].Held != "no image" {
		t.Errorf("got %+v", status.Troubles)
	}
}

func TestRolloutCommands(t *testing.T) {
	var asked []string
	d := &apitest.Daemon{OnRollout: func(w pod.ObjectKey, c pod.RolloutCommand) (string, error) {
		asked = append(asked, fmt.Sprintf("%s %+v", w, c))
		if c.Verb == pod.RolloutUndo {
			return "", errors.New("undo: it has no earlier revision")
		}
		return "scaled to 7", nil
	}}
	c, socket := serve(t, d)
	web := objectKey(pod.KindDeployment, "shop", "web")
	if _, err := c.Rollout(t.Context(), web, pod.RolloutCommand{}); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("before the first snapshot: %v", err)
	}
	d.Publish(workloads())
	done, err := c.Rollout(t.Context(), web, pod.RolloutCommand{Verb: pod.Scale, Replicas: 7})
	if err != nil || done != "scaled to 7" {
		t.Errorf("got %q, %v", done, err)
	}
	_, err = c.Rollout(t.Context(), web, pod.RolloutCommand{Verb: pod.RolloutUndo, Revision: 3})
	if !apierrors.IsConflict(err) || err.Error() != "undo: it has no earlier revision" {
		t.Errorf("got %v", err)
	}
	_, err = c.Rollout(t.Context(), objectKey(pod.KindReplicaSet, "shop", "web-1"), pod.RolloutCommand{Verb: pod.Scale})
	if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "is a revision of Deployment shop/web") {
		t.Errorf("a ReplicaSet of a Deployment: %v", err)
	}
	if _, err = c.Rollout(t.Context(), objectKey(pod.KindDaemonSet, "shop", "web"), pod.RolloutCommand{}); !apierrors.IsNotFound(err) {
		t.Errorf("what is not there: %v", err)
	}
	for _, body := range []string{"", "{", `{"verb":"scale","replica":1}`} {
		code, text := call(t, socket, http.MethodPost, "/podstead/v1/namespaces/shop/deployments/web/rollout", body)
		if code != http.StatusBadRequest {
			t.Errorf("body %q: %d %s", body, code, text)
		}
	}
	want := []string{"Deployment shop/web {Verb:scale Replicas:7 Revision:0}", "Deployment shop/web {Verb:undo Replicas:0 Revision:3}"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

func TestDiff(t *testing.T) {
	var got []pod.Object
	d := &apitest.Daemon{OnDiff: func(objects []pod.Object) ([]pod.Change, error) {
		got = objects
		if len(objects) == 0 {
			return nil, errors.New("the agent is not there")
		}
		return []pod.Change{{ObjectKey: objects[0].ObjectKey, Verb: "changed", Before: &objects[0], Plan: []string{"pods are replaced"}}}, nil
	}}
	c, _ := serve(t, d)
	web := pod.Object{ObjectKey: objectKey(pod.KindService, "shop", "web"), Service: &corev1.Service{ObjectMeta: meta("shop", "web")}, Origin: pod.Origin{File: "web.yaml", Line: 3}}
	changes, err := c.Diff(t.Context(), []pod.Object{web})
	if err != nil || len(changes) != 1 || changes[0].Before.Service.Name != "web" || changes[0].After != nil || changes[0].Plan[0] != "pods are replaced" {
		t.Errorf("got %+v, %v", changes, err)
	}
	if len(got) != 1 || got[0].Origin.Line != 3 || got[0].Content().GetName() != "web" {
		t.Errorf("the daemon got %+v", got)
	}
	got = nil
	_, err = c.Diff(t.Context(), []pod.Object{{ObjectKey: objectKey(pod.KindDeployment, "shop", "web"), Service: web.Service}})
	if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "items[0]: Deployment shop/web has no content") || got != nil {
		t.Errorf("an object that is another kind: %v", err)
	}
	if _, err := c.Diff(t.Context(), nil); !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), "the agent is not there") {
		t.Errorf("got %v", err)
	}
}

// call sends a body to a path.
func call(t *testing.T, socket, method, path, body string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	r, err := http.NewRequestWithContext(t.Context(), method, "http://podstead"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}
