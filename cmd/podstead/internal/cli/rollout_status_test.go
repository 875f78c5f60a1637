package cli

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// begin runs a command against a daemon; its exit code comes when it ends.
func begin(t *testing.T, socket string, args ...string) (*output, <-chan int) {
	out, done := &output{}, make(chan int, 1)
	env := func(name string) string { return map[string]string{"PODSTEAD_SOCKET": socket}[name] }
	go func() { done <- app(nil, out, out, env).Main(t.Context(), args) }()
	return out, done
}

// TestRolloutStatusFollows holds that it ends with the rollout, with what
// became of it.
func TestRolloutStatusFollows(t *testing.T) {
	d := shopDaemon()
	socket := filepath.Join(t.TempDir(), "s", "sock")
	stop, err := serve(d, socket)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	publish := func(change func(*pod.WorkloadView)) {
		v := rolling()
		change(&v)
		next := shop()
		next.Workloads = []pod.WorkloadView{v}
		d.Publish(next)
	}
	publish(func(*pod.WorkloadView) {})
	good, ended := begin(t, socket, "-n", "shop", "rollout", "status", "deploy/rolling")
	bad, failed := begin(t, socket, "-n", "shop", "rollout", "status", "deploy/rolling", "--timeout=1m")
	for _, out := range []*output{good, bad} {
		out.await(t, "2 out of 4 new replicas have been updated...\n")
	}
	publish(func(v *pod.WorkloadView) { v.Deployment.Status.UpdatedReplicas = 4 })
	for _, out := range []*output{good, bad} {
		out.await(t, "1 old replicas are pending termination...\n")
	}
	publish(func(v *pod.WorkloadView) {
		v.Deployment.Status.UpdatedReplicas, v.Deployment.Status.Replicas, v.Deployment.Status.AvailableReplicas = 4, 4, 3
	})
	good.await(t, "3 of 4 updated replicas are available...\n")
	// That it failed is no end before it is rolled back.
	failure := func(v *pod.WorkloadView) {
		v.Revisions = append(v.Revisions, pod.RevisionView{Number: 2, Failure: &pod.RevisionFailure{Reason: "Unhealthy", Message: "2 pods turned unhealthy", At: noon}})
	}
	publish(failure)
	bad.await(t, "to be rolled back: revision 2 failed...\n")
	select {
	case code := <-failed:
		t.Errorf("ended with %d:\n%s", code, bad)
	case <-time.After(50 * time.Millisecond):
	}
	publish(func(v *pod.WorkloadView) {
		failure(v)
		v.Revision, v.Revisions[0].Number = 3, 3
	})
	if code := receive(t, failed); code != 1 || !strings.HasSuffix(bad.String(), "error: deployment \"rolling\" was rolled back to revision 3: revision 2 failed: 2 pods turned unhealthy\n") {
		t.Errorf("ended with %d:\n%s", code, bad)
	}
	if code := receive(t, ended); code != 1 {
		t.Errorf("ended with %d:\n%s", code, good)
	}
}

// TestRolloutStatusEnds holds how else it ends.
func TestRolloutStatusEnds(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*pod.Snapshot)
		code   int
		last   string
	}{
		"done": {func(s *pod.Snapshot) {
			v := rolling()
			v.Deployment.Status.UpdatedReplicas, v.Deployment.Status.Replicas = 4, 4
			s.Workloads = []pod.WorkloadView{v}
		}, 0, "deployment \"rolling\" successfully rolled out\n"},
		"gone": {func(s *pod.Snapshot) { s.Workloads = nil }, 1, "error: deployment.apps/rolling has been deleted\n"},
	} {
		t.Run(name, func(t *testing.T) {
			d := shopDaemon()
			socket := filepath.Join(t.TempDir(), "s", "sock")
			stop, err := serve(d, socket)
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			out, ended := begin(t, socket, "-n", "shop", "rollout", "status", "deploy", "rolling")
			out.await(t, "have been updated")
			next := shop()
			c.change(&next)
			d.Publish(next)
			if code := receive(t, ended); code != c.code || !strings.HasSuffix(out.String(), c.last) {
				t.Errorf("ended with %d:\n%s", code, out)
			}
		})
	}
}

// TestRolloutStatusSaysNothingTwice although more changes than is said.
func TestRolloutStatusSaysNothingTwice(t *testing.T) {
	out := &output{}
	a := app(nil, out, out, func(string) string { return "" })
	said := ""
	for range 3 {
		w := api.Workload(rolling())
		var err error
		if said, err = a.tellRollout(&w, said); err != nil {
			t.Fatal(err)
		}
	}
	if want := "Waiting for deployment \"rolling\" rollout to finish: 2 out of 4 new replicas have been updated...\n"; out.String() != want {
		t.Errorf("said %q, want %q", out, want)
	}
}
