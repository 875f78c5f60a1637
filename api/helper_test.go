package api_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/api/apitest"
	"github.com/podstead/podstead/pod"
)

// serve runs a server for the test's life and returns a client and the path
// of its socket.
func serve(t *testing.T, d *apitest.Daemon, change ...func(*api.Config)) (*api.Client, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "run", "podstead.sock")
	cfg := d.Config(socket)
	for _, c := range change {
		c(&cfg)
	}
	s := api.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := receive(t, done); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case <-s.Listening():
	case err := <-done:
		t.Fatalf("Run: %v", err)
	}
	client := api.NewClient(socket)
	t.Cleanup(client.Close)
	return client, socket
}

// receive fails the test when nothing comes within ten seconds.
func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came within ten seconds")
		panic("unreachable")
	}
}

// view is a running pod with one container, app.
func view(namespace, name string, change ...func(*pod.View)) pod.View {
	v := pod.View{
		Instance: pod.Instance{Key: pod.Key{Namespace: namespace, Name: name}, Number: 1},
		Pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "uid-1", Labels: map[string]string{"app": name}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "img"}}, RestartPolicy: corev1.RestartPolicyAlways},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{
				{Name: "app", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
			}},
		},
		Containers: []pod.ContainerView{{
			Name: "app", ID: "id-" + name, Role: pod.RoleApp, PID: 42, CgroupPath: "/podstead/" + name,
			LogPath: "/logs/" + namespace + "_" + name + "_uid-1/app/2.log",
		}},
	}
	for _, c := range change {
		c(&v)
	}
	return v
}

func names(list *corev1.PodList) []string {
	var names []string
	for _, p := range list.Items {
		names = append(names, p.Namespace+"/"+p.Name)
	}
	return names
}
