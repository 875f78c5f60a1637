package plan_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/manifest"
	"github.com/podstead/podstead/pod"
)

// TestLaws plays random histories of one pod: manifests come, change and go,
// containers die, podstead crashes between any two actions, the runtime goes
// down, the host reboots. The world judges every action (S1, S2, S3, S6, S9,
// S10, S11, L4); at the end, when nothing disturbs any more, the pod must be
// as wanted (L1, L2) and nothing must move (L7).
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if err := play(t, newWorld()); err != nil {
			t.Fatal(err)
		}
	})
}

// play drives one random history and returns the law that it broke.
func play(t *rapid.T, w *world) error {
	for _, image := range []string{"app:1", "app:2", "side:1", "init:1"} {
		w.registry[image] = rapid.IntRange(0, 9).Draw(t, "present") > 0
	}
	for range rapid.IntRange(3, 25).Draw(t, "steps") {
		disturb(t, w)
		w.partly(rapid.IntRange(0, 12).Draw(t, "actions"))
		if err := w.judge(); err != nil {
			return err
		}
	}
	w.endShutdown(t)
	return w.converge()
}

// TestLawsCatchFaults plants one mistake at a time in what the planner sees
// and asks whether the laws find it.
func TestLawsCatchFaults(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			history := rapid.Custom(func(t *rapid.T) error {
				w := newWorld()
				w.fault = fault
				return play(t, w)
			})
			for seed := range 2000 {
				if err := history.Example(seed); err != nil {
					t.Logf("caught by history %d: %.120s", seed, err)
					return
				}
			}
			t.Error("no law was broken in 2000 histories")
		})
	}
}

// faults are mistakes that node agents have made.
var faults = map[string]func(*plan.Settings, *plan.Want, *plan.Have, *pod.Moment){
	"an unreadable manifest is an absent one": func(_ *plan.Settings, w *plan.Want, _ *plan.Have, _ *pod.Moment) {
		w.Keep = false
	},
	"what is told to stop counts as gone": func(_ *plan.Settings, _ *plan.Want, h *plan.Have, _ *pod.Moment) {
		h.Containers = slices.DeleteFunc(h.Containers, func(c pod.Container) bool { return c.Stopping != nil && c.Live() })
	},
	"an exited container counts as dead": func(_ *plan.Settings, _ *plan.Want, h *plan.Have, _ *pod.Moment) {
		for i := range h.Containers {
			if h.Containers[i].State == pod.StateExited {
				h.Containers[i].State = pod.StateDead
			}
		}
	},
	"back-off is forgotten": func(_ *plan.Settings, _ *plan.Want, h *plan.Have, _ *pod.Moment) {
		for i := range h.Containers {
			h.Containers[i].Failures = min(h.Containers[i].Failures, 1)
		}
	},
	"grace is one second": func(_ *plan.Settings, _ *plan.Want, h *plan.Have, _ *pod.Moment) {
		for i := range h.Containers {
			if s := h.Containers[i].Stopping; s != nil {
				short := *s
				short.Grace = min(s.Grace, time.Second)
				h.Containers[i].Stopping = &short
			}
		}
	},
	"a stop that was begun is forgotten": func(_ *plan.Settings, _ *plan.Want, h *plan.Have, _ *pod.Moment) {
		for i := range h.Containers {
			h.Containers[i].Stopping = nil
		}
	},
	"the runtime always seems up": func(_ *plan.Settings, _ *plan.Want, h *plan.Have, _ *pod.Moment) {
		h.RuntimeUp = true
	},
	"a sandbox is for ever": func(_ *plan.Settings, _ *plan.Want, h *plan.Have, _ *pod.Moment) {
		for i := range h.Containers {
			for _, s := range h.Sandboxes {
				h.Containers[i].Sandbox = s.ID
			}
		}
	},
	"the clock stands still": func(_ *plan.Settings, _ *plan.Want, _ *plan.Have, now *pod.Moment) {
		*now = 0
	},
	"failures are not remembered": func(_ *plan.Settings, _ *plan.Want, h *plan.Have, _ *pod.Moment) {
		h.Failed = nil
	},
	"verdicts are not remembered": func(_ *plan.Settings, _ *plan.Want, h *plan.Have, _ *pod.Moment) {
		h.Verdicts = nil
	},
	"a container that is not ready is taken for dead": func(_ *plan.Settings, _ *plan.Want, h *plan.Have, _ *pod.Moment) {
		verdicts := maps.Clone(h.Verdicts)
		for id, v := range h.Verdicts {
			if id.Kind == pod.ProbeReadiness && v.Outcome == pod.ProbeFailure {
				id.Kind = pod.ProbeLiveness
				verdicts[id] = v
			}
		}
		h.Verdicts = verdicts
	},
	"every sidecar counts as started": func(_ *plan.Settings, _ *plan.Want, h *plan.Have, _ *pod.Moment) {
		verdicts := maps.Clone(h.Verdicts)
		for _, c := range h.Containers {
			id := pod.ProbeID{Container: c.ID, Kind: pod.ProbeStartup}
			verdicts[id] = pod.ProbeVerdict{ProbeID: id, Outcome: pod.ProbeSuccess}
		}
		h.Verdicts = verdicts
	},
	"preStop hooks count as over": func(_ *plan.Settings, _ *plan.Want, h *plan.Have, _ *pod.Moment) {
		verdicts := maps.Clone(h.Verdicts)
		for _, c := range h.Containers {
			id := pod.ProbeID{Container: c.ID, Kind: pod.HookPreStop}
			verdicts[id] = pod.ProbeVerdict{ProbeID: id, Outcome: pod.ProbeSuccess}
		}
		h.Verdicts = verdicts
	},
	"a shutdown is not noticed": func(_ *plan.Settings, w *plan.Want, _ *plan.Have, _ *pod.Moment) {
		w.Halt = nil
	},
	"a shutdown takes pods away": func(_ *plan.Settings, w *plan.Want, _ *plan.Have, _ *pod.Moment) {
		if w.Halt != nil {
			*w = plan.Want{Gone: w.Halt.Reason}
		}
	},
	"a shutdown has all the time of the world": func(_ *plan.Settings, w *plan.Want, _ *plan.Have, now *pod.Moment) {
		if w.Halt != nil {
			h := *w.Halt
			h.Deadline = now.Add(time.Hour)
			w.Halt = &h
		}
	},
	"images are not remembered": func(_ *plan.Settings, _ *plan.Want, h *plan.Have, _ *pod.Moment) {
		h.Images, h.Resolved = nil, nil
	},
}

// disturb does one of the things that happen to a server.
func disturb(t *rapid.T, w *world) {
	switch rapid.SampledFrom([]string{
		"manifest", "manifest", "manifest", "remove", "keep", "exit", "exit", "exit", "advance", "advance",
		"crash", "crash", "crash loop", "cut off", "reboot", "runtime", "registry", "stubborn", "restart",
		"verdict", "verdict", "slow", "cut off from the network", "shutdown",
	}).Draw(t, "event") {
	case "manifest":
		w.want = plan.Want{Desired: randomPod(t, w.key)}
	case "remove":
		w.want = plan.Want{Gone: "removed"}
	case "keep":
		w.want = plan.Want{Keep: true}
	case "exit":
		w.exit(rapid.SampledFrom([]string{"a", "a", "b", "i", "i", "s", pod.PauseName}).Draw(t, "name"), rapid.SampledFrom([]int{0, 0, 1, 137}).Draw(t, "code"))
	case "advance":
		if !w.runtimeDown {
			w.advance(time.Duration(rapid.IntRange(0, 700).Draw(t, "seconds")) * time.Second)
		}
	case "crash":
		w.crash()
	case "cut off":
		w.cutOff = true
	case "crash loop":
		for range rapid.IntRange(1, 7).Draw(t, "deaths") {
			w.exit("a", 1)
			w.advance(time.Duration(rapid.IntRange(1, 60).Draw(t, "seconds")) * time.Second)
		}
	case "reboot":
		w.reboot()
	case "runtime":
		w.runtimeDown = !w.runtimeDown
	case "registry":
		image := rapid.SampledFrom([]string{"app:1", "app:2", "side:1"}).Draw(t, "image")
		w.registry[image] = !w.registry[image]
	case "stubborn":
		w.stubborn = !w.stubborn
	case "verdict":
		kind := rapid.SampledFrom([]pod.ProbeKind{
			pod.ProbeStartup, pod.ProbeLiveness, pod.ProbeReadiness, pod.HookPostStart,
		}).Draw(t, "kind")
		w.judged(rapid.SampledFrom([]string{"a", "b", "s"}).Draw(t, "name"), kind,
			rapid.SampledFrom([]pod.ProbeOutcome{pod.ProbeFailure, pod.ProbeSuccess}).Draw(t, "outcome"))
	case "cut off from the network":
		for n := range w.sandboxes {
			w.unwired[n] = true
		}
	case "shutdown":
		w.endShutdown(t)
		w.shutDown(time.Duration(rapid.IntRange(0, 40).Draw(t, "limit")) * time.Second)
	case "slow":
		w.slow = !w.slow
	case "restart":
		for id, c := range w.containers {
			if c.Name == "a" && c.State == pod.StateRunning {
				w.restart[id] = true
			}
		}
	}
}

// endShutdown cancels a shutdown, if there is one, or reboots; if it had all the
// time that it asked for, nothing runs any more.
func (w *world) endShutdown(t *rapid.T) {
	if w.halt == nil {
		return
	}
	if !w.runtimeDown && rapid.Bool().Draw(t, "in full") {
		// Where containerd was down meanwhile, it began late.
		w.advance(max(0, w.halt.Deadline.Sub(w.now)) + 10*time.Second)
		if live := w.live(); len(live) > 0 {
			w.violate("L3: %v run after the shutdown from %v to %v, now is %v", live, w.halt.Since, w.halt.Deadline, w.now)
		}
	}
	w.halt = nil
	if rapid.Bool().Draw(t, "reboots") {
		w.reboot()
	}
}

// partly carries out at most n actions; podstead may die after any of them.
func (w *world) partly(n int) {
	for range n {
		a, ok := firstOf(w.decide().Actions)
		if !ok {
			return
		}
		w.carryOut(a)
	}
}

func (w *world) judge() error {
	if len(w.violations) > 0 {
		return fmt.Errorf("%v\ntrace: %v", w.violations, w.trace)
	}
	return nil
}

// converge lets time pass undisturbed and looks whether all is as wanted.
func (w *world) converge() error {
	w.runtimeDown, w.stubborn, w.slow, w.halt = false, false, false, nil
	for image := range w.registry {
		w.registry[image] = true
	}
	w.advance(20 * time.Minute)
	for range 5 { // init containers end well when they are let
		w.exit("i", 0)
		w.advance(20 * time.Minute)
	}
	if err := errors.Join(w.judge(), w.judgeEnd()); err != nil {
		return err
	}
	before := len(w.trace)
	w.advance(time.Hour)
	if moved := w.trace[before:]; len(moved) > 0 {
		return fmt.Errorf("L7: at rest, and yet %v", moved)
	}
	return w.judge()
}

func (w *world) judgeEnd() error {
	if w.want.Keep {
		return nil
	}
	if w.want.Desired == nil {
		if len(w.containers)+len(w.sandboxes) > 0 {
			return fmt.Errorf("L2: not wanted, yet there are %v, %v\ntrace: %v", w.live(), w.sandboxes, w.trace)
		}
		return nil
	}
	spec := w.want.Desired.Pod
	for i := range spec.Spec.Containers {
		name, ok := spec.Spec.Containers[i].Name, false
		for _, c := range w.containers {
			mine := c.Name == name && c.Spec() != nil && c.Spec().Image == spec.Spec.Containers[i].Image
			ok = ok || mine && (c.State == pod.StateRunning || spec.Spec.RestartPolicy != corev1.RestartPolicyAlways)
		}
		if !ok && !w.initFailedForGood() {
			return fmt.Errorf("L1: %s is wanted with %s, there are %v\nnotes %v\ntrace: %v", name, spec.Spec.Containers[i].Image, w.live(), w.decide().Notes, w.trace)
		}
	}
	return nil
}

// initFailedForGood tells whether an init container of a pod that never
// restarts ended badly: such a pod is over.
func (w *world) initFailedForGood() bool {
	for _, c := range w.containers {
		if c.Role == pod.RoleInit && c.State == pod.StateDead && c.Exit.Code != 0 && w.want.Desired.Pod.Spec.RestartPolicy == corev1.RestartPolicyNever {
			return true
		}
	}
	return false
}

func randomPod(t *rapid.T, key pod.Key) *pod.Desired {
	p := &corev1.Pod{}
	p.Namespace, p.Name = key.Namespace, key.Name
	p.Spec.RestartPolicy = rapid.SampledFrom([]corev1.RestartPolicy{"Always", "Always", "OnFailure", "Never"}).Draw(t, "policy")
	p.Spec.HostNetwork = rapid.IntRange(0, 4).Draw(t, "h") == 1
	p.Labels = map[string]string{"v": fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "label"))}
	grace := int64(rapid.SampledFrom([]int{0, 1, 30}).Draw(t, "grace"))
	p.Spec.TerminationGracePeriodSeconds = &grace
	if rapid.IntRange(0, 4).Draw(t, "share") == 1 {
		share := true
		p.Spec.ShareProcessNamespace = &share
	}
	if rapid.Bool().Draw(t, "init") {
		p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: "i", Image: "init:1"})
	}
	if rapid.Bool().Draw(t, "sidecar") {
		always := corev1.ContainerRestartPolicyAlways
		c := corev1.Container{Name: "s", Image: "side:1", RestartPolicy: &always}
		judge(t, &c)
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
	for _, name := range []string{"a", "b"}[:rapid.IntRange(1, 2).Draw(t, "containers")] {
		c := corev1.Container{Name: name, Image: rapid.SampledFrom([]string{"app:1", "app:2"}).Draw(t, "image")}
		c.ImagePullPolicy = rapid.SampledFrom([]corev1.PullPolicy{"IfNotPresent", "Always"}).Draw(t, "pull")
		if rapid.Bool().Draw(t, "env") {
			c.Env = []corev1.EnvVar{{Name: "A", Value: "1"}}
		}
		judge(t, &c)
		p.Spec.Containers = append(p.Spec.Containers, c)
	}
	manifest.Default(p)
	return &pod.Desired{Key: key, Pod: p, Origin: pod.Origin{Source: "local", File: "web.yaml"}}
}

// judge gives a container probes and hooks.
func judge(t *rapid.T, c *corev1.Container) {
	handler := &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: handler.Exec}}
	chance := func(what string) bool { return rapid.IntRange(0, 3).Draw(t, what) == 0 }
	if chance("startup") {
		c.StartupProbe = probe
	}
	if chance("liveness") {
		c.LivenessProbe = probe
	}
	if chance("readiness") {
		c.ReadinessProbe = probe
	}
	c.Lifecycle = &corev1.Lifecycle{}
	if chance("postStart") {
		c.Lifecycle.PostStart = handler
	}
	switch rapid.IntRange(0, 5).Draw(t, "preStop") {
	case 0:
		c.Lifecycle.PreStop = handler
	case 1:
		c.Lifecycle.PreStop = &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}
	}
}
