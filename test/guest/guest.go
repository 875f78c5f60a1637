// Package guest boots servers of their own for tests: Debian under QEMU, with
// systemd as PID 1 and cgroup v2, and a disk that keeps what was synced to it
// when the power is cut.
//
// Images are built once, by debootstrap, and kept for all checkouts below
// ~/.cache/podstead-test-guests, or $PODSTEAD_GUESTS. Each guest writes to a
// throw-away overlay. At most two guests run on a machine at a time, and none
// outlives the process that booted it. Nothing leads from a guest into the
// machine's network: QEMU runs in a network namespace of its own, and an agent
// in the guest takes commands over a virtio-serial port.
package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/test/guest/wire"
)

// Options say what a guest is.
type Options struct {
	Suite Suite
	// Memory is in MiB, by default 2048; CPUs is by default 2.
	Memory, CPUs int
	Disks        []Disk
	// Payload is a folder that the guest finds, read only, at /mnt.
	Payload string
	// RTC is what the clock of the hardware shows at each power-on, by default
	// the host's time.
	RTC time.Time
}

// Guest is a server. It is used by one goroutine, its methods that run
// something in it by several.
type Guest struct {
	t testing.TB
	*state
}

// state is what a guest and its views for subtests have in common.
type state struct {
	machine machine
	qemu    *qemu // nil without power
	monitor *monitor
	link    *link
	// Booted is how long the last boot took, from power-on until systemd had
	// started everything.
	Booted time.Duration
	// Used is the processor time that QEMU took in all boots but the present.
	// It tells more than Booted on a machine that others use too.
	Used time.Duration
}

// patience is how long a boot or a shutdown may take on a busy machine.
const patience = 10 * time.Minute

// Boot makes a guest, boots it, and waits until systemd has started
// everything. It is taken away when the test ends.
func Boot(t testing.TB, o Options) *Guest {
	t.Helper()
	progress := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	image, err := open(o.Suite, progress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(image.unlock)
	dir, free, err := takeSlot()
	if err != nil {
		t.Fatal(err)
	}
	m := machine{dir: dir, image: image, memory: o.Memory, cpus: o.CPUs, disks: o.Disks, rtc: o.RTC}
	if m.memory == 0 {
		m.memory = 2048
	}
	if m.cpus == 0 {
		m.cpus = 2
	}
	g := &Guest{t, &state{machine: m}}
	t.Cleanup(func() {
		g.cleanUp()
		free()
	})
	if err := g.machine.prepare(o.Payload); err != nil {
		t.Fatal(err)
	}
	if err := writeInitrd(t.Context(), g.machine.path("initrd"), image.drivers()); err != nil {
		t.Fatal(err)
	}
	g.PowerOn()
	return g
}

// For returns the same guest as seen by a subtest: what fails, fails that one.
func (g *Guest) For(t testing.TB) *Guest { return &Guest{t, g.state} }

// SetRTC sets what the clock of the hardware shows at the next power-on. The
// zero time is the host's.
func (g *Guest) SetRTC(at time.Time) { g.machine.rtc = at }

// PowerOn boots a guest that has no power and waits until systemd has started
// everything.
func (g *Guest) PowerOn() {
	g.t.Helper()
	g.PowerOnWithoutWaiting()
	g.WaitBooted()
}

// PowerOnWithoutWaiting begins a boot and returns as soon as commands can be
// run in the guest, which is before most units are started.
func (g *Guest) PowerOnWithoutWaiting() {
	g.t.Helper()
	if g.qemu != nil {
		g.t.Fatal("the guest has power already")
	}
	began := time.Now()
	for _, name := range []string{"agent.sock", "monitor.sock"} {
		if err := os.RemoveAll(g.machine.path(name)); err != nil {
			g.t.Fatal(err)
		}
	}
	q, err := g.machine.start()
	if err != nil {
		g.t.Fatal(err)
	}
	g.qemu = q
	if g.monitor, err = openMonitor(g.machine.path("monitor.sock"), time.Minute); err != nil {
		g.t.Fatal(err, q.alive())
	}
	if g.link, err = connect(g.machine.path("agent.sock"), patience, q.alive); err != nil {
		g.t.Fatal(err)
	}
	g.Booted = time.Since(began)
}

// WaitBooted waits until systemd has started everything, and mounts the
// payload.
func (g *Guest) WaitBooted() {
	g.t.Helper()
	began := time.Now()
	// degraded is a state too: tests look at units that failed themselves.
	g.Eventually(patience, func() error {
		r, err := g.Try("systemctl", "is-system-running", "--wait")
		if state := strings.TrimSpace(r.Stdout); state != "running" && state != "degraded" {
			return fmt.Errorf("the system is %q (%w)", state, err)
		}
		return nil
	})
	g.Booted += time.Since(began)
	if _, err := os.Stat(g.machine.path("payload.ext4")); err == nil {
		g.Run("mount", "-o", "ro", "/dev/disk/by-id/virtio-payload", "/mnt")
	}
}

// PowerCut takes the power away at once. What was not synced to the disk is
// lost.
func (g *Guest) PowerCut() {
	g.t.Helper()
	if g.qemu == nil {
		g.t.Fatal("the guest has no power")
	}
	g.qemu.kill()
	g.off()
}

func (g *Guest) off() {
	g.Used += g.qemu.used()
	if g.monitor != nil {
		g.monitor.conn.Close()
	}
	if g.link != nil {
		g.link.client.Close()
	}
	g.qemu, g.monitor, g.link = nil, nil, nil
}

// PowerOff shuts the guest down and waits until it is off.
func (g *Guest) PowerOff() {
	g.t.Helper()
	g.Run("systemctl", "poweroff", "--no-block")
	g.WaitOff()
}

// WaitOff waits until a guest is off that was told to shut down, or ready to
// be powered on that was told to reboot.
func (g *Guest) WaitOff() {
	g.t.Helper()
	select {
	case <-g.qemu.done:
		g.off()
	case <-time.After(patience):
		g.t.Fatalf("the guest is not off after %s", patience)
	}
}

// Reboot reboots the guest cleanly and waits until systemd has started
// everything.
func (g *Guest) Reboot() {
	g.t.Helper()
	g.Run("systemctl", "reboot", "--no-block")
	g.WaitOff()
	g.PowerOn()
}

// Pause stops the guest's processors, and with them all its clocks but that
// of the hardware.
func (g *Guest) Pause() { g.t.Helper(); g.command("stop", nil) }

// Continue lets a paused guest go on.
func (g *Guest) Continue() { g.t.Helper(); g.command("cont", nil) }

// PressPowerButton does what a person would.
func (g *Guest) PressPowerButton() { g.t.Helper(); g.command("system_powerdown", nil) }

// Throttle bounds what the root's disk does in a second; 0 is no bound.
func (g *Guest) Throttle(bytes, operations int) {
	g.t.Helper()
	g.command("block_set_io_throttle", map[string]any{"device": "root", "bps": bytes, "bps_rd": 0, "bps_wr": 0,
		"iops": operations, "iops_rd": 0, "iops_wr": 0})
}

func (g *Guest) command(name string, arguments map[string]any) {
	g.t.Helper()
	if _, err := g.monitor.do(name, arguments); err != nil {
		g.t.Fatal(err)
	}
}

// Alive tells whether the guest has power and answers.
func (g *Guest) Alive() bool {
	if g.qemu == nil || g.qemu.alive() != nil {
		return false
	}
	return g.link.call("Facts", struct{}{}, &wire.Facts{}, time.Minute) == nil
}

// BootID is that of the kernel that runs.
func (g *Guest) BootID() string { return g.link.bootID }

// Facts tells which boot runs and what its clocks show.
func (g *Guest) Facts() wire.Facts {
	g.t.Helper()
	var f wire.Facts
	g.call("Facts", struct{}{}, &f, time.Minute)
	return f
}

// Console is what the guest's console showed in all its boots.
func (g *Guest) Console() string {
	text, err := os.ReadFile(g.machine.path("console.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// cleanUp keeps the evidence of a test that failed and takes the guest away.
func (g *Guest) cleanUp() {
	if g.t.Failed() {
		g.keepEvidence()
	}
	if g.qemu != nil {
		g.qemu.kill()
		g.off()
	}
	g.t.Logf("the guest took %s of processor time", g.Used.Round(time.Second))
	if err := os.RemoveAll(g.machine.dir); err != nil {
		g.t.Errorf("remove the guest's files: %v", err)
	}
}

// keepEvidence writes what the guest said into the test's folder of artifacts,
// and logs the ends of it.
func (g *Guest) keepEvidence() {
	g.keep("console.log", g.Console())
	if g.link == nil || g.qemu.alive() != nil {
		return
	}
	for name, args := range map[string][]string{
		"journal.log":  {"--lines=20000"},
		"podstead.log": {"--lines=2000", "--unit=podstead*", "--unit=containerd"},
	} {
		var r wire.Result
		c := wire.Command{Args: append([]string{"journalctl", "--no-pager", "--output=short-precise"}, args...), Timeout: time.Minute}
		if err := g.link.call("Run", c, &r, 2*time.Minute); err != nil {
			g.t.Logf("read the journal: %v", err)
			return
		}
		g.keep(name, string(r.Stdout))
	}
}

func (g *Guest) keep(name, text string) {
	if err := os.WriteFile(filepath.Join(g.t.ArtifactDir(), name), []byte(text), 0o644); err != nil {
		g.t.Log(err)
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	g.t.Logf("the end of %s:\n%s", name, strings.Join(lines[max(0, len(lines)-40):], "\n"))
}
