package harness

import (
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// PowerCut does what a loss of power and the next boot do: every process is
// killed, mounts and cgroups are gone, and what only lives in memory is lost.
// Only the boot's id and clock stay. Start brings the host up again.
func (h *Host) PowerCut() {
	h.t.Helper()
	if h.daemon != nil {
		h.end(syscall.SIGKILL, 10*time.Second)
	}
	h.stopUnits()
	if err := h.killAll(); err != nil {
		h.t.Fatalf("kill all processes: %v", err)
	}
	if err := unmountBelow(h.Dir); err != nil {
		h.t.Fatalf("take away mounts: %v", err)
	}
	if err := removeCgroups(h.CgroupRoot); err != nil {
		h.t.Fatalf("take away cgroups: %v", err)
	}
	h.deleteTable()
	if err := h.deleteWays(); err != nil {
		h.t.Fatalf("take away addresses of Services: %v", err)
	}
	for _, name := range []string{"run", "run-names"} {
		if err := os.RemoveAll(filepath.Join(h.Dir, name)); err != nil {
			h.t.Fatal(err)
		}
	}
}
