package host

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/guest"
)

// Bounds for what takes seconds on a server and longer under emulation on a
// busy machine.
const (
	waitReady = 5 * time.Minute
	waitFile  = 2 * time.Minute
)

// node is a guest on which podstead is installed.
type node struct {
	*guest.Guest
	t testing.TB
	*diary
}

// newNode boots a guest; nothing is installed on it yet.
func newNode(t *testing.T, o guest.Options) *node {
	t.Helper()
	o.Payload = payload(t)
	n := &node{guest.Boot(t, o), t, newDiary(t)}
	n.newBoot()
	return n
}

// For returns the same node as seen by a subtest.
func (n *node) For(t testing.TB) *node { return &node{n.Guest.For(t), t, n.diary} }

// Write puts a manifest into place.
func (n *node) Write(name, yaml string) {
	n.t.Helper()
	n.Put(filepath.Join(manifestsDir, name), yaml, 0o600)
}

// Remove removes a manifest.
func (n *node) Remove(name string) {
	n.t.Helper()
	n.Run("rm", filepath.Join(manifestsDir, name))
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
func (n *node) WaitReady(key string) corev1.Pod {
	n.t.Helper()
	return n.WaitPod(key, ready)
}

// WaitPod waits until a pod is as wanted and returns it.
func (n *node) WaitPod(key string, condition func(corev1.Pod) error) corev1.Pod {
	n.t.Helper()
	var p corev1.Pod
	n.Eventually(waitReady, func() (err error) {
		if p, err = n.Pod(key); err != nil {
			return err
		}
		if err := condition(p); err != nil {
			return fmt.Errorf("pod %s: %w", key, err)
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
func (n *node) WaitGone(key string) {
	n.t.Helper()
	n.Eventually(waitReady, func() error {
		pods, err := n.Pods()
		if err != nil {
			return err
		}
		for _, p := range pods {
			if p.Namespace+"/"+p.Name == key {
				return fmt.Errorf("pod %s is still there: %s", key, p.Status.Phase)
			}
		}
		return nil
	})
}
