package harness

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/internal/filelock"
	"github.com/podstead/podstead/test/leaks"
)

// lockName is the file in a host's folder that is locked while it is used.
const lockName = "lock"

// keepEnv keeps the folders of failed tests for a look.
const keepEnv = "PODSTEAD_TEST_KEEP"

// cleanUp takes the host away by force: a test that failed half-way left it in
// any state.
func (h *Host) cleanUp() {
	if h.t.Failed() {
		h.t.Logf("the end of podstead's log:\n%s", h.logTail(60))
	}
	if h.daemon != nil {
		select {
		case <-h.daemon.done:
			h.t.Logf("podstead had ended by itself: %v", h.daemon.err)
		default:
		}
		_ = h.daemon.cmd.Process.Kill()
		<-h.daemon.done
	}
	h.stopUnits()
	if err := h.killAll(); err != nil {
		h.t.Errorf("clean up processes: %v", err)
	}
	h.deleteTable()
	if err := h.deleteWays(); err != nil {
		h.t.Errorf("clean up addresses of Services: %v", err)
	}
	if err := unmountBelow(h.Dir); err != nil {
		h.t.Errorf("clean up mounts, so %s stays: %v", h.Dir, err)
		return
	}
	if err := removeCgroups(h.CgroupRoot); err != nil {
		h.t.Errorf("clean up cgroups: %v", err)
	}
	if h.t.Failed() && os.Getenv(keepEnv) != "" {
		// Under a name that the next run does not take for a leftover.
		kept := filepath.Join(baseDir, time.Now().Format("kept-20060102-150405-")+filepath.Base(h.Dir))
		h.t.Logf("kept: %s, %v", kept, os.Rename(h.Dir, kept))
		return
	}
	if err := os.RemoveAll(h.Dir); err != nil {
		h.t.Errorf("clean up files: %v", err)
	}
}

// deleteTable takes the host's rules away, which a podstead that is killed
// leaves behind: the next host may have the same name. There may be none.
func (h *Host) deleteTable() {
	_ = exec.Command("nft", append([]string{"delete"}, strings.Fields(h.table())...)...).Run()
}

// deleteWays takes away what leads to the host's Services, for the same reason.
func (h *Host) deleteWays() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	mine := func(ip net.IP) bool {
		return slices.ContainsFunc(h.ServiceCIDRs, func(cidr string) bool {
			a, _ := netip.AddrFromSlice(ip)
			return netip.MustParsePrefix(cidr).Contains(a.Unmap())
		})
	}
	addrs, err := netlink.AddrList(lo, netlink.FAMILY_ALL)
	for i := range addrs {
		if mine(addrs[i].IP) {
			err = errors.Join(err, netlink.AddrDel(lo, &addrs[i]))
		}
	}
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, failed := netlink.RouteListFiltered(family, &netlink.Route{LinkIndex: lo.Attrs().Index, Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_OIF|netlink.RT_FILTER_TABLE)
		err = errors.Join(err, failed)
		for i := range routes {
			if routes[i].Dst != nil && mine(routes[i].Dst.IP) {
				err = errors.Join(err, netlink.RouteDel(&routes[i]))
			}
		}
	}
	return err
}

// killAll ends containerd first, then shims and loggers, then what is left in
// the host's cgroups.
func (h *Host) killAll() error {
	return poll(20*time.Second, func() error {
		all, err := leaks.Processes()
		if err != nil {
			return err
		}
		var left []string
		for _, p := range all {
			if p.PID != os.Getpid() && p.State != "Z" && p.Mentions(h.Dir) {
				left = append(left, p.Name)
				_ = syscall.Kill(p.PID, syscall.SIGKILL)
			}
		}
		for _, pid := range cgroupPIDs(h.CgroupRoot) {
			left = append(left, strconv.Itoa(pid))
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if len(left) > 0 {
			return fmt.Errorf("still there: %s", strings.Join(left, ", "))
		}
		return nil
	})
}

// cgroupPIDs returns the processes in a cgroup and those below it.
func cgroupPIDs(root string) []int {
	hierarchies, _ := leaks.Hierarchies()
	var pids []int
	for _, hierarchy := range hierarchies {
		_ = filepath.WalkDir(filepath.Join(hierarchy, root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return nil
			}
			text, _ := os.ReadFile(filepath.Join(path, "cgroup.procs"))
			for field := range strings.FieldsSeq(string(text)) {
				// 0 stands for a process of another PID namespace.
				if pid, err := strconv.Atoi(field); err == nil && pid > 1 && !slices.Contains(pids, pid) {
					pids = append(pids, pid)
				}
			}
			return nil
		})
	}
	return pids
}

// removeCgroups removes a cgroup and those below it from every hierarchy.
func removeCgroups(root string) error {
	hierarchies, err := leaks.Hierarchies()
	if err != nil {
		return err
	}
	return poll(10*time.Second, func() error {
		var failed error
		for _, hierarchy := range hierarchies {
			var dirs []string
			_ = filepath.WalkDir(filepath.Join(hierarchy, root), func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, path)
				}
				return nil
			})
			for _, dir := range slices.Backward(dirs) {
				if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
					failed = err
				}
			}
		}
		return failed
	})
}

// unmountBelow unmounts everything in a folder, the newest first, and makes
// sure of it: what is mounted there may be somebody's data.
func unmountBelow(dir string) error {
	return poll(5*time.Second, func() error {
		found, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
		if err != nil {
			return err
		}
		for _, m := range slices.Backward(found) {
			_ = syscall.Unmount(m.Mountpoint, syscall.MNT_DETACH)
		}
		if found, err = mountinfo.GetMounts(mountinfo.PrefixFilter(dir)); err == nil && len(found) > 0 {
			err = fmt.Errorf("%d mounts are left, such as %s", len(found), found[0].Mountpoint)
		}
		return err
	})
}

// removeLeftovers removes the hosts of test runs that were killed. Their
// processes and mounts have died with their namespaces.
func removeLeftovers() error {
	dirs, err := filepath.Glob(filepath.Join(baseDir, "h*"))
	if err != nil {
		return err
	}
	var failed error
	for _, dir := range dirs {
		path := filepath.Join(dir, lockName)
		if _, err := os.Stat(path); err != nil {
			// One that is just being made, unless it is old.
			if info, err := os.Stat(dir); err != nil || time.Since(info.ModTime()) < time.Minute {
				continue
			}
		}
		unlock, err := filelock.Take(path, syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			continue // in use
		}
		failed = errors.Join(failed, removeCgroups(layout(dir).CgroupRoot), unmountBelow(dir))
		if failed == nil {
			failed = os.RemoveAll(dir)
		}
		unlock()
	}
	return failed
}

// poll repeats something until it succeeds, and returns its last error.
func poll(within time.Duration, do func() error) error {
	for deadline := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		err := do()
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
