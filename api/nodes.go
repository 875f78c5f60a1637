package api

import (
	"context"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/podstead/podstead/pod"
)

// NodeStats reads what the whole server uses.
type NodeStats interface {
	// NodeUsage returns the CPU time used since boot, in nanoseconds, and the
	// memory that can't be given back, in bytes.
	NodeUsage() (cpuNanos, workingSet uint64, err error)
}

// nodeStats lets a sampler read the server as if it were a cgroup.
type nodeStats struct{ stats NodeStats }

func (n nodeStats) Usage(context.Context, string) (cpuNanos, workingSet uint64, err error) {
	return n.stats.NodeUsage()
}

// nodes lists the one node that there is.
func (s *Server) nodes(w http.ResponseWriter, _ *http.Request) {
	snap, err := s.latest()
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, corev1.NodeList{
		TypeMeta: metav1.TypeMeta{Kind: "NodeList", APIVersion: "v1"}, ListMeta: listMeta(snap), Items: []corev1.Node{s.nodeOf(snap)},
	})
}

func (s *Server) node(w http.ResponseWriter, r *http.Request) {
	snap, err := s.findNode(r)
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, s.nodeOf(snap))
}

// findNode returns the newest snapshot if the path names its node, or none.
func (s *Server) findNode(r *http.Request) (*pod.Snapshot, error) {
	snap, err := s.latest()
	if err != nil {
		return nil, err
	}
	if name := r.PathValue("name"); name != "" && name != snap.Node.Name {
		return nil, apierrors.NewNotFound(corev1.Resource("nodes"), name)
	}
	return snap, nil
}

func (s *Server) nodeOf(snap *pod.Snapshot) corev1.Node {
	n := corev1.Node{
		TypeMeta:   metav1.TypeMeta{Kind: "Node", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Name: snap.Node.Name, ResourceVersion: version(snap), Labels: snap.Node.Labels},
		Status: corev1.NodeStatus{
			Capacity: snap.Node.Capacity, Allocatable: snap.Node.Allocatable, NodeInfo: s.cfg.NodeInfo,
			Conditions: []corev1.NodeCondition{diskCondition(snap), readyCondition(snap)},
		},
	}
	n.Status.NodeInfo.SystemUUID, n.Status.NodeInfo.BootID = snap.Node.ID, snap.Node.BootID
	n.Status.NodeInfo.KubeletVersion = s.cfg.Version.Version
	if snap.Runtime.Version != "" {
		n.Status.NodeInfo.ContainerRuntimeVersion = "containerd://" + snap.Runtime.Version
	}
	for _, ip := range snap.Node.HostIPs {
		n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeHostName, Address: snap.Node.Name})
	return n
}

// readyCondition is true while containerd answers and pods are not stopped for
// a shutdown.
func readyCondition(snap *pod.Snapshot) corev1.NodeCondition {
	c := corev1.NodeCondition{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "RuntimeReady", Message: "podstead runs and containerd answers",
		LastHeartbeatTime: metav1.NewTime(snap.Time), LastTransitionTime: metav1.NewTime(snap.Runtime.Since),
	}
	if d := snap.Draining; d.Reason != "" {
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, pod.ReasonShutdown, d.Reason
		c.LastTransitionTime = metav1.NewTime(d.Since)
	}
	if !snap.Runtime.Up {
		c.Status, c.Reason = corev1.ConditionFalse, "RuntimeDown"
		c.Message = fmt.Sprintf("containerd at %s does not answer: %s", snap.Runtime.Address, snap.Runtime.Error)
	}
	return c
}

// diskCondition is true while a file system is short of room.
func diskCondition(snap *pod.Snapshot) corev1.NodeCondition {
	c := corev1.NodeCondition{
		Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "HasNoDiskPressure", Message: "every file system has room",
		LastHeartbeatTime: metav1.NewTime(snap.Time), LastTransitionTime: metav1.NewTime(snap.Disk.Since),
	}
	switch pressure := snap.Disk.Pressure(); {
	case snap.Disk.Filesystems == nil:
		c.Status, c.Reason, c.Message = corev1.ConditionUnknown, "NotMeasured", "the file systems have not been measured yet"
	case pressure != "":
		c.Status, c.Reason, c.Message = corev1.ConditionTrue, "HasDiskPressure", pressure
	}
	return c
}

// nodeMetrics answers with what the server uses. When nobody asked within the
// last minute the answer takes a second.
func (s *Server) nodeMetrics(w http.ResponseWriter, r *http.Request) {
	snap, err := s.findNode(r)
	if err != nil {
		writeError(w, err)
		return
	}
	// The one reading has the node's name as its id.
	now, err := s.nodeUsage.read(r.Context(), map[string]string{snap.Node.Name: ""})
	if err != nil {
		writeError(w, err)
		return
	}
	u, ok := now[snap.Node.Name]
	if !ok {
		writeError(w, apierrors.NewServiceUnavailable("what the server uses can't be read: the kernel's /proc/stat and /proc/meminfo are wanted"))
		return
	}
	m := NodeMetrics{
		TypeMeta:   metav1.TypeMeta{Kind: "NodeMetrics", APIVersion: "metrics.k8s.io/v1beta1"},
		ObjectMeta: metav1.ObjectMeta{Name: snap.Node.Name},
		Timestamp:  metav1.Now(), Window: metav1.Duration{Duration: u.window}, Usage: u.resources(),
	}
	if r.PathValue("name") != "" {
		writeJSON(w, http.StatusOK, m)
		return
	}
	writeJSON(w, http.StatusOK, NodeMetricsList{
		TypeMeta: metav1.TypeMeta{Kind: "NodeMetricsList", APIVersion: "metrics.k8s.io/v1beta1"}, ListMeta: listMeta(snap), Items: []NodeMetrics{m},
	})
}

// resources are cpu in cores and memory in bytes.
func (u usage) resources() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewScaledQuantity(int64(u.cores*1e9), resource.Nano),
		corev1.ResourceMemory: *resource.NewQuantity(int64(u.memory), resource.BinarySI),
	}
}
