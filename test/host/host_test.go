package host

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/podstead/podstead/test/guest"
)

var (
	cuts     = flag.Int("host.cuts", 3, "how often power is cut at a random moment, on each server")
	all      = flag.Bool("host.all", false, "try everything on each release, not what is the same on both on one of them")
	seed     = flag.Uint64("host.seed", 0, "seed of what is random; 0 for another one each time")
	restarts = flag.Int("host.restarts", 5, "how often podstead is restarted by systemctl under running pods")
	older    = flag.String("host.older", "", "a package of an earlier version, to be upgraded from and downgraded to as well")
	suite    = flag.String("host.suite", "", "test this release of Debian alone: bookworm or trixie")
)

// TestHost goes with one server per release of Debian through its life. The
// steps build on each other: a boot takes long, so they share it.
func TestHost(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-host.seed=%d", *seed)
	what := payload(t)
	for i, s := range []guest.Suite{guest.Debian12, guest.Debian13} {
		if *suite != "" && *suite != string(s) {
			continue
		}
		t.Run(string(s), func(t *testing.T) {
			t.Parallel()
			n := newNode(t, guest.Options{Suite: s, Payload: what})
			n.random = rand.New(rand.NewPCG(*seed, uint64(i)))
			t.Logf("booted in %s", n.Booted.Round(time.Second))
			for _, step := range life {
				if !*all && step.alone != "" && step.alone != s {
					continue
				}
				began := time.Now()
				t.Run(step.name, func(t *testing.T) { step.do(n.For(t)) })
				t.Logf("%s took %s", step.name, time.Since(began).Round(time.Second))
				if !n.Alive() {
					t.Fatal("the guest is dead: what comes after this is left out")
				}
			}
		})
	}
}

// step is something that happens to a server.
type step struct {
	name string
	do   func(*node)
	// alone is the release on which it is enough to try this, unless all is
	// tried on both: what depends on podstead more than on systemd and kernel.
	alone guest.Suite
}

// life is what happens to a server, in this order.
var life = []step{
	{"Install", (*node).testInstall, ""},
	{"CgroupLimits", (*node).testLimits, ""},
	{"CgroupResize", (*node).testResize, guest.Debian12},
	{"CgroupResizeHeld", (*node).testResizeHeld, guest.Debian13},
	{"CgroupOOM", (*node).testOOM, ""},
	{"CgroupPressure", (*node).testPressure, guest.Debian13},
	{"CgroupKill", (*node).testKill, guest.Debian13},
	{"AppArmor", (*node).testAppArmor, ""},
	{"SystemdReload", (*node).testSystemdReload, ""},
	{"ControllersTaken", (*node).testControllersTaken, guest.Debian13},
	{"Service", (*node).testService, guest.Debian12},
	{"NodeOutOfMemory", (*node).testNodeOutOfMemory, guest.Debian12},
	{"Upgrade", (*node).testUpgrade, guest.Debian13},
	{"Reboot", (*node).testReboot, ""},
	{"ContainerdLate", (*node).testContainerdLate, guest.Debian12},
	{"ClockWrong", (*node).testClockWrong, guest.Debian13},
	{"SlowDisk", (*node).testSlowDisk, guest.Debian12},
	{"PowerCuts", (*node).testPowerCuts, ""},
	{"NothingLeft", (*node).testNothingLeft, ""},
	{"Purge", (*node).testPurge, ""},
	{"History", (*node).Judge, ""},
}

// testInstall: after the installation there is a pod as soon as there is a
// manifest.
func (n *node) testInstall() {
	before := time.Now()
	n.install()
	n.fleet(true)
	n.t.Logf("installed in %s", time.Since(before).Round(time.Second))
	before = time.Now()
	n.apply("web", "1")
	n.apply("duo", "1")
	n.publish("1")
	n.clean()
	n.t.Logf("pods are ready after %s", time.Since(before).Round(time.Second))
	n.t.Logf("podstead get pods\n%s", n.Run("podstead", "get", "pods", "-o", "wide"))
}
