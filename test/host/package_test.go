package host

import (
	"fmt"
	"strings"
)

// testUpgrade installs another version over the one that runs, and the first
// one again. No container notices.
func (n *node) testUpgrade() {
	type version struct{ name, deb string }
	steps := []version{{"upgrade", "/mnt/newer.deb"}, {"downgrade", "/mnt/podstead.deb"}}
	if *older != "" {
		steps = append(steps, version{"downgrade to an earlier version", "/mnt/older.deb"}, version{"upgrade from an earlier version", "/mnt/podstead.deb"})
	}
	for _, step := range steps {
		containers, daemon, containerd := n.containers(), n.mainPID("podstead"), n.mainPID("podstead-containerd")
		n.apt("install", "--allow-downgrades", step.deb)
		n.Shell("systemctl is-active podstead podstead-containerd; cmp " + configPath + " - <<'E'\n" + config + "E")
		for unit, before := range map[string]string{"podstead": daemon, "podstead-containerd": containerd} {
			if now := n.mainPID(unit); now == before {
				n.t.Errorf("after the %s %s is still the process %s", step.name, unit, now)
			}
		}
		n.Shell("for unit in podstead podstead-containerd; do p=$(systemctl show -P MainPID $unit); ! readlink /proc/$p/exe | grep deleted; done")
		n.clean()
		if now := n.containers(); now != containers {
			n.t.Errorf("after the %s the containers are\n%sbefore they were\n%s", step.name, now, containers)
		}
	}
}

func (n *node) mainPID(unit string) string {
	n.t.Helper()
	return strings.TrimSpace(n.Run("systemctl", "show", "-P", "MainPID", unit))
}

// testPurge: a removal lets pods go on, a purge ends them and leaves nothing.
func (n *node) testPurge() {
	n.apply("web", "last")
	n.apply("duo", "last")
	n.clean()
	running := n.Shell("pgrep -x witness | sort")
	n.apt("remove", "podstead")
	if now := n.Shell("pgrep -x witness | sort"); now != running {
		n.t.Errorf("after the removal the processes of pods are %q, before they were %q", now, running)
	}
	n.apt("purge", "podstead")
	for _, name := range []string{"web", "duo"} {
		delete(n.wanted, name)
		n.Want(wants(name, spec{}))
	}
	left := n.Shell(`pgrep -lx witness || true
pgrep -lx 'podstead.*|containerd.*' || true
find / -xdev -path ` + witnessDir + ` -prune -o -path '/var/log/journal' -prune -o -path /var/lib/dpkg -prune -o -path /var/log/apt -prune -o -iname '*podstead*' -print
find /run /sys/fs/cgroup -iname '*podstead*' || true
find /run/containerd /var/log/pods /var/log/containers -mindepth 1 2>/dev/null || true
nft list ruleset
ip -o link show group 5263172
findmnt -rno TARGET | grep -e podstead -e pods || true`)
	if left != "" {
		n.t.Error(fmt.Errorf("after the purge there is\n%s", left))
	}
}
