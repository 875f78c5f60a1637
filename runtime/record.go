package runtime

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/typeurl/v2"
	"google.golang.org/protobuf/types/known/anypb"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// Labels identify a container even when its record can't be read. None comes
// from an image: containerd and its plug-ins act on labels (CVE-2026-53488).
const (
	labelNode      = "podstead.dev/node"
	labelNamespace = "podstead.dev/namespace"
	labelPod       = "podstead.dev/pod"
	labelInstance  = "podstead.dev/instance"
	labelUID       = "podstead.dev/uid"
	labelContainer = "podstead.dev/container"
	labelRole      = "podstead.dev/role"
	labelAttempt   = "podstead.dev/attempt"
)

// Extensions of a container hold its record as JSON. It is cut where it has
// different writers, so that each part is replaced whole, in one call, and no
// two writers meet: Stop may run beside anything.
const (
	partRecord   = "podstead.dev/record"
	partPod      = "podstead.dev/pod"
	partStarted  = "podstead.dev/started"
	partStopping = "podstead.dev/stopping"
	partExit     = "podstead.dev/exit"
)

// record is what is known when a container is made and never changes.
type record struct {
	Instance   pod.Instance `json:"instance"`
	UID        types.UID    `json:"uid"`
	Name       string       `json:"name"`
	Role       pod.Role     `json:"role"`
	Attempt    int          `json:"attempt"`
	Failures   int          `json:"failures"`
	Sandbox    string       `json:"sandbox"`
	Image      pod.Image    `json:"image"`
	Created    stamp        `json:"created"`
	CgroupPath string       `json:"cgroupPath"`
	LogPath    string       `json:"logPath"`
	// StatusPath and MessagePath are the logger's status and the termination
	// message.
	StatusPath  string `json:"statusPath"`
	MessagePath string `json:"messagePath"`
	StopSignal  string `json:"stopSignal,omitempty"`
}

// wanted is the part that Record replaces.
type wanted struct {
	Pod    *corev1.Pod `json:"pod"`
	Origin pod.Origin  `json:"origin"`
}

// stamp is a pod.Stamp that knows in which boot its moment counts.
type stamp struct {
	pod.Stamp
	Boot string `json:"boot"`
}

// in returns the stamp as seen in a boot: moments of another one are 0.
func (s stamp) in(boot string) pod.Stamp {
	if s.Boot != boot {
		s.Moment = 0
	}
	return s.Stamp
}

type stopping struct {
	pod.Stopping
	Boot string `json:"boot"`
}

// ending is an exit. While it is not final the task, the log tail or leftover
// processes are still to be dealt with.
type ending struct {
	pod.Exit
	Boot  string `json:"boot"`
	Final bool   `json:"final"`
}

func labels(nodeID string, q *pod.StartRequest) map[string]string {
	return map[string]string{
		labelNode:      nodeID,
		labelNamespace: q.Instance.Namespace,
		labelPod:       q.Instance.Name,
		labelInstance:  strconv.Itoa(q.Instance.Number),
		labelUID:       string(q.UID),
		labelContainer: q.Name,
		labelRole:      string(q.Role),
		labelAttempt:   strconv.Itoa(q.Attempt),
	}
}

// encodePart makes an extension of a part of the record.
func encodePart(name string, v any) (typeurl.Any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", name, err)
	}
	return &anypb.Any{TypeUrl: name, Value: b}, nil
}

// decodePart reads a part of the record into v and tells whether it is there
// and readable.
func decodePart(c *containers.Container, name string, v any) bool {
	part, ok := c.Extensions[name]
	return ok && part.GetTypeUrl() == name && json.Unmarshal(part.GetValue(), v) == nil
}

// fromLabels fills in what an unreadable record leaves out.
func fromLabels(l map[string]string) record {
	number, _ := strconv.Atoi(l[labelInstance])
	attempt, _ := strconv.Atoi(l[labelAttempt])
	return record{
		Instance: pod.Instance{
			Key:    pod.Key{Namespace: l[labelNamespace], Name: l[labelPod]},
			Number: number,
		},
		UID:     types.UID(l[labelUID]),
		Name:    l[labelContainer],
		Role:    pod.Role(l[labelRole]),
		Attempt: attempt,
	}
}
