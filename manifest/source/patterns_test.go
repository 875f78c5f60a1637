package source

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
)

// shell runs a script in a folder, with $NEW as the new content.
func shell(t *testing.T, dir, script, content string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "NEW="+content)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

func TestEditorsChangeAFileOnce(t *testing.T) {
	for name, script := range map[string]string{
		"rename":          `printf %s "$NEW" >.new; mv -T .new web.yaml`,
		"sed -i":          `sed -i "s/image: .*/image: two/" web.yaml`,
		"in place":        `printf %s "$NEW" >web.yaml`,
		"append and trim": `printf %s "$NEW" >>web.yaml; printf %s "$NEW" >web.yaml`,
		"vim with backup": `: >4913; rm 4913; : >.web.yaml.swp; mv web.yaml web.yaml~; printf %s "$NEW" >web.yaml; rm web.yaml~ .web.yaml.swp`,
		"slow vim":        `mv web.yaml web.yaml~; sleep 0.05; printf %s "$NEW" >web.yaml; rm web.yaml~`,
		"emacs":           `ln -s user@host.1 '.#web.yaml'; cp web.yaml web.yaml~; printf %s "$NEW" >web.yaml; rm '.#web.yaml'; : >'#web.yaml#'`,
		"cp":              `printf %s "$NEW" >/dev/null; printf %s "$NEW" >new.txt; cp new.txt web.yaml`,
		"install":         `printf %s "$NEW" >new.txt; install -m 644 new.txt web.yaml`,
		"hard link":       `printf %s "$NEW" >new.txt; ln -f new.txt web.yaml`,
		"symbolic link":   `printf %s "$NEW" >new.txt; ln -s new.txt .l; mv -T .l web.yaml`,
	} {
		t.Run(name, func(t *testing.T) {
			dir, d := directory(t)
			put(t, filepath.Join(dir, "web.yaml"), doc("web", "one"))
			r, _ := start(t, d.Run)
			r.untilPods(t, map[string]string{"web": "one"})
			shell(t, dir, script, doc("web", "two"))
			r.untilPods(t, map[string]string{"web": "two"})
			var seen []string
			for _, s := range r.all() {
				if image := images(s)["web"]; len(seen) == 0 || seen[len(seen)-1] != image {
					seen = append(seen, image)
				}
				if len(s.Problems) > 0 {
					t.Errorf("problems on the way: %v", s.Problems)
				}
			}
			if got := strings.Join(seen, " "); got != "one two" {
				t.Errorf("images were %q in turn, want one and two", got)
			}
		})
	}
}

func TestSameContentPublishesNothing(t *testing.T) {
	dir, d := directory(t)
	put(t, filepath.Join(dir, "web.yaml"), doc("web", "one"))
	r, _ := start(t, d.Run)
	r.untilPods(t, map[string]string{"web": "one"})
	before := r.count()
	for _, script := range []string{
		`touch web.yaml`, `touch -d 2001-01-01 web.yaml`, `chmod 600 web.yaml`, `ln web.yaml x.bak`,
		`printf %s "$NEW" >web.yaml`, `printf %s "$NEW" >.new; mv -T .new web.yaml`, `mv web.yaml w; mv w web.yaml`,
		`: >a.yaml.bak; : >.hidden.yaml; : >b.yaml~; : >c.swp; mkdir sub; printf %s "{{{" >sub/x.yaml`,
	} {
		shell(t, dir, script, doc("web", "one"))
		time.Sleep(150 * time.Millisecond) // longer than anything may take to settle
	}
	if r.count() != before {
		t.Errorf("%d states were published for the same content", r.count()-before)
	}
	put(t, filepath.Join(dir, "web.yaml"), doc("web", "two")) // it still looks
	r.untilPods(t, map[string]string{"web": "two"})
}

func TestRenamedManifestKeepsItsPod(t *testing.T) {
	dir, d := directory(t)
	put(t, filepath.Join(dir, "v00.yaml"), doc("web", "one"))
	r, _ := start(t, d.Run)
	r.untilPods(t, map[string]string{"web": "one"})
	for i := range 10 {
		how := `mv %s %s`
		if i%2 == 1 {
			how = `cp %[1]s .c; rm %[1]s; cp .c %[2]s` // away, and slowly back
		}
		shell(t, dir, fmt.Sprintf(how, fmt.Sprintf("v%02d.yaml", i), fmt.Sprintf("v%02d.yaml", i+1)), "")
		r.until(t, "new name", func(s pod.SourceState) bool {
			return len(s.Pods) == 1 && strings.HasSuffix(s.Pods[0].Origin.File, fmt.Sprintf("v%02d.yaml", i+1))
		})
	}
	for _, s := range r.all() {
		if images(s)["web"] == "" {
			t.Fatalf("the pod left a snapshot while its file was renamed")
		}
	}
}

func TestConfigMapSwap(t *testing.T) {
	dir, d := directory(t)
	swap := func(i int) {
		version := fmt.Sprintf("..v%d", i)
		if err := os.Mkdir(filepath.Join(dir, version), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "web.yaml"), doc("web", fmt.Sprint("v", i)))
		link(t, version, filepath.Join(dir, "..data"))
	}
	swap(0)
	link(t, "..data/web.yaml", filepath.Join(dir, "web.yaml"))
	r, _ := start(t, d.Run)
	r.untilPods(t, map[string]string{"web": "v0"})
	for i := range 20 {
		swap(i + 1)
		begin := time.Now()
		_, at := r.untilPods(t, map[string]string{"web": fmt.Sprint("v", i+1)})
		if took := at.Sub(begin); took > time.Second {
			t.Errorf("swap %d was seen after %v, want within 1 s", i+1, took)
		}
	}
	// In the folder behind the link, too, files are watched.
	put(t, filepath.Join(dir, "..v20", "web.yaml"), doc("web", "inside"))
	r.untilPods(t, map[string]string{"web": "inside"})
}

// link makes a symbolic link, replacing an old one at once.
func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path+"_tmp"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+"_tmp", path); err != nil {
		t.Fatal(err)
	}
}

func TestWholeDirectoryIsSwapped(t *testing.T) {
	base := t.TempDir()
	root := filepath.Join(base, "current")
	for _, v := range []string{"one", "two", "three"} {
		if err := os.Mkdir(filepath.Join(base, v), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(base, v, "web.yaml"), doc("web", v))
	}
	link(t, "one", root)
	_, d := directory(t, func(c *DirectoryConfig) { c.Path = root })
	r, _ := start(t, d.Run)
	r.untilPods(t, map[string]string{"web": "one"})
	shell(t, base, `ln -s two n; mv -T n current`, "")
	r.untilPods(t, map[string]string{"web": "two"})
	shell(t, base, `ln -sfn three current`, "")
	r.untilPods(t, map[string]string{"web": "three"})
	shell(t, base, `rm current; sleep 0.3; ln -s one current`, "")
	r.untilPods(t, map[string]string{"web": "one"})
	shell(t, base, `rm current; mv two current`, "")
	r.untilPods(t, map[string]string{"web": "two"})
	shell(t, base, `mv current away`, "")
	s, _ := r.until(t, "error", func(s pod.SourceState) bool { return s.ErrorReason == ReasonMissing })
	if !strings.Contains(s.Error, root) || !strings.Contains(s.Error, "its pod default/web stays as it is") {
		t.Errorf("error %q", s.Error)
	}
	shell(t, base, `mv three current`, "")
	r.untilPods(t, map[string]string{"web": "three"})
	for _, s := range r.all() {
		if images(s)["web"] == "" {
			t.Fatal("the pod left a snapshot while its directory was swapped")
		}
	}
}

func TestEditsInABurstAreCoalesced(t *testing.T) {
	for name, edit := range map[string]func(*testing.T, string, string){"rename": put, "in place": write} {
		t.Run(name, func(t *testing.T) {
			dir, d := directory(t)
			path := filepath.Join(dir, "web.yaml")
			r, _ := start(t, d.Run)
			r.untilPods(t, map[string]string{})
			for i := range 50 {
				edit(t, path, doc("web", fmt.Sprint("v", i)))
				time.Sleep(15 * time.Millisecond)
			}
			r.untilPods(t, map[string]string{"web": "v49"})
			if n := r.count(); n > 30 {
				t.Errorf("50 edits made %d states, want far fewer", n)
			} else {
				t.Logf("50 edits made %d states", n)
			}
		})
	}
}

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
		"fifo": `rm web.yaml; mkfifo web.yaml`, "directory": `rm web.yaml; mkdir web.yaml`,
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
			s, _ := r.until(t, "problem", func(s pod.SourceState) bool { return len(s.Problems) == 1 })
			wantImages(t, s, map[string]string{"web": name})
			if !strings.Contains(s.Problems[0].Consequence, "default/web keeps running") || len(s.Unreadable) > 0 {
				t.Errorf("problem %v (%s), unreadable %v", s.Problems[0], s.Problems[0].Consequence, s.Unreadable)
			}
		})
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

func TestRescanMakesUpForLostEvents(t *testing.T) {
	dir, d := directory(t, func(c *DirectoryConfig) { c.Rescan = 100 * time.Millisecond })
	r, _ := start(t, func(ctx context.Context, publish func(pod.SourceState)) error {
		return d.newRun(nil, errors.New("no instance left"), publish).run(ctx)
	})
	r.untilPods(t, map[string]string{})
	put(t, filepath.Join(dir, "web.yaml"), doc("web", "one"))
	s, _ := r.untilPods(t, map[string]string{"web": "one"})
	if !hasProblem(s, pod.ReasonLimit, "changes are found by looking every") {
		t.Errorf("problems %v, want one of the missing notices", s.Problems)
	}
}

func TestOverflowIsAHintWithoutTrustInRenames(t *testing.T) {
	n := &inotify{watches: map[int32]watch{1: {manifests: true}}}
	moved := event(1, unix.IN_MOVED_TO, "web.yaml")
	if !n.note(moved) || !n.take().renamed["web.yaml"] {
		t.Error("a rename was not noticed")
	}
	n.note(append(event(1, unix.IN_MOVED_TO, "web.yaml"), event(1, unix.IN_MODIFY, "web.yaml")...))
	if h := n.take(); !h.any || h.renamed["web.yaml"] {
		t.Errorf("hints %+v after a rename and a write, want no rename", h)
	}
	n.note(append(event(1, unix.IN_MOVED_TO, "web.yaml"), event(-1, unix.IN_Q_OVERFLOW, "")...))
	if h := n.take(); !h.any || !h.overflow || h.renamed["web.yaml"] {
		t.Errorf("hints %+v after an overflow, want a look at everything", h)
	}
	n.note(append(event(1, unix.IN_CREATE, "web.yaml.bak"), event(7, unix.IN_CREATE, "web.yaml")...))
	if h := n.take(); h.any {
		t.Errorf("hints %+v of what is no manifest or not watched", h)
	}
}

func event(wd int32, mask uint32, name string) []byte {
	padded := make([]byte, 16)
	copy(padded, name)
	out := binary.NativeEndian.AppendUint32(nil, uint32(wd))
	out = binary.NativeEndian.AppendUint32(out, mask)
	out = binary.NativeEndian.AppendUint32(out, 0) // cookie
	out = binary.NativeEndian.AppendUint32(out, uint32(len(padded)))
	return append(out, padded...)
}

func TestVanishedFileIsHeldWhileAnUnreadOneMayBeIt(t *testing.T) {
	dir, d := directory(t)
	d.config.Settle = 300 * time.Millisecond
	s := newScanner(d.config, nil, ledger{})
	old, renamed := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	write(t, old, doc("web", "one"))
	l := ledger{}.next(s.scan(map[string]bool{"a.yaml": true}).readings, Policy{})
	if len(l.wanted) != 1 {
		t.Fatalf("wanted %v, want pod web", l.wanted)
	}
	if err := os.Rename(old, renamed); err != nil {
		t.Fatal(err)
	}
	s.scan(nil)
	time.Sleep(d.config.Settle) // so long that the old name would count as removed
	write(t, renamed, doc("web", "two"))
	if l = l.next(s.scan(nil).readings, Policy{}); len(l.wanted) != 1 {
		t.Error("the pod left while the file with its new name was being written")
	}
}

func TestNewWatchesAreFollowedByAnotherLook(t *testing.T) {
	dir, d := directory(t)
	notify, err := newInotify()
	if err != nil {
		t.Skip(err)
	}
	defer notify.close()
	s := newScanner(d.config, notify, ledger{})
	for i, move := range []func(){func() {}, func() { link(t, t.TempDir()+"/x", filepath.Join(dir, "web.yaml")) }} {
		move()
		if s.scan(nil).again.IsZero() {
			t.Errorf("%d: what happened before the watches were set would go unnoticed", i)
		}
		if again := s.scan(nil).again; !again.IsZero() {
			t.Errorf("%d: it looks again at %v though nothing moved", i, again)
		}
	}
}
