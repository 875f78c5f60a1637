package host

import (
	"testing"
	"time"

	"github.com/podstead/podstead/test/guest"
)

func TestProto(t *testing.T) {
	for _, s := range []guest.Suite{guest.Debian12, guest.Debian13} {
		t.Run(string(s), func(t *testing.T) {
			g := guest.Boot(t, guest.Options{Suite: s})
			t.Logf("booted in %s", g.Booted)
			t.Log(g.Shell("systemd-analyze time; systemd-analyze blame | head -25; systemctl --failed; uname -r; free -m; systemd --version | head -1; containerd --version; runc --version; ip addr; ls /sys/fs/cgroup; cat /sys/fs/cgroup/cgroup.subtree_control; aa-status | head -3"))
			began := time.Now()
			for range 20 {
				g.Run("true")
			}
			t.Logf("a command takes %s", time.Since(began)/20)
			g.Reboot()
			t.Logf("rebooted in %s", g.Booted)
			g.PowerCut()
			g.PowerOn()
			t.Logf("booted again in %s", g.Booted)
		})
	}
}
