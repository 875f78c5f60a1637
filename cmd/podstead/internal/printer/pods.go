package printer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/pod"
)

// Columns says which columns are shown beside the usual ones.
type Columns struct {
	Namespace, Wide, Labels bool
	// Types puts the type before the name, as in deployment.apps/web.
	Types bool
	// LabelsOf are labels with a column of their own.
	LabelsOf []string
}

// PodHeader returns the headings for PodRow.
func PodHeader(c Columns) []string {
	header := []string{"NAME", "READY", "STATUS", "RESTARTS", "AGE"}
	if c.Wide {
		header = append(header, "IP", "NODE", "NOMINATED NODE", "READINESS GATES")
	}
	return c.header(header)
}

// PodRow shows one pod.
func PodRow(p *corev1.Pod, c Columns, now time.Time) []string {
	s := summarize(p)
	row := []string{fmt.Sprintf("%d/%d", s.ready, s.total), s.status, s.restartText(now), Age(p.CreationTimestamp.Time, now)}
	if c.Wide {
		row = append(row, orNone(p.Status.PodIP), orNone(p.Spec.NodeName), orNone(p.Status.NominatedNodeName), readinessGates(p))
	}
	return c.row(p, row)
}

// header adds to the headings of a kind those that any object has.
func (c Columns) header(header []string) []string {
	for _, name := range c.LabelsOf {
		header = append(header, strings.ToUpper(name[strings.LastIndex(name, "/")+1:]))
	}
	return c.frame("NAMESPACE", "LABELS", header)
}

// row adds the name and what else any object has to the cells of one.
func (c Columns) row(o api.Object, cells []string) []string {
	name := o.GetName()
	if c.Types {
		name = QualifiedName(o)
	}
	cells = append([]string{name}, cells...)
	for _, name := range c.LabelsOf {
		cells = append(cells, o.GetLabels()[name])
	}
	return c.frame(o.GetNamespace(), orNone(labels.Set(o.GetLabels()).String()), cells)
}

func (c Columns) frame(namespace, labels string, row []string) []string {
	if c.Namespace {
		row = append([]string{namespace}, row...)
	}
	if c.Labels {
		row = append(row, labels)
	}
	return row
}

// readinessGates counts the gates that are open.
func readinessGates(p *corev1.Pod) string {
	if len(p.Spec.ReadinessGates) == 0 {
		return none
	}
	open := 0
	for _, gate := range p.Spec.ReadinessGates {
		if conditionTrue(p, gate.ConditionType) {
			open++
		}
	}
	return fmt.Sprintf("%d/%d", open, len(p.Spec.ReadinessGates))
}

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}

// Status is the one word that tells how a pod is, as kubectl's STATUS.
func Status(p *corev1.Pod) string { return summarize(p).status }

// summary is what a row tells of a pod's containers.
type summary struct {
	ready, total int
	status       string
	restarts     int
	lastRestart  time.Time
}

func (s summary) restartText(now time.Time) string {
	if s.restarts == 0 || s.lastRestart.IsZero() {
		return strconv.Itoa(s.restarts)
	}
	return fmt.Sprintf("%d (%s ago)", s.restarts, Age(s.lastRestart, now))
}

// count adds the restarts of one container.
func (s *summary) count(c *corev1.ContainerStatus) {
	s.restarts += int(c.RestartCount)
	if t := c.LastTerminationState.Terminated; t != nil && t.FinishedAt.After(s.lastRestart) {
		s.lastRestart = t.FinishedAt.Time
	}
}

func summarize(p *corev1.Pod) summary {
	s := summary{total: len(p.Spec.Containers), status: string(p.Status.Phase)}
	if p.Status.Reason != "" {
		s.status = p.Status.Reason
	}
	initializing := s.initContainers(p)
	if !initializing || conditionTrue(p, corev1.PodInitialized) {
		s.appContainers(p)
	}
	if p.DeletionTimestamp != nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
		s.status = "Terminating"
	}
	return s
}

// initContainers tells whether the pod is held up by one of them; the status
// is then that one's.
func (s *summary) initContainers(p *corev1.Pod) bool {
	for i := range p.Spec.InitContainers {
		if pod.InitRole(&p.Spec.InitContainers[i]) == pod.RoleSidecar {
			s.total++
		}
	}
	blocked := ""
	for i := range p.Status.InitContainerStatuses {
		c := &p.Status.InitContainerStatuses[i]
		s.count(c)
		if blocked != "" {
			continue
		}
		sidecar := pod.RoleOf(p, c.Name) == pod.RoleSidecar
		switch {
		case c.State.Terminated != nil && c.State.Terminated.ExitCode == 0:
		case sidecar && c.Started != nil && *c.Started:
			if c.Ready {
				s.ready++
			}
		default:
			blocked = "Init:" + initState(c.State, i, len(p.Spec.InitContainers))
		}
	}
	if blocked != "" {
		s.status = blocked
	}
	return blocked != ""
}

func initState(state corev1.ContainerState, index, total int) string {
	switch {
	case state.Terminated != nil:
		return endedAs(state.Terminated)
	case state.Waiting != nil && state.Waiting.Reason != "" && state.Waiting.Reason != "PodInitializing":
		return state.Waiting.Reason
	default:
		return fmt.Sprintf("%d/%d", index, total)
	}
}

func endedAs(t *corev1.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	default:
		return fmt.Sprintf("ExitCode:%d", t.ExitCode)
	}
}

// appContainers lets the first container that is not well tell the status.
// Restarts of init containers that are done count no more, those of sidecars
// do.
func (s *summary) appContainers(p *corev1.Pod) {
	s.restarts, s.lastRestart = 0, time.Time{}
	for i := range p.Status.InitContainerStatuses {
		if c := &p.Status.InitContainerStatuses[i]; pod.RoleOf(p, c.Name) == pod.RoleSidecar {
			s.count(c)
		}
	}
	running := false
	for i := range slices.Backward(p.Status.ContainerStatuses) {
		c := &p.Status.ContainerStatuses[i]
		s.count(c)
		switch {
		case c.State.Waiting != nil && c.State.Waiting.Reason != "":
			s.status = c.State.Waiting.Reason
		case c.State.Terminated != nil:
			s.status = endedAs(c.State.Terminated)
		case c.Ready && c.State.Running != nil:
			running = true
			s.ready++
		}
	}
	if s.status != "Completed" || !running {
		return
	}
	s.status = "NotReady"
	if conditionTrue(p, corev1.PodReady) {
		s.status = "Running"
	}
}

func conditionTrue(p *corev1.Pod, t corev1.PodConditionType) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == t && c.Status == corev1.ConditionTrue
	})
}

// EventHeader returns the headings for EventRow.
func EventHeader(c Columns) []string {
	header := []string{"LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"}
	if c.Wide {
		header = []string{"LAST SEEN", "TYPE", "REASON", "OBJECT", "SUBOBJECT", "SOURCE", "MESSAGE", "FIRST SEEN", "COUNT", "NAME"}
	}
	return c.frame("NAMESPACE", "LABELS", header)
}

// EventRow shows one event.
func EventRow(e *corev1.Event, c Columns, now time.Time) []string {
	object := strings.ToLower(e.InvolvedObject.Kind) + "/" + e.InvolvedObject.Name
	message := oneLine(e.Message)
	row := []string{Age(LastSeen(e), now), e.Type, e.Reason, object, message}
	if c.Wide {
		row = []string{Age(LastSeen(e), now), e.Type, e.Reason, object, e.InvolvedObject.FieldPath, eventSource(e), message,
			Age(firstSeen(e), now), strconv.Itoa(max(1, int(e.Count))), e.Name}
	}
	return c.frame(e.Namespace, none, row)
}

// LastSeen is when an event happened last.
func LastSeen(e *corev1.Event) time.Time {
	for _, t := range []time.Time{e.LastTimestamp.Time, e.EventTime.Time, e.CreationTimestamp.Time} {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

func firstSeen(e *corev1.Event) time.Time {
	if e.FirstTimestamp.IsZero() {
		return LastSeen(e)
	}
	return e.FirstTimestamp.Time
}

func eventSource(e *corev1.Event) string {
	if e.Source.Component == "" {
		return e.ReportingController
	}
	return e.Source.Component
}
