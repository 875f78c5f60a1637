package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
)

func TestWhatIsNoFileIsIgnoredWithoutHanging(t *testing.T) {
	dir, d := directory(t)
	put(t, filepath.Join(dir, "good.yaml"), doc("good", "1"))
	for path, make := range map[string]func(string) error{
		"fifo.yaml":   func(p string) error { return unix.Mkfifo(p, 0o644) },
		"dir.yaml":    func(p string) error { return os.Mkdir(p, 0o755) },
		"socket.yaml": func(p string) error { return unix.Mknod(p, unix.S_IFSOCK|0o644, 0) },
		"zero.yaml":   func(p string) error { return os.Symlink("/dev/zero", p) },
		"loop.yaml":   func(p string) error { return os.Symlink("loop.yaml", p) },
		"away.yaml":   func(p string) error { return os.Symlink("nowhere", p) },
		"sparse.yaml": func(p string) error {
			write(t, p, "")
			return os.Truncate(p, 5<<30)
		},
		"large.yaml": func(p string) error { return os.WriteFile(p, make5MB(), 0o644) },
	} {
		if err := make(filepath.Join(dir, path)); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	r, _ := start(t, d.Run)
	s, at := r.untilPods(t, map[string]string{"good": "1"})
	if took := at.Sub(begin); took > 2*time.Second {
		t.Errorf("the good file waited %v for the others", took)
	}
	reasons := map[string]pod.Reason{}
	for _, p := range s.Problems {
		reasons[filepath.Base(p.Origin.File)] = p.Reason
		if p.Consequence == "" {
			t.Errorf("%v does not say what happens now", p)
		}
	}
	for name, want := range map[string]pod.Reason{
		"fifo.yaml": pod.ReasonUnreadable, "dir.yaml": pod.ReasonUnreadable, "zero.yaml": pod.ReasonUnreadable,
		"socket.yaml": pod.ReasonUnreadable, "loop.yaml": pod.ReasonUnreadable, "away.yaml": pod.ReasonUnreadable,
		"sparse.yaml": pod.ReasonTooLarge, "large.yaml": pod.ReasonTooLarge,
	} {
		if reasons[name] != want {
			t.Errorf("%s: reason %q, want %q", name, reasons[name], want)
		}
	}
}

func make5MB() []byte { return []byte(strings.Repeat("# 0123456789\n", 5<<20/13)) }

func TestWhatTakesThePlaceOfAManifestKeepsItsPod(t *testing.T) {
	dir, d := directory(t)
	path := filepath.Join(dir, "web.yaml")
	r, _ := start(t, d.Run)
	for name, script := range map[string]string{
		"fifo": `mkfifo .f; mv -T .f web.yaml`, "directory": `mkdir .d`,
		"dangling": `ln -s nowhere .l; mv -T .l web.yaml`, "huge": `truncate -s 5G web.yaml`,
		"writable": `chmod 666 web.yaml`, "foreign": `chown 1234 web.yaml`,
		"borrowed": `mkdir -m 777 .w; printf %s "$NEW" >.w/x; ln -s .w/x .l; mv -T .l web.yaml`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			put(t, path, doc("web", name))
			r.untilPods(t, map[string]string{"web": name})
			shell(t, dir, script, doc("web", "stolen"))
			if name == "directory" { // which no rename puts over a file
				exchange(t, filepath.Join(dir, ".d"), path)
			}
			s, _ := r.until(t, "problem", func(s pod.SourceState) bool { return len(s.Problems) == 1 })
			wantImages(t, s, map[string]string{"web": name})
			if !strings.Contains(s.Problems[0].Consequence, "default/web keeps running") || len(s.Unreadable) > 0 {
				t.Errorf("problem %v (%s), unreadable %v", s.Problems[0], s.Problems[0].Consequence, s.Unreadable)
			}
		})
	}
}

// exchange swaps two files at one moment: between an rm and what follows it a
// manifest would be gone.
func exchange(t *testing.T, a, b string) {
	t.Helper()
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(a); err != nil {
		t.Fatal(err)
	}
}

func TestUnreadableFileWithoutLastGoodIsNamed(t *testing.T) {
	dir, d := directory(t)
	put(t, filepath.Join(dir, "a.yaml"), "{{{")
	chmodded := filepath.Join(dir, "b.yaml")
	put(t, chmodded, doc("b", "1"))
	chmod(t, chmodded, 0o666)
	put(t, filepath.Join(dir, "c.yaml"), docs(doc("c", "1"), doc("d", "BAD")))
	put(t, filepath.Join(dir, "e.yaml"), doc("e", "1"))
	r, _ := start(t, d.Run)
	s, _ := r.untilPods(t, map[string]string{"c": "1", "e": "1"})
	if got := len(s.Unreadable); got != 3 || !s.Synced {
		t.Errorf("unreadable %v, synced %v; want a, b and c", s.Unreadable, s.Synced)
	}
	put(t, filepath.Join(dir, "a.yaml"), doc("a", "1"))
	chmod(t, chmodded, 0o644)
	put(t, filepath.Join(dir, "c.yaml"), doc("d", "1"))
	s, _ = r.untilPods(t, map[string]string{"a": "1", "b": "1", "d": "1", "e": "1"})
	if len(s.Unreadable) > 0 {
		t.Errorf("unreadable %v after all were read", s.Unreadable)
	}
	// Known once, what is added broken hides nothing that was removed.
	put(t, filepath.Join(dir, "c.yaml"), doc("x", "BAD"))
	s, _ = r.untilPods(t, map[string]string{"a": "1", "b": "1", "e": "1"})
	if len(s.Unreadable) > 0 {
		t.Errorf("unreadable %v, want none", s.Unreadable)
	}
}

func TestDirectoriesThatOthersCanWriteAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		spoil, mend func(t *testing.T, parent, dir string)
		trusted     bool
	}{
		"group":          {func(t *testing.T, _, dir string) { chmod(t, dir, 0o775) }, func(t *testing.T, _, dir string) { chmod(t, dir, 0o755) }, false},
		"others":         {func(t *testing.T, _, dir string) { chmod(t, dir, 0o757) }, func(t *testing.T, _, dir string) { chmod(t, dir, 0o700) }, false},
		"sticky":         {func(t *testing.T, _, dir string) { chmod(t, dir, os.ModeSticky|0o777) }, func(t *testing.T, _, dir string) { chmod(t, dir, 0o755) }, false},
		"owner":          {func(t *testing.T, _, dir string) { chown(t, dir, 1234) }, func(t *testing.T, _, dir string) { chown(t, dir, 0) }, false},
		"parent":         {func(t *testing.T, p, _ string) { chmod(t, p, 0o777) }, func(t *testing.T, p, _ string) { chmod(t, p, 0o755) }, false},
		"parent's owner": {func(t *testing.T, p, _ string) { chown(t, p, 1234) }, func(t *testing.T, p, _ string) { chown(t, p, 0) }, false},
		"sticky parent":  {func(t *testing.T, p, _ string) { chmod(t, p, os.ModeSticky|0o777) }, func(t *testing.T, p, _ string) { chmod(t, p, 0o755) }, true},
		"read by all":    {func(t *testing.T, _, dir string) { chmod(t, dir, 0o555) }, func(t *testing.T, _, dir string) { chmod(t, dir, 0o755) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir, d := directory(t, func(c *DirectoryConfig) { c.Rescan = 100 * time.Millisecond })
			parent := filepath.Dir(dir)
			put(t, filepath.Join(dir, "web.yaml"), doc("web", "one"))
			r, _ := start(t, d.Run)
			r.untilPods(t, map[string]string{"web": "one"})
			test.spoil(t, parent, dir)
			put(t, filepath.Join(dir, "web.yaml"), doc("web", "two"))
			if test.trusted {
				r.untilPods(t, map[string]string{"web": "two"})
				return
			}
			s, _ := r.until(t, "refusal", func(s pod.SourceState) bool { return s.ErrorReason == ReasonUntrusted })
			if !strings.Contains(s.Error, parent) || !strings.Contains(s.Error, "want") {
				t.Errorf("error %q names neither the folder nor the remedy", s.Error)
			}
			test.mend(t, parent, dir)
			s, _ = r.untilPods(t, map[string]string{"web": "two"})
			if s.Error != "" {
				t.Errorf("error %q stays after it was mended", s.Error)
			}
		})
	}
}

func TestMountPointMayBeRequired(t *testing.T) {
	dir, d := directory(t, func(c *DirectoryConfig) { c.RequireMount = true; c.Rescan = 50 * time.Millisecond })
	r, _ := start(t, d.Run)
	s, _ := r.until(t, "refusal", func(s pod.SourceState) bool { return s.ErrorReason == ReasonMissing })
	if s.Synced {
		t.Error("the empty mount point counts as read")
	}
	mount := func() {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=755"); err != nil {
			t.Skipf("mount: %v", err)
		}
		write(t, filepath.Join(dir, "web.yaml"), doc("web", "one"))
	}
	mount()
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	r.untilPods(t, map[string]string{"web": "one"})
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	s, _ = r.until(t, "refusal", func(s pod.SourceState) bool { return s.ErrorReason == ReasonMissing })
	wantImages(t, s, map[string]string{"web": "one"})
}

func TestFileSystemThatHangsIsReportedAndLeft(t *testing.T) {
	dir, d := directory(t, func(c *DirectoryConfig) { c.ReadTimeout = 200 * time.Millisecond; c.Rescan = 50 * time.Millisecond })
	put(t, filepath.Join(dir, "web.yaml"), doc("web", "one"))
	r, stop := start(t, d.Run)
	r.untilPods(t, map[string]string{"web": "one"})
	// A FUSE file system that nobody serves never answers.
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no FUSE: %v", err)
	}
	defer fuse.Close()
	options := fmt.Sprintf("fd=%d,rootmode=40755,user_id=0,group_id=0", fuse.Fd())
	if err := unix.Mount("test", dir, "fuse", 0, options); err != nil {
		t.Skipf("mount FUSE: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	s, _ := r.until(t, "timeout", func(s pod.SourceState) bool { return s.ErrorReason == ReasonTimeout })
	wantImages(t, s, map[string]string{"web": "one"})
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if err := fuse.Close(); err != nil { // ends what hangs
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "web.yaml"), doc("web", "two"))
	s, _ = r.untilPods(t, map[string]string{"web": "two"})
	if s.Error != "" {
		t.Errorf("error %q stays", s.Error)
	}
	stop()
}
