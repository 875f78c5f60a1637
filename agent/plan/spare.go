package plan

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// Spare is what pods may still request beside all that are wanted or live. A
// resource that is not counted is not in it.
func Spare(claims []Claim, room Room) corev1.ResourceList {
	spare := corev1.ResourceList{}
	for _, r := range counted {
		left := room.Allocatable[r.name].DeepCopy()
		if left.IsZero() {
			continue
		}
		for _, c := range claims {
			held := c.Wanted
			if held == nil || c.Live != nil && exceedsPod(c.Live, held, r.name) {
				held = c.Live
			}
			if held != nil {
				left.Sub(pod.Requests(held)[r.name])
			}
		}
		spare[r.name] = left
	}
	return spare
}

// exceedsPod tells whether one version of a pod requests more than another.
func exceedsPod(a, b *corev1.Pod, name corev1.ResourceName) bool {
	x, y := pod.Requests(a)[name], pod.Requests(b)[name]
	return x.Cmp(y) > 0
}

// TakenPort is a port of the host that somebody else has.
type TakenPort struct {
	pod.HostPort
	// By names who, in words.
	By string
}

// Taken tells which ports of the host pods can't have since others hold them
// than the pods of theirs, or since nobody has looked yet.
func Taken(ports []pod.HostPort, theirs map[pod.Key]bool, claims []Claim, heard Listening) []TakenPort {
	held, mine := portTable{}, portTable{}
	g := grants{owners: owners(claims)}
	for _, c := range claims {
		table := held
		if theirs[c.Key] {
			table = mine
		}
		for _, version := range []*corev1.Pod{c.Wanted, c.Live} {
			if version != nil {
				table.add(version, c.Key)
			}
		}
	}
	var taken []TakenPort
	for _, hp := range ports {
		if key, others := held.holder(hp, pod.Key{}); others {
			taken = append(taken, TakenPort{hp, "pod " + key.String()})
			continue
		}
		if _, ours := mine.holder(hp, pod.Key{}); ours {
			continue
		}
		listeners, known := heard[hp]
		if !known {
			taken = append(taken, TakenPort{hp, "nobody knows whom: it is being looked at"})
		}
		for _, l := range listeners {
			if !theirs[g.owners[l.UID]] {
				taken = append(taken, TakenPort{hp, g.holderName(l)})
			}
		}
	}
	return taken
}

// PullAgain is when the pull of an image that failed is tried again.
func (s Settings) PullAgain(f Failure) pod.Moment {
	limit := s.PullMax
	if f.Full {
		limit = s.FullMax
	}
	return f.At.Add(backoff(s.PullBase, limit, f.Count))
}
