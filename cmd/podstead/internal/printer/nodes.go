package printer

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// NodeHeader returns the headings for NodeRow.
func NodeHeader(c Columns) []string {
	header := []string{"NAME", "STATUS", "ROLES", "AGE", "VERSION"}
	if c.Wide {
		header = append(header, "INTERNAL-IP", "EXTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION", "CONTAINER-RUNTIME")
	}
	return Columns{Labels: c.Labels}.frame("", "LABELS", header)
}

// NodeRow shows one node.
func NodeRow(n *corev1.Node, c Columns, now time.Time) []string {
	row := []string{n.Name, nodeStatus(n), none, Age(n.CreationTimestamp.Time, now), n.Status.NodeInfo.KubeletVersion}
	if c.Wide {
		info := n.Status.NodeInfo
		row = append(row, nodeAddress(n), none, unknownOr(info.OSImage), unknownOr(info.KernelVersion), unknownOr(info.ContainerRuntimeVersion))
	}
	return Columns{Labels: c.Labels}.frame("", pairsOrNone(n.Labels), row)
}

func pairsOrNone(m map[string]string) string { return orNone(strings.Join(pairs(m, "="), ",")) }

func unknownOr(s string) string {
	if s == "" {
		return "<unknown>"
	}
	return s
}

func nodeStatus(n *corev1.Node) string {
	for _, c := range n.Status.Conditions {
		switch {
		case c.Type != corev1.NodeReady:
		case c.Status == corev1.ConditionTrue:
			return "Ready"
		default:
			return "NotReady"
		}
	}
	return "Unknown"
}

func nodeAddress(n *corev1.Node) string {
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return a.Address
		}
	}
	return none
}

// DescribeNode tells all that is known of a node and of the pods on it, in
// kubectl's sections.
func DescribeNode(w io.Writer, n *corev1.Node, pods []corev1.Pod, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	p := &page{w: t, now: now}
	p.line(0, "Name", n.Name)
	p.list(0, "Labels", pairs(n.Labels, "="))
	p.printf(0, "Conditions:\n")
	p.printf(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage\n")
	for _, c := range n.Status.Conditions {
		p.printf(1, "%s\t%s\t%s\t%s\t%s\n", c.Type, c.Status, clock(c.LastTransitionTime.Time), c.Reason, oneLine(c.Message))
	}
	p.printf(0, "Addresses:\n")
	for _, a := range n.Status.Addresses {
		p.line(1, string(a.Type), a.Address)
	}
	p.quantities("Capacity", n.Status.Capacity)
	p.quantities("Allocatable", n.Status.Allocatable)
	p.system(&n.Status.NodeInfo)
	p.nodePods(n, pods)
	p.allocated(n, pods)
	if p.err != nil {
		return p.err
	}
	return t.Flush()
}

// nodePods lists the pods with what they request and may use.
func (p *page) nodePods(n *corev1.Node, pods []corev1.Pod) {
	p.printf(0, "Pods:\t(%d in total)\n", len(pods))
	p.printf(1, "Namespace\tName\tStatus\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge\n")
	for i := range pods {
		o := &pods[i]
		requests, limits := pod.Requests(o), pod.Limits(o)
		p.printf(1, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", o.Namespace, o.Name, Status(o),
			shareText(requests, n, corev1.ResourceCPU), shareText(limits, n, corev1.ResourceCPU),
			shareText(requests, n, corev1.ResourceMemory), shareText(limits, n, corev1.ResourceMemory), Age(o.CreationTimestamp.Time, p.now))
	}
}

// allocated adds up what the pods have that hold room.
func (p *page) allocated(n *corev1.Node, pods []corev1.Pod) {
	requests, limits := corev1.ResourceList{}, corev1.ResourceList{}
	for i := range pods {
		if pod.HoldsRoom(&pods[i]) {
			pod.Add(requests, pod.Requests(&pods[i]))
			pod.Add(limits, pod.Limits(&pods[i]))
		}
	}
	p.printf(0, "Allocated resources:\n")
	p.printf(1, "(Limits may be over 100 percent; pods that wait for room are not counted.)\n")
	p.printf(1, "Resource\tRequests\tLimits\n")
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		p.printf(1, "%s\t%s\t%s\n", name, shareText(requests, n, name), shareText(limits, n, name))
	}
}

// shareText is an amount and which part of the allocatable it is.
func shareText(list corev1.ResourceList, n *corev1.Node, name corev1.ResourceName) string {
	q, all := list[name], n.Status.Allocatable[name]
	if all.IsZero() {
		return pod.Amount(q, name)
	}
	return fmt.Sprintf("%s (%d%%)", pod.Amount(q, name), int64(100*q.AsApproximateFloat64()/all.AsApproximateFloat64()))
}

func (p *page) quantities(title string, list corev1.ResourceList) {
	p.printf(0, "%s:\n", title)
	for _, name := range slices.Sorted(maps.Keys(list)) {
		q := list[name]
		p.line(1, string(name), q.String())
	}
}

func (p *page) system(info *corev1.NodeSystemInfo) {
	p.printf(0, "System Info:\n")
	p.line(1, "Machine ID", info.MachineID)
	p.line(1, "System UUID", info.SystemUUID)
	p.line(1, "Boot ID", info.BootID)
	p.line(1, "Kernel Version", info.KernelVersion)
	p.line(1, "OS Image", info.OSImage)
	p.line(1, "Operating System", info.OperatingSystem)
	p.line(1, "Architecture", info.Architecture)
	p.line(1, "Container Runtime Version", info.ContainerRuntimeVersion)
	p.line(1, "Podstead Version", info.KubeletVersion)
}
