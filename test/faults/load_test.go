package faults

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

// crowd is how many runnable tasks per processor a machine may have before
// the bounds of time grow with them.
const crowd = 3

// look notes how busy the machine is: on a shared one, others may leave us a
// small part of it.
func (c *campaign) look() {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		c.t.Fatal(err)
	}
	var load float64
	if _, err := fmt.Sscan(string(text), &load); err != nil {
		c.t.Fatalf("read /proc/loadavg: %v in %q", err, text)
	}
	c.load = max(c.load, load)
}

// within stretches a bound by how busy the machine was.
func (c *campaign) within(d time.Duration) time.Duration {
	c.look()
	return time.Duration(float64(d) * max(1, c.load/float64(crowd*runtime.NumCPU())))
}
