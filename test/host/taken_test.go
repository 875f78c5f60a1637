package host

import (
	"fmt"
	"strings"
)

// limits prints every limit below our root, and what the root delegates.
const limits = `cd /sys/fs/cgroup
cat cgroup.subtree_control | tr ' ' '\n' | grep -x -e cpu -e memory -e pids | sort
find podstead \( -name cpu.max -o -name cpu.weight -o -name memory.max -o -name memory.swap.max -o -name memory.oom.group -o -name pids.max \) -exec grep -H . {} + | sort
find podstead -name cgroup.procs -exec grep -H . {} + | sort`

// testSystemdReload: whatever systemd does to its own units, ours keep what
// they have.
func (n *node) testSystemdReload() {
	before := n.Shell(limits)
	for _, verb := range []string{"daemon-reload", "daemon-reexec"} {
		n.Run("systemctl", verb)
		n.Run("systemctl", "is-system-running")
		if now := n.Shell(limits); now != before {
			n.t.Errorf("after %s the limits and processes are\n%s\nbefore they were\n%s", verb, now, before)
		}
	}
	n.clean()
}

// testControllersTaken: what somebody takes away from our cgroups is put back,
// limits included, without anything being restarted.
func (n *node) testControllersTaken() {
	before := n.Shell(limits)
	// From below, since the kernel refuses it while a child uses a controller.
	// The root loses the one that systemd needs least.
	n.Shell(`cd /sys/fs/cgroup
take() { for c in $2; do ! grep -qw $c $1/cgroup.subtree_control || echo -$c 2>/dev/null >$1/cgroup.subtree_control || true; done; }
for try in 1 2 3 4 5; do
	find . -type d | sort -r | while read d; do
		case $d in ./podstead*) take $d "cpu memory pids" ;; *) take $d cpu ;; esac
	done
	grep -qw cpu cgroup.subtree_control || break
done
! [ -e podstead/cpu.max ] || { find . -name cgroup.subtree_control -exec grep -Hw cpu {} +; false; }
! [ -e podstead/burstable/memory.max ]`)
	n.Eventually(wait, func() error {
		if now := n.Shell(limits); now != before {
			return fmt.Errorf("the limits and processes are\n%s\nbefore they were\n%s", now, before)
		}
		return nil
	})
	if out := n.Run("podstead", "status"); !strings.Contains(out, "cgroup controllers were taken away") {
		n.t.Errorf("podstead status does not tell of it:\n%s", out)
	}
	n.clean()
}
