package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/agent/plan/service"
	"github.com/podstead/podstead/pod"
)

// podState is what the loop knows of one pod.
type podState struct {
	key        pod.Key
	seen       pod.Stamp
	containers map[string]pod.Container
	sandboxes  map[int]pod.Sandbox
	// lastInstance is the highest number ever used for this key.
	lastInstance int
	begun        map[int]bool
	resolved     map[plan.Name]pod.Image
	failed       map[string]plan.Failure
	killed       map[string]pod.Moment
	exceeded     map[int]string
	unwired      map[int]bool
	evicted      plan.Evictions
	measuring    measuring
	// cleared is what the instances were whose containers a teardown removed.
	cleared map[int]*pod.Desired
	// limitsLost: the kernel may not hold the limits of what runs any more.
	limitsLost bool
	// busy are the targets with an operation in flight.
	busy map[string]bool
	// startCounted: how long the pod took to start was counted once already.
	startCounted bool
	// oomKills counts the runs that the kernel ended for want of memory.
	oomKills map[containerName]uint64
	// restart holds the containers that an operator wants restarted.
	restart map[string]bool
	// hooks end the hooks that run in a container.
	hooks map[string][]context.CancelFunc
	// networks and targets are what the host's network has to do for the pod
	// and which probes are to be made of it.
	networks []pod.PodNetwork
	targets  []pod.ProbeTarget
	// leaving are the instances that are being ended, since when; members is
	// what Services know of the pod.
	leaving map[int]pod.Moment
	members []service.Pod
	// rev rises with every result of an operation on the pod, so that an
	// observation that is older than the result is recognised.
	rev int

	wake  pod.Moment
	notes []string
	views []pod.View
}

func newPodState(key pod.Key, seen pod.Stamp) *podState {
	return &podState{
		key: key, seen: seen,
		containers: map[string]pod.Container{},
		sandboxes:  map[int]pod.Sandbox{},
		begun:      map[int]bool{},
		resolved:   map[plan.Name]pod.Image{},
		failed:     map[string]plan.Failure{},
		killed:     map[string]pod.Moment{},
		exceeded:   map[int]string{},
		unwired:    map[int]bool{},
		cleared:    map[int]*pod.Desired{},
		busy:       map[string]bool{},
		oomKills:   map[containerName]uint64{},
		restart:    map[string]bool{},
		hooks:      map[string][]context.CancelFunc{},
	}
}

// empty tells whether nothing of the pod exists and nothing is in flight.
func (ps *podState) empty() bool {
	return len(ps.containers) == 0 && len(ps.sandboxes) == 0 && len(ps.begun) == 0 && len(ps.busy) == 0
}

// newest returns the readable container that was made last, a zero one if
// there is none.
func (ps *podState) newest() pod.Container {
	number := 0
	for _, c := range ps.containers {
		if c.Pod != nil {
			number = max(number, c.Instance.Number)
		}
	}
	return ps.newestOf(number)
}

// newestOf is newest among the containers of one instance.
func (ps *podState) newestOf(number int) pod.Container {
	var found pod.Container
	ok := false
	for _, c := range ps.containers {
		if c.Pod == nil || c.Instance.Number != number {
			continue
		}
		if !ok || c.Created.Wall.After(found.Created.Wall) {
			found, ok = c, true
		}
	}
	return found
}

func (ps *podState) owner() plan.Owner {
	c := ps.newest()
	return plan.Owner{Source: c.Origin.Source, File: c.Origin.File}
}

// livePod is the version of the pod whose containers hold resources now.
func (ps *podState) livePod() *corev1.Pod {
	for _, c := range ps.containers {
		if c.Live() && c.Pod != nil {
			return ps.newest().Pod
		}
	}
	return nil
}

// put takes the observation of one container.
func (ps *podState) put(c pod.Container) {
	if c.State == pod.StateDead && c.Exit == nil {
		c.Exit = &pod.Exit{Code: 137, Reason: pod.ExitUnknown}
	}
	ps.containers[c.ID] = c
	if c.State != pod.StateRunning {
		ps.endHooks(c.ID)
	}
	ps.lastInstance = max(ps.lastInstance, c.Instance.Number)
}

// drop forgets a container that is gone.
func (ps *podState) drop(id string) {
	delete(ps.containers, id)
	delete(ps.killed, id)
	delete(ps.restart, id)
	ps.endHooks(id)
}

// endHooks ends the hooks of a container that runs no more.
func (ps *podState) endHooks(id string) {
	for _, end := range ps.hooks[id] {
		end()
	}
	delete(ps.hooks, id)
}

// have is what the plan sees of a pod.
func (l *loop) have(ps *podState) plan.Have {
	h := plan.Have{
		RuntimeUp:    l.runtime.Up,
		LastInstance: ps.lastInstance,
		Begun:        ps.begun,
		Images:       l.presentImages(ps.key),
		Gone:         l.gone,
		Resolved:     ps.resolved,
		Failed:       ps.failed,
		Killed:       ps.killed,
		Exceeded:     ps.exceeded,
		Unwired:      ps.unwired,
		Cleared:      ps.cleared,
		Verdicts:     l.verdicts,
		Evicted:      ps.evicted,
		LimitsLost:   ps.limitsLost,
		Queued:       l.restarts.queued(ps.key),
		Serving:      l.serving(ps, l.cfg.Now().Moment),
	}
	for _, c := range ps.containers {
		h.Containers = append(h.Containers, c)
	}
	for _, s := range ps.sandboxes {
		h.Sandboxes = append(h.Sandboxes, s)
	}
	return h
}

// uids are those of all instances of which something exists.
func (l *loop) uids(ps *podState) []types.UID {
	numbers := map[int]bool{}
	for _, c := range ps.containers {
		numbers[c.Instance.Number] = true
	}
	for n := range ps.sandboxes {
		numbers[n] = true
	}
	uids := make([]types.UID, 0, len(numbers))
	for _, n := range slices.Sorted(maps.Keys(numbers)) {
		uids = append(uids, l.uid(l.instance(ps, n)))
	}
	return uids
}

func (l *loop) uid(i pod.Instance) types.UID { return pod.UID(l.cfg.Node.ID, i) }

// restart notes that containers are to be restarted: those that run, and those
// that wait for their back-off.
func (l *loop) restart(key pod.Key, container string) error {
	ps := l.pods[key]
	if ps == nil {
		return &NotFound{What: fmt.Sprintf("pod %q", key.Name)}
	}
	found := false
	for id, c := range ps.containers {
		alive := c.State == pod.StateRunning || c.State == pod.StateDead && isLatest(ps, c)
		if !alive || c.Role == pod.RolePause || container != "" && c.Name != container {
			continue
		}
		ps.restart[id], found = true, true
	}
	if !found {
		return &NotFound{What: fmt.Sprintf("container that runs or waits to be restarted in pod %q", key.Name)}
	}
	l.dirty[key] = true
	return nil
}
