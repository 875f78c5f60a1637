package plan_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

// world is a server in miniature that carries out what the plan of one pod
// says: records, processes, sandboxes and images, with a clock that is
// turned by hand. It knows nothing of how the plan decides; it judges it.
type world struct {
	settings plan.Settings
	now      pod.Moment
	key      pod.Key
	want     plan.Want
	// halt: the server shuts down.
	halt *plan.Halt

	containers map[string]pod.Container
	sandboxes  map[int]pod.Sandbox
	registry   map[string]bool // images that can be pulled
	images     map[string]pod.Image
	history    int

	// What a crash of podstead loses.
	begun    map[int]bool
	resolved map[plan.Name]pod.Image
	failed   map[string]plan.Failure
	killed   map[string]pod.Moment
	exceeded map[int]string
	evicted  plan.Evictions
	unwired  map[int]bool
	restart  map[string]bool

	// verdicts of probes and hooks outlive podstead, not the host.
	verdicts map[pod.ProbeID]pod.ProbeVerdict
	// slow containers never succeed in their startup probe.
	slow bool

	// stubborn containers ignore SIGTERM; unkillable ones SIGKILL too.
	stubborn, unkillable bool
	runtimeDown          bool
	boot                 int

	// cutOff: podstead dies before the next stop signal is sent.
	cutOff bool

	// fault, if set, spoils what the planner sees.
	fault func(*plan.Settings, *plan.Want, *plan.Have, *pod.Moment)

	trace      []string
	violations []string
	streak     map[string]int // deaths in a row, by container
	sigterm    map[string]pod.Moment
}

func newWorld() *world {
	return &world{
		settings: plan.DefaultSettings(), now: pod.Moment(time.Hour),
		key:        pod.Key{Namespace: "default", Name: "web"},
		containers: map[string]pod.Container{}, sandboxes: map[int]pod.Sandbox{},
		registry: map[string]bool{}, images: map[string]pod.Image{},
		begun: map[int]bool{}, resolved: map[plan.Name]pod.Image{}, failed: map[string]plan.Failure{},
		killed: map[string]pod.Moment{}, restart: map[string]bool{}, exceeded: map[int]string{}, unwired: map[int]bool{}, verdicts: map[pod.ProbeID]pod.ProbeVerdict{},
		streak: map[string]int{}, sigterm: map[string]pod.Moment{},
	}
}

func (w *world) stamp() pod.Stamp {
	return pod.Stamp{Moment: w.now, Wall: time.Unix(1_800_000_000, 0).Add(time.Duration(w.now))}
}

func (w *world) have() plan.Have {
	h := plan.Have{
		RuntimeUp: !w.runtimeDown, LastInstance: w.history, Begun: w.begun,
		Images: w.images, Resolved: w.resolved, Failed: w.failed, Killed: w.killed, Verdicts: w.verdicts,
		Exceeded: w.exceeded, Evicted: w.evicted, Unwired: w.unwired,
	}
	for _, c := range w.containers {
		h.Containers = append(h.Containers, c)
		h.LastInstance = max(h.LastInstance, c.Instance.Number)
	}
	for n, s := range w.sandboxes {
		h.Sandboxes = append(h.Sandboxes, s)
		h.LastInstance = max(h.LastInstance, n)
	}
	return h
}

func (w *world) decide() plan.Decision {
	want := w.want
	want.Restart, want.Halt = w.restart, w.halt
	settings, have, now := w.settings, w.have(), w.now
	if w.fault != nil {
		w.fault(&settings, &want, &have, &now)
	}
	return plan.Pod(settings, want, have, now)
}

// settle carries out whatever the plan asks for until it asks for nothing at
// this moment. It returns the time of the next wake-up.
func (w *world) settle() pod.Moment {
	for range 200 {
		d := w.decide()
		a, ok := firstOf(d.Actions)
		if !ok && w.probe() {
			continue
		}
		if !ok {
			if d.Wake != 0 && d.Wake <= w.now {
				w.violate("L4 hot: wakes at %v, now is %v", d.Wake, w.now)
			}
			return d.Wake
		}
		w.carryOut(a)
	}
	w.violate("L1: no fixpoint after 200 actions: %v", w.decide().Actions)
	return 0
}

func firstOf(actions []plan.Action) (plan.Action, bool) {
	if len(actions) == 0 {
		return nil, false
	}
	return actions[0], true
}

// advance turns the clock by d, waking the plan whenever it asked for it.
func (w *world) advance(d time.Duration) {
	end := w.now.Add(d)
	for range 10_000 {
		wake := w.settle()
		if wake == 0 || wake > end {
			break
		}
		w.now = max(wake, w.now)
	}
	w.now = end
	w.settle()
}

func (w *world) violate(format string, args ...any) {
	if len(w.violations) > 3 {
		return
	}
	w.violations = append(w.violations, fmt.Sprintf(format, args...))
}

// carryOut does what an action says, as the effectors would.
func (w *world) carryOut(a plan.Action) {
	w.trace = append(w.trace, a.String())
	if w.runtimeDown {
		w.violate("S3: %s while the runtime can't be asked", a)
		return
	}
	switch a := a.(type) {
	case plan.Pull:
		w.pull(a)
		return
	case plan.Prepare:
		w.begun[a.Instance] = true
		delete(w.unwired, a.Instance)
		w.sandboxes[a.Instance] = pod.Sandbox{Instance: w.instance(a.Instance), ID: fmt.Sprintf("s%d.%d", a.Instance, w.boot), Ready: true}
	case plan.Start:
		w.start(a)
	case plan.Stop:
		w.stop(a)
	case plan.Hook:
		w.judgeHook(a)
		w.verdict(a.ID, a.Kind, pod.ProbeSuccess)
	case plan.Kill:
		w.kill(a)
	case plan.Reap:
		w.reap(a)
	case plan.Remove:
		w.remove(a.ID)
	case plan.Amend:
		for _, id := range a.IDs {
			c := w.containers[id]
			c.Pod, c.Origin = a.Desired.Pod, a.Desired.Origin
			w.containers[id] = c
		}
	case plan.Teardown:
		w.teardown(a)
	}
	delete(w.failed, a.Name())
}

func (w *world) instance(n int) pod.Instance { return pod.Instance{Key: w.key, Number: n} }

func (w *world) pull(a plan.Pull) {
	if !w.registry[a.Image] {
		w.failed[a.Name()] = plan.Failure{Count: w.failed[a.Name()].Count + 1, At: w.now, Reason: "ErrImagePull", Message: "not found"}
		return
	}
	img := pod.Image{Ref: a.Image, Digest: "sha256:" + a.Image}
	w.images[a.Image] = img
	w.resolved[plan.Name{Image: a.Image, Instance: a.Instance}] = img
	delete(w.failed, a.Name())
}

func (w *world) start(a plan.Start) {
	uid := pod.UID("node", w.instance(a.Instance))
	id := pod.ContainerID(uid, a.Container, a.Attempt)
	w.judgeStart(a)
	w.judgeBackoff(a)
	w.containers[id] = pod.Container{
		ID: id, Instance: w.instance(a.Instance), UID: uid, Name: a.Container, Role: a.Role,
		Attempt: a.Attempt, Failures: a.Failures, Sandbox: w.sandboxes[a.Instance].ID,
		Pod: a.Desired.Pod, Origin: a.Desired.Origin, Image: a.Image,
		State: pod.StateRunning, PID: 1000 + len(w.trace), Created: w.stamp(), Started: w.stamp(),
	}
}

// shutDown begins a shutdown that gives the pod some time at most.
func (w *world) shutDown(limit time.Duration) {
	w.halt = &plan.Halt{Since: w.now, Deadline: w.now.Add(limit), Reason: "the server shuts down"}
}

// judgeStart holds a start against the laws.
func (w *world) judgeStart(a plan.Start) {
	spec := a.Desired.Pod
	if w.halt != nil {
		w.violate("S2: %s while the server shuts down", a)
	}
	if w.want.Desired == nil && !w.want.Keep {
		w.violate("S2: %s although nobody wants the pod", a)
	}
	if s, ok := w.sandboxes[a.Instance]; !ok || !s.Ready {
		w.violate("S10: %s without a sandbox", a)
	}
	if a.Role != pod.RolePause && a.Image.Digest == "" {
		w.violate("S2: %s without an image", a)
	}
	for _, c := range w.containers {
		if c.Live() && (c.Name == a.Container || c.Instance.Number != a.Instance) {
			w.violate("S1: %s while %s of #%d is %s", a, c.Name, c.Instance.Number, c.State)
		}
		if c.Instance.Number > a.Instance {
			w.violate("S6: %s after #%d", a, c.Instance.Number)
		}
	}
	if a.Role == pod.RoleApp {
		w.judgeInit(a, spec)
		w.judgeStarted(a, spec)
	}
}

func (w *world) judgeInit(a plan.Start, spec *corev1.Pod) {
	sandbox := w.sandboxes[a.Instance].ID
	for i := range spec.Spec.InitContainers {
		init := &spec.Spec.InitContainers[i]
		ok := false
		for _, c := range w.containers {
			here := c.Name == init.Name && c.Sandbox == sandbox
			ended := c.State == pod.StateDead && c.Exit.Code == 0
			ok = ok || here && (ended || pod.InitRole(init) == pod.RoleSidecar)
		}
		for _, c := range w.containers {
			ok = ok || c.Role == pod.RoleApp && c.Sandbox == sandbox
		}
		if !ok {
			w.violate("S10: %s before init container %s is done", a, init.Name)
		}
	}
}

// judgeBackoff holds a restart against S8, by what the world saw itself.
func (w *world) judgeBackoff(a plan.Start) {
	var last *pod.Container
	for _, c := range w.containers {
		if c.Name == a.Container && c.Instance.Number == a.Instance && c.Attempt == a.Attempt-1 {
			last = &c
		}
	}
	asked := last != nil && last.Stopping != nil && !last.Stopping.Failure
	changed := last == nil || asked || w.restart[last.ID] || last.Sandbox != w.sandboxes[a.Instance].ID ||
		!reflect.DeepEqual(last.Spec(), pod.ContainerSpec(a.Desired.Pod, a.Container))
	if changed {
		w.streak[a.Container] = 0
		return
	}
	if n := w.streak[a.Container]; n > 1 {
		if gap, least := w.now.Sub(last.Exit.At.Moment), min(10*time.Second<<(n-2), 5*time.Minute); gap < least {
			w.violate("S8: %s %s after its last end, %d deaths in a row ask for %s", a, gap, n, least)
		}
	}
}

func (w *world) stop(a plan.Stop) {
	c, ok := w.containers[a.ID]
	if !ok || c.State != pod.StateRunning {
		return
	}
	if w.want.Keep && a.Scope == pod.StopPod && !w.condemned(c.Instance.Number) {
		w.violate("S3: %s although nobody can tell whether the pod is wanted", a)
	}
	w.judgeStop(a, c)
	s := pod.Stopping{Since: w.stamp(), Scope: a.Scope, Grace: a.Grace, Reason: a.Reason, Failure: a.Failure}
	if !a.Since.IsZero() {
		s.Since = a.Since
	}
	c.Stopping = &s
	w.containers[a.ID] = c
	if a.Hold {
		return
	}
	if w.cutOff { // killed between the record and the signal
		w.cutOff = false
		w.crash()
		return
	}
	s.Signalled = w.stamp()
	if _, again := w.sigterm[a.ID]; !again {
		w.sigterm[a.ID] = w.now
	}
	delete(w.restart, a.ID)
	if !w.stubborn {
		w.exit(c.Name, 143)
	}
}

func (w *world) condemned(instance int) bool {
	for _, c := range w.containers {
		if c.Instance.Number == instance && c.Stopping != nil && c.Stopping.Scope == pod.StopPod {
			return true
		}
	}
	return false
}

func (w *world) kill(a plan.Kill) {
	w.killed[a.ID] = w.now
	c, ok := w.containers[a.ID]
	if !ok {
		return
	}
	if _, sent := w.sigterm[a.ID]; !sent {
		w.violate("S9: %s without a signal before", a)
	} else if grace := c.Stopping.Grace; (w.halt == nil || w.now < w.halt.Deadline) && c.Role != pod.RoleSidecar && c.Role != pod.RolePause && w.now.Sub(w.graceFrom(c)) < grace && c.Stopping.Scope == pod.StopContainer {
		w.violate("S9: %s after %s of %s grace", a, w.now.Sub(w.graceFrom(c)), grace)
	}
	if !w.unkillable {
		w.exit(c.Name, 137)
	}
}

func (w *world) reap(a plan.Reap) {
	c := w.containers[a.ID]
	if c.State != pod.StateExited {
		w.violate("reap of %s, which is %s", c.Name, c.State)
	}
	c.State = pod.StateDead
	w.containers[a.ID] = c
}

func (w *world) remove(id string) {
	if c := w.containers[id]; c.Live() {
		w.violate("S3: removal of %s, which is %s", c.Name, c.State)
	}
	delete(w.containers, id)
}

func (w *world) teardown(a plan.Teardown) {
	w.history = max(w.history, a.Instance)
	if w.halt != nil && (w.want.Keep || w.want.Desired != nil) && w.begun[a.Instance] && !w.condemned(a.Instance) && w.exceeded[a.Instance] == "" {
		w.violate("S3: %s while the server shuts down", a)
	}
	for id, c := range w.containers {
		if c.Instance.Number != a.Instance {
			continue
		}
		if c.Live() {
			w.violate("S11: teardown of #%d while %s is %s", a.Instance, c.Name, c.State)
		}
		delete(w.containers, id)
	}
	delete(w.sandboxes, a.Instance)
	delete(w.begun, a.Instance)
	delete(w.unwired, a.Instance)
	if reason := w.exceeded[a.Instance]; reason != "" {
		w.evicted = w.settings.Evicted(w.evicted, reason, w.now)
	}
	delete(w.exceeded, a.Instance)
	clear(w.failed)
}

// exit ends the running process of a container.
func (w *world) exit(name string, code int) bool {
	for id, c := range w.containers {
		if c.Name != name || c.State != pod.StateRunning {
			continue
		}
		reason := pod.ExitError
		if code == 0 {
			reason = pod.ExitCompleted
		}
		if w.now.Sub(c.Started.Moment) >= 10*time.Minute {
			w.streak[name] = 0
		}
		w.streak[name]++
		c.State, c.PID = pod.StateExited, 0
		c.Exit = &pod.Exit{Code: code, Reason: reason, At: w.stamp()}
		w.containers[id] = c
		return true
	}
	return false
}

// crash is a SIGKILL of podstead: everything that is not durable is lost.
func (w *world) crash() {
	w.begun, w.resolved = map[int]bool{}, map[plan.Name]pod.Image{}
	w.failed, w.killed = map[string]plan.Failure{}, map[string]pod.Moment{}
	w.restart, w.images = map[string]bool{}, map[string]pod.Image{}
	w.exceeded, w.evicted = map[int]string{}, plan.Evictions{}
}

// reboot ends every process and loses every sandbox.
func (w *world) reboot() {
	w.crash()
	w.halt = nil
	w.boot++
	w.now = 0
	clear(w.sandboxes)
	clear(w.sigterm)
	clear(w.verdicts)
	for id, c := range w.containers {
		c.Created.Moment, c.Started.Moment = 0, 0
		if c.Stopping != nil {
			s := *c.Stopping
			s.Since.Moment = 0
			c.Stopping = &s
		}
		if c.State == pod.StateRunning {
			c.State, c.PID = pod.StateExited, 0
			c.Exit = &pod.Exit{Code: 137, Reason: pod.ExitUnknown, At: w.stamp()}
		} else if c.Exit != nil {
			e := *c.Exit
			e.At.Moment = 0
			c.Exit = &e
		}
		w.containers[id] = c
	}
}

// live lists the running containers as "name#instance.attempt".
func (w *world) live() []string {
	var out []string
	for _, c := range w.containers {
		if c.State == pod.StateRunning {
			out = append(out, fmt.Sprintf("%s#%d.%d", c.Name, c.Instance.Number, c.Attempt))
		}
	}
	slices.Sort(out)
	return out
}

func (w *world) liveText() string { return strings.Join(w.live(), " ") }
