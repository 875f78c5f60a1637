package host

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/guest"
)

// wait is how long is waited for anything that takes seconds on a server, and
// longer under emulation on a busy machine.
const wait = 5 * time.Minute

// node is a guest on which podstead is installed.
type node struct {
	*guest.Guest
	t testing.TB
	*diary
	random *rand.Rand
	// wanted are the pods that should be there now, in the namespace default.
	wanted map[string]spec
	// pulled is how many images were pulled.
	pulled int
}

// newNode boots a guest; nothing is installed on it yet.
func newNode(t *testing.T, o guest.Options) *node {
	t.Helper()
	n := &node{Guest: guest.Boot(t, o), t: t, diary: newDiary(t), wanted: map[string]spec{}}
	n.newBoot()
	return n
}

// For returns the same node as seen by a subtest.
func (n *node) For(t testing.TB) *node {
	of := *n
	of.Guest, of.t = n.Guest.For(t), t
	return &of
}

// Pod returns the pod "namespace/name" as podstead shows it.
func (n *node) Pod(key string) (corev1.Pod, error) {
	n.t.Helper()
	namespace, name, _ := strings.Cut(key, "/")
	var p corev1.Pod
	_, err := n.HTTP(socketPath, fmt.Sprintf("http://podstead/api/v1/namespaces/%s/pods/%s", namespace, name), &p)
	return p, err
}

// Pods returns every pod that podstead shows.
func (n *node) Pods() ([]corev1.Pod, error) {
	n.t.Helper()
	var list corev1.PodList
	_, err := n.HTTP(socketPath, "http://podstead/api/v1/pods", &list)
	return list.Items, err
}

// WaitReady waits until every container of a pod runs and is ready.
func (n *node) WaitReady(name string) corev1.Pod {
	n.t.Helper()
	return n.WaitPod(name, ready)
}

// WaitPod waits until a pod of the namespace default is as wanted and returns
// it.
func (n *node) WaitPod(name string, condition func(corev1.Pod) error) corev1.Pod {
	n.t.Helper()
	var p corev1.Pod
	n.Eventually(wait, func() (err error) {
		if p, err = n.Pod("default/" + name); err != nil {
			return err
		}
		if err := condition(p); err != nil {
			return fmt.Errorf("pod %s: %w", name, err)
		}
		return nil
	})
	return p
}

func ready(p corev1.Pod) error {
	if p.Status.Phase != corev1.PodRunning || len(p.Status.ContainerStatuses) != len(p.Spec.Containers) {
		return fmt.Errorf("phase %s", p.Status.Phase)
	}
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Running == nil || !c.Ready {
			return fmt.Errorf("container %s: %+v, ready %v", c.Name, c.State, c.Ready)
		}
	}
	return nil
}

// WaitGone waits until podstead shows a pod no more.
func (n *node) WaitGone(name string) {
	n.t.Helper()
	n.Eventually(wait, func() error {
		pods, err := n.Pods()
		if err != nil {
			return err
		}
		for _, p := range pods {
			if p.Name == name {
				return fmt.Errorf("pod %s is still there: %s", name, p.Status.Phase)
			}
		}
		return nil
	})
}

// containerID returns the bare id of a pod's container.
func containerID(p corev1.Pod, name string) string {
	for _, c := range p.Status.ContainerStatuses {
		if c.Name == name {
			return strings.TrimPrefix(c.ContainerID, "containerd://")
		}
	}
	return ""
}
