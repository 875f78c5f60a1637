package daemon

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

func TestStatusLine(t *testing.T) {
	view := func(name string, change func(*corev1.Pod)) pod.View {
		p := &corev1.Pod{}
		p.Status.Phase = corev1.PodRunning
		change(p)
		return pod.View{Pod: p, Instance: pod.Instance{Key: pod.Key{Namespace: "default", Name: name}, Number: 1}}
	}
	ready := func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	waiting := func(image, reason string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodPending
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{
				Image: image, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}},
			}}
		}
	}
	phase := func(phase corev1.PodPhase) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Status.Phase = phase } }
	halted := func(state corev1.ContainerState) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Reason = "NodeShutdown"
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: state}}
		}
	}
	up := pod.RuntimeState{Up: true}
	var twelve []pod.View
	for i := range 12 {
		twelve = append(twelve, view(fmt.Sprintf("web-%d", i), ready))
	}
	for want, snap := range map[string]pod.Snapshot{
		"no pods": {Runtime: up},
		"waiting for containerd (systemctl status c.service)": {},
		"1 pod ready": {Runtime: up, Pods: twelve[:1]},
		"12 pods ready, 1 waiting for image r/x:1 (default/cache)": {
			Runtime: up, Pods: append(twelve[:12:12], view("cache", waiting("r/x:1", "ImagePullBackOff"))),
		},
		"1 pod waiting for image r/y:1 (default/db)": {
			Runtime: up, Pods: []pod.View{view("db", waiting("r/y:1", "ContainerCreating"))},
			Images: []pod.ImageView{{Ref: "r/y:1", Pulling: true}},
		},
		"1 pod starting (default/db)": {
			Runtime: up, Pods: []pod.View{view("db", waiting("r/y:1", "ContainerCreating"))}, Images: []pod.ImageView{{Ref: "r/y:1"}},
		},
		"1 pod ready, 1 completed, 1 failed (default/b), 2 not ready (default/c and 1 more), 1 waiting to be restarted (default/e), 1 waiting: PortConflict (default/f)": {
			Runtime: up, Pods: []pod.View{
				view("a", phase(corev1.PodSucceeded)), view("b", phase(corev1.PodFailed)),
				view("c", func(*corev1.Pod) {}), view("d", func(*corev1.Pod) {}),
				view("e", waiting("r/x:1", "CrashLoopBackOff")),
				view("f", func(p *corev1.Pod) { p.Status.Phase, p.Status.Reason = corev1.PodPending, "PortConflict" }),
				twelve[0],
			},
		},
		"the server shuts down; 1 pod stopped, 2 stopping": {
			Runtime: up, Draining: pod.Draining{Reason: "the server shuts down"}, Pods: []pod.View{
				view("a", halted(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}})),
				view("b", halted(corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})),
				view("c", func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }),
			},
		},
		"1 pod ready; containerd does not answer: no such file (systemctl status c.service); source fleet: no answer WATCHDOG=1": {
			Pods: twelve[:1], Runtime: pod.RuntimeState{Error: "no such file"},
			Sources: []pod.SourceState{{Name: "files"}, {Name: "fleet", Error: "no answer\nWATCHDOG=1"}},
		},
	} {
		if got := statusLine(&snap, "c.service"); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}
