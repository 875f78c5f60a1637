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
	l := ledger{}.next(s.scan(map[string]bool{"a.yaml": true}).readings, nil)
	if len(l.wanted) != 1 {
		t.Fatalf("wanted %v, want pod web", l.wanted)
	}
	if err := os.Rename(old, renamed); err != nil {
		t.Fatal(err)
	}
	s.scan(nil)
	time.Sleep(d.config.Settle) // so long that the old name would count as removed
	write(t, renamed, doc("web", "two"))
	if l = l.next(s.scan(nil).readings, nil); len(l.wanted) != 1 {
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
