package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// Seen is what decisions about workloads need to know of one of their pods: of
// its newest instance.
type Seen struct {
	// Condemned tells that the instance was told to stop.
	Condemned bool
	// Ready is since when it is ready; zero while it is not.
	Ready pod.Stamp
	// Excused tells that it is not ready because somebody had it stopped or
	// restarted, and not since it failed.
	Excused bool
	// Crashes counts the runs of its containers that ended by themselves, or
	// because a probe or hook failed. It begins anew for a container that ran
	// long enough to be restarted at once.
	Crashes int
	// Troubles say how its containers failed last.
	Troubles []pod.Trouble
}

// See sums up what was observed of a pod; st is how its newest instance is
// shown.
func See(h Have, st *corev1.PodStatus) Seen {
	lives := instances(h)
	if len(lives) == 0 {
		return Seen{}
	}
	l := &lives[len(lives)-1]
	s := Seen{Condemned: l.condemned() != nil}
	ready := slices.ContainsFunc(st.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
	for i := range l.containers {
		c := &l.containers[i]
		if c != l.latest(c.Name) || c.Name == pod.PauseName {
			continue
		}
		s.Crashes += crashes(c)
		s.Excused = s.Excused || !ready && excused(l, c)
		if since := readySince(h, c); ready && since.Moment > s.Ready.Moment {
			s.Ready = since
		}
		if t := trouble(h, l, c, st); t != nil {
			s.Troubles = append(s.Troubles, *t)
		}
	}
	return s
}

// crashes are those of the runs up to the latest one of a container.
func crashes(c *pod.Container) int {
	if c.State == pod.StateDead && !asked(c) && !(c.Role == pod.RoleInit && succeeded(c)) {
		return c.Failures + 1
	}
	return c.Failures
}

// excused tells whether a container is down, or starts, because somebody had
// it stopped.
func excused(l *life, c *pod.Container) bool {
	switch before := l.before(c); {
	case c.State == pod.StateDead || c.State == pod.StateExited:
		return asked(c)
	default:
		return asked(c) || before != nil && asked(before)
	}
}

// readySince is since when a container that is ready is so: since it runs, or
// since the last of its probes succeeded.
func readySince(h Have, c *pod.Container) pod.Stamp {
	since := pod.Stamp{}
	if c.State == pod.StateRunning {
		since = c.Started
	}
	for _, kind := range []pod.ProbeKind{pod.ProbeStartup, pod.ProbeReadiness, pod.HookPostStart} {
		if v := h.Verdicts[pod.ProbeID{Container: c.ID, Kind: kind}]; v.Outcome == pod.ProbeSuccess && v.At.Moment > since.Moment {
			since = v.At
		}
	}
	return since
}

// calm are the reasons of containers that wait although nothing is wrong with
// them, or of which how they ended says more.
var calm = []string{"", "ContainerCreating", "PodInitializing", "CrashLoopBackOff"}

// trouble says how a container failed last; nil if it did not.
func trouble(h Have, l *life, c *pod.Container, st *corev1.PodStatus) *pod.Trouble {
	t := pod.Trouble{Container: c.Name}
	ended := c
	if c.State != pod.StateDead {
		ended = l.before(c)
	}
	if ended != nil && ended.Exit != nil && !asked(ended) && !(ended.Role == pod.RoleInit && succeeded(ended)) {
		code := ended.Exit.Code
		t.Reason, t.ExitCode, t.LogTail = ended.Exit.Reason, &code, ended.Exit.LogTail
		if ended.Stopping != nil {
			t.Reason, t.Probe = "Unhealthy", ended.Stopping.Reason
		}
	}
	for _, kind := range []pod.ProbeKind{pod.ProbeStartup, pod.ProbeLiveness, pod.ProbeReadiness} {
		v := h.Verdicts[pod.ProbeID{Container: c.ID, Kind: kind}]
		if v.Outcome != pod.ProbeFailure || c.State != pod.StateRunning {
			continue
		}
		t.Probe = string(kind) + " probe failed: " + v.Message
		if t.Reason == "" {
			t.Reason = "Unhealthy"
		}
	}
	for _, list := range [][]corev1.ContainerStatus{st.InitContainerStatuses, st.ContainerStatuses} {
		for i := range list {
			w := list[i].State.Waiting
			if list[i].Name == c.Name && w != nil && !slices.Contains(calm, w.Reason) && t.Reason == "" {
				t.Reason = w.Reason
			}
		}
	}
	if t.Reason == "" {
		return nil
	}
	return &t
}
