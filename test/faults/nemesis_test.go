package faults

import (
	"syscall"
	"time"

	"github.com/podstead/podstead/test/record"
)

// fault is something that is done to podstead or containerd.
type fault struct {
	name   string
	weight int
	do     func(*campaign)
}

// faults leave podstead and containerd running.
var faults = []fault{
	{"kill podstead", 10, func(c *campaign) { c.host.Kill9(); c.restart() }},
	{"kill podstead as it starts", 3, (*campaign).killStarting},
	{"stop podstead for a while", 2, (*campaign).freezePodstead},
	{"kill containerd", 5, func(c *campaign) { c.host.SignalContainerd(syscall.SIGKILL) }},
	{"terminate containerd", 3, func(c *campaign) { c.host.SignalContainerd(syscall.SIGTERM) }},
	{"stop containerd for a while", 3, func(c *campaign) { c.freezeContainerd(func() {}) }},
	{"kill podstead beside a stopped containerd", 2, func(c *campaign) {
		c.freezeContainerd(func() { c.host.Kill9(); c.restart() })
	}},
	{"kill both", 4, (*campaign).killBoth},
}

// strike does one fault at random and waits until both serve again.
func (c *campaign) strike() {
	total := 0
	for _, f := range faults {
		total += f.weight
	}
	at := c.random.IntN(total)
	for _, f := range faults {
		if at -= f.weight; at >= 0 {
			continue
		}
		c.log("fault: %s", f.name)
		from := record.Now()
		f.do(c)
		c.ready()
		c.host.Fault(f.name, "", from)
		c.log("over: %s", f.name)
		c.count(f.name)
		c.faults++
		return
	}
}

// restart starts podstead after a random time.
func (c *campaign) restart() {
	c.idle(c.upTo(3 * time.Second))
	c.host.StartWithoutWaiting()
}

func (c *campaign) killStarting() {
	c.host.Kill9()
	c.restart()
	c.idle(c.upTo(700 * time.Millisecond))
	c.host.Kill9()
	c.restart()
}

func (c *campaign) killBoth() {
	kill := []func(){c.host.Kill9, func() {
		if c.host.ContainerdRuns() {
			c.host.SignalContainerd(syscall.SIGKILL)
		}
	}}
	first := c.random.IntN(2)
	kill[first]()
	c.idle(c.upTo(300 * time.Millisecond))
	kill[1-first]()
	c.restart()
}

func (c *campaign) freezePodstead() {
	c.host.Signal(syscall.SIGSTOP)
	c.idle(c.upTo(4 * time.Second))
	c.host.Signal(syscall.SIGCONT)
}

// freezeContainerd stops containerd for a while in which something is done.
func (c *campaign) freezeContainerd(do func()) {
	c.host.SignalContainerd(syscall.SIGSTOP)
	do()
	c.idle(c.upTo(4 * time.Second))
	c.host.SignalContainerd(syscall.SIGCONT)
}
