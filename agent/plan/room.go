package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/pod"
)

// Room is what the server has, and what of it pods may request. The
// difference is reserved for the host. What is not in it is not counted.
type Room struct {
	Capacity, Allocatable corev1.ResourceList
	// Ports are ports of the host that others than pods have.
	Ports []HeldPort
}

// HeldPort is a port of the host and who has it, such as "Service default/web".
type HeldPort struct {
	pod.HostPort
	Holder string
}

// counted are the resources whose requests must fit, with the reasons of pods
// that don't.
var counted = []struct {
	name   corev1.ResourceName
	reason string
}{{corev1.ResourceCPU, "InsufficientCPU"}, {corev1.ResourceMemory, "InsufficientMemory"}}

// most is how many of the pods that hold a resource are named.
const most = 3

// insufficient says what a pod requests that others have. What it has already
// it may go on to have.
func (g *grants) insufficient(c Claim) *Obstacle {
	requests, has := pod.Requests(c.Wanted), g.requests[c.Key]
	for _, r := range counted {
		asked, allocatable := requests[r.name], g.room.Allocatable[r.name]
		if have := has[r.name]; allocatable.IsZero() || asked.Cmp(have) <= 0 {
			continue
		}
		others := g.heldByOthers(r.name, c.Key)
		if used := others.sum(); exceeds(asked, used, allocatable) {
			return &Obstacle{Reason: r.reason, Message: fmt.Sprintf("%s; %s; it starts when there is room",
				g.shortage(c.Key, r.name, asked, used), others.text())}
		}
	}
	return nil
}

// shortage tells the numbers: what is requested, free, and there at all.
func (g *grants) shortage(key pod.Key, name corev1.ResourceName, asked, used resource.Quantity) string {
	allocatable, capacity := g.room.Allocatable[name], g.room.Capacity[name]
	free := allocatable.DeepCopy()
	if free.Sub(used); free.Sign() < 0 {
		free = resource.Quantity{}
	}
	text := fmt.Sprintf("pod %s requests %s of %s, and of the %s that pods may request %s is free",
		key, pod.Amount(asked, name), name, pod.Amount(allocatable, name), pod.Amount(free, name))
	if reserved := capacity.DeepCopy(); capacity.Cmp(allocatable) > 0 {
		reserved.Sub(allocatable)
		text += fmt.Sprintf(" (%s is reserved for the host)", pod.Amount(reserved, name))
	}
	return text
}

// leaving finds pods on their way out that still use what a new pod needs. One
// that runs has its room.
func (g *grants) leaving(c Claim, claims []Claim) *Obstacle {
	if c.Live != nil {
		return nil
	}
	requests := pod.Requests(c.Wanted)
	for _, r := range counted {
		asked, allocatable := requests[r.name], g.room.Allocatable[r.name]
		used := g.heldByOthers(r.name, c.Key).sum()
		var leave shares
		for _, other := range claims {
			if other.Wanted == nil && other.Live != nil {
				q := pod.Requests(other.Live)[r.name]
				leave = append(leave, share{other.Key, q})
				used.Add(q)
			}
		}
		leave.sort()
		if !allocatable.IsZero() && !asked.IsZero() && exceeds(asked, used, allocatable) {
			return &Obstacle{Reason: r.reason, Message: fmt.Sprintf("%s; on their way out are %s: it starts right after",
				g.shortage(c.Key, r.name, asked, used), leave.list())}
		}
	}
	return nil
}

func exceeds(asked, used, allocatable resource.Quantity) bool {
	total := used.DeepCopy()
	total.Add(asked)
	return total.Cmp(allocatable) > 0
}

// share is what one pod holds of a resource.
type share struct {
	key  pod.Key
	held resource.Quantity
}

type shares []share

// heldByOthers lists the pods but one that hold something of a resource, those
// that hold the most first.
func (g *grants) heldByOthers(name corev1.ResourceName, but pod.Key) shares {
	var list shares
	for key, requests := range g.requests {
		if q, asks := requests[name]; asks && key != but {
			list = append(list, share{key, q})
		}
	}
	list.sort()
	return list
}

func (s shares) sum() resource.Quantity {
	var total resource.Quantity
	for _, one := range s {
		total.Add(one.held)
	}
	return total
}

// text says who holds the most.
func (s shares) text() string {
	switch {
	case len(s) == 0:
		return "no other pod holds any"
	case len(s) <= most:
		return "it is held by " + s.list()
	default:
		return "the most is held by " + s.list()
	}
}

func (s shares) sort() {
	slices.SortFunc(s, func(a, b share) int {
		return cmp.Or(b.held.Cmp(a.held), strings.Compare(a.key.String(), b.key.String()))
	})
}

// list names the first ones.
func (s shares) list() string {
	var parts []string
	for _, one := range s[:min(len(s), most)] {
		parts = append(parts, fmt.Sprintf("%s (%s)", one.key, one.held.String()))
	}
	return strings.Join(parts, ", ")
}
