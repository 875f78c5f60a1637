package host

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// testService: whatever ends podstead, systemd starts it again, and neither
// pods nor those who ask them notice.
func (n *node) testService() {
	containers, containerd, from := n.containers(), n.mainPID("podstead-containerd"), n.Now()
	stop := n.ask("http://127.0.0.1:8080/healthz")
	n.Run("kill", "-KILL", n.mainPID("podstead"))
	n.backAgain()
	hung := n.mainPID("podstead")
	n.Run("kill", "-STOP", hung)
	began := time.Now()
	n.Eventually(wait, func() error {
		if now := n.mainPID("podstead"); now == hung || now == "0" {
			return fmt.Errorf("podstead, which hangs, is still the process %s", now)
		}
		return nil
	})
	n.t.Logf("the watchdog took %s", time.Since(began).Round(time.Second))
	n.backAgain()
	began = time.Now()
	for range *restarts {
		n.Run("systemctl", "restart", "podstead")
	}
	n.t.Logf("%d restarts within %s", *restarts, time.Since(began).Round(time.Second))
	n.backAgain()
	stop()
	n.clean()
	if now := n.containers(); now != containers {
		n.t.Errorf("after podstead was restarted the containers are\n%sbefore they were\n%s", now, containers)
	}
	if now := n.mainPID("podstead-containerd"); now != containerd {
		n.t.Errorf("after podstead was restarted containerd is the process %s, before it was %s", now, containerd)
	}
	n.Fault("podstead is restarted", "", from)
}

// backAgain waits until podstead is active and answers.
func (n *node) backAgain() {
	n.t.Helper()
	n.Eventually(wait, func() error {
		if _, err := n.Try("systemctl", "is-active", "podstead"); err != nil {
			return err
		}
		_, err := n.Pods()
		return err
	})
}

// ask asks a server all the time. The function that it returns ends that, and
// fails the test for questions without an answer.
func (n *node) ask(url string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	var asked int
	var failures []string
	group.Go(func() {
		for ctx.Err() == nil {
			asked++
			if _, err := n.HTTP("", url, nil); err != nil {
				failures = append(failures, err.Error())
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	return func() {
		n.t.Helper()
		cancel()
		group.Wait()
		n.t.Logf("%d questions were asked", asked)
		if asked == 0 || len(failures) > 0 {
			n.t.Errorf("%d of %d questions had no answer: %.300q", len(failures), asked, failures)
		}
	}
}

// testNodeOutOfMemory: when the whole server has no memory any more, by pods
// and by others, it is found with those who have no right to it.
func (n *node) testNodeOutOfMemory() {
	n.applySpec("entitled", spec{generation: "1", container: "resources: {limits: {cpu: 100m, memory: 64Mi}}\n"})
	n.WaitReady("entitled")
	others := n.containers()
	const protected = `for unit in podstead podstead-containerd; do systemctl show -P MainPID $unit; done; pgrep -x containerd-shim | sort`
	before, since := n.Shell(protected), n.Now()
	// Files in memory can't be given back.
	n.Shell("head -c 700M /dev/zero >/dev/shm/full")
	const greedy = 3
	for i := range greedy {
		n.applySpec(fmt.Sprintf("greedy-%d", i), spec{generation: "1", container: "args: [-alloc, '1500000000']\n"})
	}
	for i := range greedy {
		n.WaitPod(fmt.Sprintf("greedy-%d", i), outOfMemory)
	}
	n.Run("rm", "/dev/shm/full")
	// Shims of the greedy ones have come since.
	now := n.Shell(protected)
	for _, pid := range strings.Fields(before) {
		if !strings.Contains("\n"+now, "\n"+pid+"\n") {
			n.t.Errorf("of podstead, containerd and shims process %s is gone: %q, before %q", pid, now, before)
		}
	}
	for i := range greedy {
		name := fmt.Sprintf("greedy-%d", i)
		n.Fault("out of memory", "default_"+name+"_app", since)
		n.drop(name)
	}
	n.clean()
	if now := n.containers(); now != others {
		n.t.Errorf("after the lack of memory the containers are\n%sbefore they were\n%s", now, others)
	}
	if killed := n.Shell("journalctl -k -b --no-pager -o cat | grep -i -e 'out of memory' -e oom-kill | cut -c1-160 || true"); killed == "" {
		n.t.Error("the kernel killed nobody, so this showed nothing")
	} else {
		n.t.Logf("the kernel says\n%s", killed)
	}
	n.drop("entitled")
	n.clean()
}

// outOfMemory tells whether a pod's container was ended by a lack of memory.
func outOfMemory(p corev1.Pod) error {
	for _, c := range p.Status.ContainerStatuses {
		for _, end := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
			if end != nil && end.Reason == "OOMKilled" {
				return nil
			}
		}
	}
	return fmt.Errorf("%+v, want an end by a lack of memory", p.Status.ContainerStatuses)
}
