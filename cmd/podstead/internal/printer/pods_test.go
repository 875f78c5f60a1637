package printer

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func ended(code int32, reason string, ago time.Duration) *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, FinishedAt: metav1.NewTime(noon.Add(-ago))}
}

// status is one container: ready and running, unless changed.
func status(change ...func(*corev1.ContainerStatus)) corev1.ContainerStatus {
	yes := true
	s := corev1.ContainerStatus{Ready: true, Started: &yes, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	for _, c := range change {
		c(&s)
	}
	return s
}

func waits(reason string) func(*corev1.ContainerStatus) {
	return func(s *corev1.ContainerStatus) {
		s.Ready, s.Started, s.State = false, new(bool), corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
	}
}

func hasEnded(t *corev1.ContainerStateTerminated) func(*corev1.ContainerStatus) {
	return func(s *corev1.ContainerStatus) {
		s.Ready, s.Started, s.State = false, new(bool), corev1.ContainerState{Terminated: t}
	}
}

func restarted(n int32, last *corev1.ContainerStateTerminated) func(*corev1.ContainerStatus) {
	return func(s *corev1.ContainerStatus) {
		s.RestartCount = n
		s.LastTerminationState.Terminated = last
	}
}

func starting(s *corev1.ContainerStatus) { s.Ready, s.Started = false, new(bool) }

// newPod has init containers i0... and containers c0...; init containers
// whose status is in sidecars restart always.
func newPod(phase corev1.PodPhase, inits, apps []corev1.ContainerStatus, sidecars ...int) *corev1.Pod {
	p := &corev1.Pod{Status: corev1.PodStatus{Phase: phase}}
	p.Name, p.CreationTimestamp = "web", metav1.NewTime(noon.Add(-5*time.Minute))
	name := func(prefix string, i int) string { return prefix + string(rune('0'+i)) }
	for i, s := range inits {
		s.Name = name("i", i)
		p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: s.Name})
		p.Status.InitContainerStatuses = append(p.Status.InitContainerStatuses, s)
	}
	always := corev1.ContainerRestartPolicyAlways
	for _, i := range sidecars {
		p.Spec.InitContainers[i].RestartPolicy = &always
	}
	for i, s := range apps {
		s.Name = name("c", i)
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: s.Name})
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, s)
	}
	return p
}

func with(p *corev1.Pod, change func(*corev1.Pod)) *corev1.Pod {
	change(p)
	return p
}

func initialized(p *corev1.Pod) {
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue})
}

func TestPodRow(t *testing.T) {
	type list = []corev1.ContainerStatus
	running, pending := corev1.PodRunning, corev1.PodPending
	done, failed := ended(0, "Completed", 0), ended(1, "Error", 0)
	deleted := func(p *corev1.Pod) { now := metav1.NewTime(noon); p.DeletionTimestamp = &now }
	for name, test := range map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"running":     {newPod(running, nil, list{status(), status()}), "web 2/2 Running 0 5m"},
		"not ready":   {newPod(running, nil, list{status(), status(starting)}), "web 1/2 Running 0 5m"},
		"no status":   {newPod(pending, nil, nil), "web 0/0 Pending 0 5m"},
		"waiting":     {newPod(pending, nil, list{status(waits("ContainerCreating"))}), "web 0/1 ContainerCreating 0 5m"},
		"first waits": {newPod(running, nil, list{status(waits("ErrImagePull")), status(waits("CrashLoopBackOff"))}), "web 0/2 ErrImagePull 0 5m"},
		"crash loop": {newPod(running, nil, list{status(waits("CrashLoopBackOff"), restarted(3, ended(1, "Error", 40*time.Second)))}),
			"web 0/1 CrashLoopBackOff 3 (40s ago) 5m"},
		"restarts of all, latest time": {newPod(running, nil, list{
			status(restarted(2, ended(1, "Error", time.Hour))), status(restarted(1, ended(1, "Error", 3*time.Minute)))}),
			"web 2/2 Running 3 (3m ago) 5m"},
		"restarts of unknown time": {newPod(running, nil, list{status(restarted(2, nil))}), "web 1/1 Running 2 5m"},
		"completed":                {newPod(corev1.PodSucceeded, nil, list{status(hasEnded(done))}), "web 0/1 Completed 0 5m"},
		"failed":                   {newPod(corev1.PodFailed, nil, list{status(hasEnded(failed))}), "web 0/1 Error 0 5m"},
		"OOM":                      {newPod(running, nil, list{status(hasEnded(ended(137, "OOMKilled", 0)))}), "web 0/1 OOMKilled 0 5m"},
		"ended without a reason":   {newPod(running, nil, list{status(hasEnded(ended(7, "", 0)))}), "web 0/1 ExitCode:7 0 5m"},
		"ended by a signal": {newPod(running, nil, list{status(hasEnded(&corev1.ContainerStateTerminated{Signal: 9}))}),
			"web 0/1 Signal:9 0 5m"},
		"one done, one running": {newPod(running, nil, list{status(hasEnded(done)), status()}), "web 1/2 NotReady 0 5m"},
		"one done, one running, ready": {with(newPod(running, nil, list{status(hasEnded(done)), status()}), func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}), "web 1/2 Running 0 5m"},
		"reason of the pod": {with(newPod(corev1.PodFailed, nil, nil), func(p *corev1.Pod) { p.Status.Reason = "DeadlineExceeded" }),
			"web 0/0 DeadlineExceeded 0 5m"},
		"terminating":            {with(newPod(running, nil, list{status()}), deleted), "web 1/1 Terminating 0 5m"},
		"terminating, but ended": {with(newPod(corev1.PodSucceeded, nil, list{status(hasEnded(done))}), deleted), "web 0/1 Completed 0 5m"},

		"init running": {newPod(pending, list{status(starting), status(waits(""))}, list{status(waits("PodInitializing"))}),
			"web 0/1 Init:0/2 0 5m"},
		"second init": {newPod(pending, list{status(hasEnded(done)), status(waits("PodInitializing"))}, list{status(waits("PodInitializing"))}),
			"web 0/1 Init:1/2 0 5m"},
		"init crashes": {newPod(pending, list{status(waits("CrashLoopBackOff"), restarted(2, ended(1, "Error", time.Minute)))}, list{status(waits("PodInitializing"))}),
			"web 0/1 Init:CrashLoopBackOff 2 (60s ago) 5m"},
		"init failed": {newPod(corev1.PodFailed, list{status(hasEnded(failed))}, list{status(waits("PodInitializing"))}), "web 0/1 Init:Error 0 5m"},
		"init ended without a reason": {newPod(pending, list{status(hasEnded(ended(2, "", 0)))}, list{status(waits(""))}),
			"web 0/1 Init:ExitCode:2 0 5m"},
		"inits done": {newPod(running, list{status(hasEnded(done), restarted(4, ended(1, "Error", time.Minute)))}, list{status()}),
			"web 1/1 Running 0 5m"},
		"init restarted in an initialized pod": {with(newPod(running, list{status(starting)}, list{status()}), initialized), "web 1/1 Init:0/1 0 5m"},

		"sidecar ready":    {newPod(running, list{status()}, list{status()}, 0), "web 2/2 Running 0 5m"},
		"sidecar starting": {newPod(pending, list{status(starting)}, list{status(waits("PodInitializing"))}, 0), "web 0/2 Init:0/1 0 5m"},
		"sidecar started, not ready": {newPod(running, list{status(func(s *corev1.ContainerStatus) { s.Ready = false })}, list{status()}, 0),
			"web 1/2 Running 0 5m"},
		"sidecar's restarts count": {newPod(running, list{status(restarted(2, ended(1, "Error", time.Minute)))},
			list{status(restarted(1, ended(1, "Error", 2*time.Minute)))}, 0), "web 2/2 Running 3 (60s ago) 5m"},
	} {
		t.Run(name, func(t *testing.T) {
			row := PodRow(test.pod, Columns{}, noon)
			if diff := cmp.Diff(test.want, strings.Join(row, " ")); diff != "" {
				t.Errorf("row (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTableKeepsItsColumns(t *testing.T) {
	var b strings.Builder
	table := NewTable(&b, []string{"NAME", "AGE"})
	for _, rows := range [][][]string{{{"a", "1s"}, {"long-name", "2s"}}, {{"ü", "3s"}}, {{"a-longer-name", "4s"}}, {{"b", "5s"}}} {
		if err := table.Write(rows); err != nil {
			t.Fatal(err)
		}
	}
	want := `NAME        AGE
a           1s
long-name   2s
ü           3s
a-longer-name   4s
b               5s
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestCleanDisarmsTerminals(t *testing.T) {
	got := Clean("tab\tnew\nline \x1b[31mred \x07 \x7f \u009b2J ü")
	if want := `tab` + "\t" + `new` + "\n" + `line \x1b[31mred \x07 \x7f \x9b2J ü`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAge(t *testing.T) {
	for ago, want := range map[time.Duration]string{0: "0s", 90 * time.Second: "90s", 5 * time.Minute: "5m", 26 * time.Hour: "26h", 72 * time.Hour: "3d"} {
		if got := Age(noon.Add(-ago), noon); got != want {
			t.Errorf("%v ago: got %s, want %s", ago, got, want)
		}
	}
	if got := Age(time.Time{}, noon); got != "<unknown>" {
		t.Errorf("no time: got %s", got)
	}
}

func TestWideColumnsTellOfTheStatus(t *testing.T) {
	p := newPod(corev1.PodRunning, nil, []corev1.ContainerStatus{status()})
	bare := PodRow(p, Columns{Wide: true}, noon)
	if diff := cmp.Diff([]string{"<none>", "<none>", "<none>", "<none>"}, bare[5:]); diff != "" {
		t.Errorf("without any (-want +got):\n%s", diff)
	}
	p.Spec.NodeName, p.Status.NominatedNodeName, p.Status.PodIP = "edge", "next", "10.0.0.5"
	p.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "a"}, {ConditionType: "b"}, {ConditionType: "c"}}
	p.Status.Conditions = []corev1.PodCondition{{Type: "a", Status: corev1.ConditionTrue}, {Type: "b", Status: corev1.ConditionFalse}}
	full := PodRow(p, Columns{Wide: true}, noon)
	if diff := cmp.Diff([]string{"10.0.0.5", "edge", "next", "1/3"}, full[5:]); diff != "" {
		t.Errorf("with all (-want +got):\n%s", diff)
	}
}
