package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/agent/plan/workload"
)

// TestDeploymentIsRolledToANewVersion looks for what is left behind, so no other
// test runs beside it.
func TestDeploymentIsRolledToANewVersion(t *testing.T) {
	h := newRollouts(t, "1", "2")
	before := h.Settled()
	web := rollout{name: "web", version: "1", replicas: 3, watch: 1}
	web.write(h)
	for _, p := range rolled(h, "web", "1", 3) {
		if owner := metav1.GetControllerOf(&p); owner == nil || owner.Kind != "ReplicaSet" || owner.Name != "web-"+p.Labels["pod-template-hash"] || !strings.HasPrefix(p.Name, owner.Name+"-") {
			t.Errorf("pod %s belongs to %+v", p.Name, owner)
		}
	}
	goodAt(h, "web", "1")
	web.version = "2"
	seen := newExtremes()
	web.write(h)
	rolled(h, "web", "2", 3, seen.look)
	if seen.least < 3 || seen.most != 4 {
		t.Errorf("there were at least %d ready pods and at most %d, want 3 and 4", seen.least, seen.most)
	}
	goodAt(h, "web", "2")
	web.removed(h)
	h.NoLeaks(before, patience)
}

func TestVersionThatCantBeHadIsHeld(t *testing.T) {
	t.Parallel()
	h := newRollouts(t, "1")
	web := rollout{name: "web", version: "1", replicas: 2, watch: 1}
	web.write(h)
	old := rolled(h, "web", "1", 2)
	goodAt(h, "web", "1")
	web.version = "9"
	web.write(h)
	eventually(h, "RolloutHeld", versionOf("9"))
	for _, p := range rolled(h, "web", "1", 2) {
		if p.UID != old[0].UID && p.UID != old[1].UID {
			t.Errorf("pod %s is new", p.Name)
		}
	}
	addVersions(t, h, "9")
	rolled(h, "web", "9", 2)
}

func TestVersionThatCrashesIsRolledBack(t *testing.T) {
	t.Parallel()
	h := newRollouts(t, "1", "2")
	web := rollout{name: "web", version: "1", replicas: 2, watch: 1}
	web.write(h)
	old := rolled(h, "web", "1", 2)
	goodAt(h, "web", "1")
	bad := web
	bad.version, bad.args = "2", ", -nonsense"
	seen := newExtremes()
	bad.write(h)
	h.Eventually(patience, func() error {
		seen.look(podsOf(h, "web"))
		rec, err := recordOf(h, "web")
		if err != nil {
			return err
		}
		if n := len(rec.Revisions); n != 2 || rec.Revisions[0].Failure == nil {
			return fmt.Errorf("%d revisions, the first failed: %+v", n, rec.Revisions[0].Failure)
		}
		failed := rec.Revisions[0].Failure
		trouble := failed.Pods[0].Troubles[0]
		last := strings.Join(trouble.LogTail, "\n")
		if failed.Reason != workload.FailedCrashing || *trouble.ExitCode != 2 || !strings.Contains(last, "-scan-to int") || len(failed.Pods[0].Events) == 0 {
			t.Errorf("failed for %s: %s, last lines %q, events %q", failed.Reason, trouble, last, failed.Pods[0].Events)
		}
		return nil
	})
	for _, p := range rolled(h, "web", "1", 2, seen.look) {
		if p.UID != old[0].UID && p.UID != old[1].UID {
			t.Errorf("pod %s is new", p.Name)
		}
	}
	if seen.least < 2 {
		t.Errorf("there were but %d ready pods", seen.least)
	}
	eventually(h, "RolledBack", "crashed 3 times")
	// It is not tried again, neither after a restart nor by another write.
	h.Stop()
	h.Start()
	h.Write("web.yaml", "# again\n"+bad.yaml())
	for begun := time.Now(); time.Since(begun) < 5*time.Second; time.Sleep(50 * time.Millisecond) {
		for _, p := range podsOf(h, "web") {
			if imageOf(p) != versionOf("1") {
				t.Fatalf("pod %s tries it again", p.Name)
			}
		}
	}
	bad.args = ""
	bad.write(h)
	rolled(h, "web", "2", 2)
}

func TestRecreateEndsOldPodsFirst(t *testing.T) {
	t.Parallel()
	h := newRollouts(t, "1", "2")
	web := rollout{name: "web", version: "1", replicas: 2, watch: 1, spec: "strategy: {type: Recreate}\n"}
	web.write(h)
	rolled(h, "web", "1", 2)
	goodAt(h, "web", "1")
	web.version = "2"
	web.write(h)
	rolled(h, "web", "2", 2, func(pods []corev1.Pod) {
		versions := map[string]bool{}
		for _, p := range pods {
			if p.DeletionTimestamp == nil || len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].State.Running != nil {
				versions[p.Spec.Containers[0].Image] = true
			}
		}
		if len(versions) > 1 {
			t.Errorf("pods of both versions are there: %v", versions)
		}
	})
}

func TestDaemonSetHasOnePodWhereItsLabelsAllow(t *testing.T) {
	t.Parallel()
	h := newRollouts(t, "1", "2")
	agent := rollout{kind: "DaemonSet", name: "agent", version: "1", watch: 1, template: "nodeSelector: {disk: ssd}\n"}
	other := rollout{kind: "DaemonSet", name: "other", version: "1", template: "nodeSelector: {disk: hdd}\n"}
	agent.write(h)
	other.write(h)
	p := rolled(h, "agent", "1", 1)[0]
	if owner := metav1.GetControllerOf(&p); owner == nil || owner.Kind != "DaemonSet" || owner.Name != "agent" {
		t.Errorf("pod %s belongs to %+v", p.Name, owner)
	}
	agent.version = "2"
	agent.write(h)
	rolled(h, "agent", "2", 1)
	if pods := podsOf(h, "other"); len(pods) > 0 {
		t.Errorf("%d pods run that are for other servers", len(pods))
	}
	agent.removed(h)
}

func TestOnDeleteWaitsForTheCommand(t *testing.T) {
	t.Parallel()
	h := newRollouts(t, "1", "2")
	agent := rollout{kind: "DaemonSet", name: "agent", version: "1", watch: 1, spec: "updateStrategy: {type: OnDelete}\n"}
	agent.write(h)
	old := rolled(h, "agent", "1", 1)[0]
	agent.version = "2"
	agent.write(h)
	h.Eventually(patience, func() error {
		out, err := h.CLI("describe", "daemonset", "agent")
		if err == nil && !strings.Contains(out, "until podstead rollout restart replaces it") {
			err = fmt.Errorf("describe says:\n%s", out)
		}
		return err
	})
	if now := rolled(h, "agent", "1", 1)[0]; now.UID != old.UID {
		t.Errorf("pod %s replaced %s, which nobody asked for", now.Name, old.Name)
	}
	if out, err := h.CLI("rollout", "restart", "daemonset/agent"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rolled(h, "agent", "2", 1)
}

func TestRolloutOutlivesPodstead(t *testing.T) {
	t.Parallel()
	h := newRollouts(t, "1", "2")
	web := rollout{name: "web", version: "1", replicas: 3, watch: 1, spec: "minReadySeconds: 2\n"}
	web.write(h)
	rolled(h, "web", "1", 3)
	goodAt(h, "web", "1")
	web.version = "2"
	web.write(h)
	seen := newExtremes()
	names := map[string]bool{}
	look := func(pods []corev1.Pod) {
		seen.look(pods)
		for _, p := range pods {
			if p.Spec.Containers[0].Image == versionOf("2") {
				names[p.Name] = true
			}
		}
	}
	for round := range 3 {
		h.Eventually(patience, func() error {
			pods := podsOf(h, "web")
			look(pods)
			if len(names) <= round {
				return fmt.Errorf("%d pods of the new version were made", len(names))
			}
			return nil
		})
		h.Kill9()
		h.Start()
	}
	rolled(h, "web", "2", 3, look)
	if seen.least < 3 || seen.most > 4 || len(names) != 3 {
		t.Errorf("there were at least %d ready pods and at most %d, and %d new ones were made; want 3, 4 and 3", seen.least, seen.most, len(names))
	}
	goodAt(h, "web", "2")
}
