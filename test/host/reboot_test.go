package host

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/record"
)

// cutPower takes the power away and gives it back. before is done right before
// it is given back, after as soon as commands can be run again.
func (n *node) cutPower(before, after func()) {
	n.t.Helper()
	n.Fetch()
	n.Put("/root/synced", n.BootID(), 0o600)
	n.Shell("cat /proc/sys/kernel/random/boot_id >/root/not-synced")
	from := n.Now()
	n.PowerCut()
	before()
	n.PowerOnWithoutWaiting()
	after()
	n.booted("power cut", from)
	// The cut was one: what was synced is there, and what was not is lost.
	if n.Get("/root/synced") == n.BootID() {
		n.t.Fatal("the power was not cut")
	}
	if content, ok := n.Look("/root/not-synced"); ok && content != "" {
		n.t.Errorf("a file that was not synced right before the power cut has the content %q", content)
	}
	n.Shell("rm -f /root/synced /root/not-synced; sync /root")
}

func nothing() {}

// booted waits until systemd has started everything and writes the fault down.
func (n *node) booted(kind string, from record.Moment) {
	n.t.Helper()
	n.newBoot()
	n.WaitBooted()
	n.Fault(kind, "", from)
}

// testReboot: after a clean reboot every pod is back, that of the URL too,
// which nobody serves any more.
func (n *node) testReboot() {
	n.Fetch()
	from := n.Now()
	n.Run("systemctl", "reboot", "--no-block")
	n.WaitOff()
	n.PowerOnWithoutWaiting()
	n.booted("reboot", from)
	n.logBack(n.clean)
	n.endedByThemselves()
	if r, _ := n.Try("systemctl", "is-active", "fleet.service"); strings.TrimSpace(r.Stdout) == "active" {
		n.t.Error("the URL is served, so this showed nothing")
	}
	if out := n.Run("podstead", "status"); !strings.Contains(out, "connection refused") {
		n.t.Errorf("podstead status does not say that the URL can't be read:\n%s", out)
	}
}

// endedByThemselves: before a clean reboot containers get their grace, and how
// they ended is known after it.
func (n *node) endedByThemselves() {
	n.t.Helper()
	pods, err := n.Pods()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, p := range pods {
		for _, c := range p.Status.ContainerStatuses {
			if end := c.LastTerminationState.Terminated; end == nil || end.Reason != "Completed" || end.ExitCode != 0 {
				n.t.Errorf("container %s of pod %s ended before the reboot as %+v, want Completed", c.Name, p.Name, end)
			}
		}
	}
}

func (n *node) logBack(do func()) {
	n.t.Helper()
	began := time.Now()
	do()
	n.t.Logf("booted in %s, all pods were ready %s later", n.Booted.Round(time.Second), time.Since(began).Round(time.Second))
}

// testContainerdLate: podstead waits for its containerd after a boot, decides
// nothing meanwhile, and goes on when it answers.
func (n *node) testContainerdLate() {
	const program = "/usr/libexec/podstead/containerd"
	n.Put(program+".late", "#!/bin/sh\nwhile ! [ -e /run/late-enough ]; do sleep 0.2; done\nexec "+program+".real \"$@\"\n", 0o755)
	n.Shell("mv " + program + " " + program + ".real; mv " + program + ".late " + program + "; sync")
	n.cutPower(nothing, nothing)
	n.Eventually(wait, func() error {
		page, err := n.HTTP("", "http://127.0.0.1:9255/metrics", nil)
		if err == nil && !strings.Contains(page, "\npodstead_runtime_up 0") {
			err = fmt.Errorf("the metrics do not say that containerd is down")
		}
		return err
	})
	pods, err := n.Pods()
	if err != nil {
		n.t.Fatal(err)
	}
	for _, p := range pods {
		if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
			n.t.Errorf("without containerd pod %s is %s", p.Name, p.Status.Phase)
		}
	}
	from := n.Now()
	n.Put("/run/late-enough", "", 0o644)
	n.logBack(n.clean)
	n.Fault("containerd comes up", "", from)
	n.Shell("mv " + program + ".real " + program + "; sync")
}

// testClockWrong: a server whose clock has lost its battery has all its pods,
// and none of them minds when the time is set right.
func (n *node) testClockWrong() {
	n.cutPower(func() { n.SetRTC(time.Unix(0, 0)) }, nothing)
	n.SetRTC(time.Time{})
	if shown := time.Unix(0, n.Facts().Wall); time.Since(shown) < 24*time.Hour {
		n.t.Fatalf("the guest shows %s, which is not wrong", shown)
	} else {
		n.t.Logf("the guest shows %s", shown.UTC().Format(time.DateTime))
	}
	n.logBack(n.clean)
	before := n.containers()
	// systemd does not start with a time before its own release.
	jumps := []time.Time{time.Unix(86400, 0), time.Now().AddDate(1, 0, 0), time.Now().AddDate(-1, 0, 0), time.Now()}
	for range 3 { // as a server of time would that is at odds with itself
		jumps = append(jumps, jumps[len(jumps)-1].Add(-10*time.Second))
	}
	for _, at := range append(jumps, time.Now()) {
		n.Run("date", "--set", at.UTC().Format("2006-01-02 15:04:05 UTC"))
		// Probes go on, at their pace, and nothing restarts.
		first := n.probed()
		n.Eventually(wait, func() error {
			if now := n.probed(); now < first+2 {
				return fmt.Errorf("%d probes of web since the clock was set to %s", now-first, at)
			}
			return nil
		})
	}
	// The server sleeps.
	n.Pause()
	time.Sleep(5 * time.Second)
	n.Continue()
	n.clean()
	if now := n.containers(); now != before {
		n.t.Errorf("after the clock was set the containers are %s, before they were %s", now, before)
	}
}

// containers lists every container with its restarts.
func (n *node) containers() string {
	n.t.Helper()
	pods, err := n.Pods()
	if err != nil {
		n.t.Fatal(err)
	}
	var b strings.Builder
	for _, p := range pods {
		for _, c := range p.Status.ContainerStatuses {
			fmt.Fprintf(&b, "%s/%s %s %d\n", p.Name, c.Name, c.ContainerID, c.RestartCount)
		}
	}
	return b.String()
}

// probed is how often web's readiness was probed.
func (n *node) probed() int {
	n.t.Helper()
	page, err := n.HTTP("", "http://127.0.0.1:9255/metrics/probes", nil)
	if err != nil {
		n.t.Fatal(err)
	}
	total := 0
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "prober_probe_total{") && strings.Contains(line, `pod="web"`) {
			var count int
			_, _ = fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &count)
			total += count
		}
	}
	return total
}

// testSlowDisk: on a disk that takes its time every pod comes back too.
func (n *node) testSlowDisk() {
	n.cutPower(nothing, func() { n.Throttle(3<<20, 100) })
	from := n.Now()
	n.logBack(n.clean)
	n.Fault("slow disk", "", from)
	n.Throttle(0, 0)
}

// testNothingLeft: when no pod is wanted any more, nothing of them is left.
func (n *node) testNothingLeft() {
	n.fleet(true)
	n.publish("")
	for name := range n.wanted {
		n.drop(name)
	}
	n.clean()
	n.t.Logf("podstead get pods: %s", n.Run("podstead", "get", "pods"))
}
