package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Places in the initial RAM disk and in the root that it prepares.
const (
	modulesDir = "/modules" // NNN-name.ko, in the order in which they are loaded
	overlayDir = "/overlay" // files that are put into the root's /run
	newRoot    = "/root"
	rootDisk   = "/dev/vda"
)

// boot does what an initial RAM disk does and becomes systemd.
func boot() error {
	for _, m := range []struct{ kind, path string }{{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}} {
		if err := mount(m.kind, m.kind, m.path, 0, ""); err != nil {
			return err
		}
	}
	if err := loadModules(); err != nil {
		return err
	}
	if err := waitFor(rootDisk, 30*time.Second); err != nil {
		return err
	}
	if err := mount(rootDisk, "ext4", newRoot, 0, rootOptions()); err != nil {
		return err
	}
	run := filepath.Join(newRoot, "run")
	if err := mount("tmpfs", "tmpfs", run, syscall.MS_NOSUID|syscall.MS_NODEV, "mode=0755,size=20%"); err != nil {
		return err
	}
	if err := fillRun(run); err != nil {
		return fmt.Errorf("fill /run: %w", err)
	}
	for _, dir := range []string{"/dev", "/proc", "/sys"} {
		if err := syscall.Mount(dir, filepath.Join(newRoot, dir), "", syscall.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", dir, err)
		}
	}
	return switchRoot()
}

// fillRun puts this program and what came with it into the root's /run, which
// systemd leaves as it is.
func fillRun(run string) error {
	if err := os.CopyFS(run, os.DirFS(overlayDir)); err != nil {
		return err
	}
	program, err := os.ReadFile("/init")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(run, "guest/agent"), program, 0o755)
}

// rootOptions are those that the kernel's command line has for the root.
func rootOptions() string {
	line, _ := os.ReadFile("/proc/cmdline")
	for field := range strings.FieldsSeq(string(line)) {
		if options, ok := strings.CutPrefix(field, "rootflags="); ok {
			return options
		}
	}
	return ""
}

func loadModules() error {
	entries, err := os.ReadDir(modulesDir)
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		f, err := os.Open(filepath.Join(modulesDir, e.Name()))
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && !errors.Is(err, syscall.EEXIST) {
			return fmt.Errorf("load %s: %w", e.Name(), err)
		}
	}
	return nil
}

func waitFor(path string, within time.Duration) error {
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		_, err := os.Stat(path)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no %s came within %s", path, within)
		}
	}
}

func mount(what, kind, where string, flags uintptr, options string) error {
	if err := os.MkdirAll(where, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount(what, where, kind, flags, options); err != nil && !errors.Is(err, syscall.EBUSY) {
		return fmt.Errorf("mount %s at %s: %w", what, where, err)
	}
	return nil
}

// switchRoot makes the disk the root, as switch_root does, and runs its init.
func switchRoot() error {
	if err := os.Chdir(newRoot); err != nil {
		return err
	}
	if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root: %w", err)
	}
	if err := syscall.Chroot("."); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return syscall.Exec("/sbin/init", []string{"/sbin/init"}, []string{"HOME=/", "TERM=linux"})
}
