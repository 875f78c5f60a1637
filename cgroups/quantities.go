package cgroups

import (
	"math"

	"k8s.io/apimachinery/pkg/api/resource"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// Bounds and defaults of the CPU controllers, as Kubernetes uses them.
const (
	minShares = 2
	maxShares = 262144
	// quotaPeriod is the CFS period in microseconds.
	quotaPeriod = 100_000
	// minQuota is the smallest quota that kernels take, in microseconds.
	minQuota = 1000
)

// shares converts CPU requests to cpu.shares of cgroup v1.
func shares(milliCPU int64) uint64 {
	if milliCPU <= 0 {
		return minShares
	}
	if milliCPU > maxShares*1000/1024 {
		return maxShares
	}
	return max(minShares, uint64(milliCPU)*1024/1000)
}

// weight converts cpu.shares to cpu.weight of cgroup v2 by the formula that
// maps 2 to 1, 1024 to 100 and 262144 to 10000 (KEP 2570's successor, used by
// runc from 1.3.2, crun from 1.23 and Kubernetes from 1.35).
func weight(shares uint64) uint64 {
	switch {
	case shares <= minShares:
		return 1
	case shares >= maxShares:
		return 10000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l)/612-7.0/34)))
}

// sharesOf is the smallest number of shares that weight maps to at least w.
func sharesOf(w uint64) uint64 {
	low, high := uint64(minShares), uint64(maxShares)
	for low < high {
		if mid := (low + high) / 2; weight(mid) >= w {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// quota converts a CPU limit to microseconds per quotaPeriod; none for no
// limit.
func quota(milliCPU int64) int64 {
	if milliCPU <= 0 {
		return none
	}
	if milliCPU > math.MaxInt64/quotaPeriod {
		return none
	}
	return max(minQuota, milliCPU*quotaPeriod/1000)
}

// amount holds CPU in thousandths of a core and memory in bytes.
type amount struct{ milliCPU, memory int64 }

func (a amount) plus(b amount) amount {
	return amount{saturate(a.milliCPU, b.milliCPU), saturate(a.memory, b.memory)}
}

func (a amount) atLeast(b amount) amount {
	return amount{max(a.milliCPU, b.milliCPU), max(a.memory, b.memory)}
}

// saturate adds two amounts that are not negative.
func saturate(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func amountOf(list corev1.ResourceList) amount {
	return amount{
		milliCPU: max(0, quantity(list, corev1.ResourceCPU).MilliValue()),
		memory:   max(0, quantity(list, corev1.ResourceMemory).Value()),
	}
}

func quantity(list corev1.ResourceList, name corev1.ResourceName) *resource.Quantity {
	q := list[name]
	return &q
}

func limitsOf(c *corev1.Container) amount { return amountOf(c.Resources.Limits) }

// requestsOf returns what a container asks for; a request that is left out is
// its limit.
func requestsOf(c *corev1.Container) amount {
	requests, limits := amountOf(c.Resources.Requests), limitsOf(c)
	if _, given := c.Resources.Requests[corev1.ResourceCPU]; !given {
		requests.milliCPU = limits.milliCPU
	}
	if _, given := c.Resources.Requests[corev1.ResourceMemory]; !given {
		requests.memory = limits.memory
	}
	return requests
}

// total is what a pod needs when each container needs what of says: its
// containers and sidecars together, or, if that is more, any init container
// with the sidecars that were started before it.
func total(p *corev1.Pod, of func(*corev1.Container) amount) amount {
	var sum, sidecars, start amount
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		if pod.InitRole(c) == pod.RoleSidecar {
			sidecars = sidecars.plus(of(c))
			start = start.atLeast(sidecars)
			continue
		}
		start = start.atLeast(sidecars.plus(of(c)))
	}
	sum = sidecars
	for i := range p.Spec.Containers {
		sum = sum.plus(of(&p.Spec.Containers[i]))
	}
	return sum.atLeast(start)
}

// every calls f for each container of the pod, init containers first.
func every(p *corev1.Pod, f func(*corev1.Container)) {
	for i := range p.Spec.InitContainers {
		f(&p.Spec.InitContainers[i])
	}
	for i := range p.Spec.Containers {
		f(&p.Spec.Containers[i])
	}
}
