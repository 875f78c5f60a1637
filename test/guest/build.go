package guest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// build makes an image in a folder: debootstrap's tree, made a file system
// without being mounted, and the kernel and drivers out of it.
func build(s Suite, dir string, progress func(string, ...any)) error {
	began := time.Now()
	root := filepath.Join(dir, "root")
	if err := os.MkdirAll(filepath.Join(dir, "drivers"), 0o755); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"install Debian " + string(s) + " by debootstrap", func() error { return debootstrap(s, root) }},
		{"set it up", func() error { return setUp(root) }},
		{"take kernel and drivers out of it", func() error { return takeKernel(root, dir) }},
		{"make the file system", func() error { return makeFileSystem(root, filepath.Join(dir, "root.ext4")) }},
		{"remove the tree", func() error { return os.RemoveAll(root) }},
	} {
		progress("image of %s: %s", s, step.name)
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	progress("image of %s: built in %s", s, time.Since(began).Round(time.Second))
	return nil
}

func debootstrap(s Suite, root string) error {
	cmd := exec.Command("debootstrap", "--variant=minbase", "--include="+strings.Join(packages, ","), string(s), root, mirror)
	// The kernel's package makes no initial RAM disk: ours is quicker.
	cmd.Env = append(os.Environ(), "INITRD=No", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	return runTool(cmd)
}

// setUp makes a server of the tree.
func setUp(root string) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(files[name]), 0o644); err != nil {
			return err
		}
	}
	systemctl := func(verb string, units []string) error {
		return runTool(exec.Command("chroot", append([]string{root, "systemctl", verb}, units...)...))
	}
	if err := errors.Join(systemctl("enable", enabled), systemctl("disable", disabled), systemctl("mask", masked)); err != nil {
		return err
	}
	for _, pattern := range []string{"var/cache/apt/archives/*.deb", "var/cache/apt/*.bin", "var/lib/apt/lists/*Packages", "usr/share/doc/*", "usr/share/locale/*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeKernel copies the kernel and the drivers, in the order in which they
// are to be loaded.
func takeKernel(root, dir string) error {
	kernels, err := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*"))
	if err != nil || len(kernels) != 1 {
		return fmt.Errorf("kernels in /boot: %v, want one (%w)", kernels, err)
	}
	if err := copyFile(kernels[0], filepath.Join(dir, "vmlinuz")); err != nil {
		return err
	}
	modules := filepath.Join(root, "usr/lib/modules", strings.TrimPrefix(filepath.Base(kernels[0]), "vmlinuz-"))
	index, err := os.ReadFile(filepath.Join(modules, "modules.dep"))
	if err != nil {
		return err
	}
	paths, err := loadOrder(string(index), drivers)
	if err != nil {
		return err
	}
	for i, path := range paths {
		name, packed := strings.CutSuffix(filepath.Base(path), ".xz")
		to := filepath.Join(dir, "drivers", fmt.Sprintf("%03d-%s", i, name))
		if !packed {
			err = copyFile(filepath.Join(modules, path), to)
		} else {
			err = unpackXZ(filepath.Join(modules, path), to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// loadOrder returns the files of modules and of what they depend on, each
// after those that it depends on, by modules.dep. A module that is not listed
// is built into the kernel.
func loadOrder(index string, names []string) ([]string, error) {
	needs := map[string][]string{} // by file
	files := map[string]string{}   // by name
	for line := range strings.Lines(index) {
		file, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			return nil, fmt.Errorf("modules.dep: line without a colon: %q", line)
		}
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		needs[file], files[strings.ReplaceAll(name, "_", "-")] = strings.Fields(rest), file
	}
	var order []string
	for _, name := range names {
		file, ok := files[strings.ReplaceAll(name, "_", "-")]
		if !ok {
			continue
		}
		// modules.dep has the whole closure, the first to be loaded last.
		for _, file := range backwards(needs[file], file) {
			if !slices.Contains(order, file) {
				order = append(order, file)
			}
		}
	}
	return order, nil
}

func backwards(first []string, last string) []string {
	all := slices.Clone(first)
	slices.Reverse(all)
	return append(all, last)
}

func makeFileSystem(tree, out string) error {
	return runTool(exec.Command("mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", tree,
		"-E", "lazy_itable_init=0,lazy_journal_init=0,hash_seed=5b1e7c0c-8a3f-4f0e-9d2a-6b7c8d9e0f10", out, size))
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func unpackXZ(from, to string) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	cmd := exec.Command("xz", "--decompress", "--stdout", from)
	cmd.Stdout = out
	return errors.Join(runTool(cmd), out.Close())
}

// runTool runs a program and returns the end of what it said when it fails.
func runTool(cmd *exec.Cmd) error {
	var said strings.Builder
	cmd.Stderr = &said
	if cmd.Stdout == nil {
		cmd.Stdout = &said
	}
	if err := cmd.Run(); err != nil {
		text := said.String()
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, text[max(0, len(text)-2000):])
	}
	return nil
}
