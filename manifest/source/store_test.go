package source

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/pod"
)

// stored runs a directory source once, so that its store holds pod a.
func stored(t *testing.T) (dir, file string, store *Store) {
	t.Helper()
	store = NewStore(t.TempDir())
	dir, d := directory(t, func(c *DirectoryConfig) { c.Store = store })
	put(t, filepath.Join(dir, "a.yaml"), doc("a", "1"))
	r, stop := start(t, d.Run)
	r.untilPods(t, map[string]string{"a": "1"})
	stop()
	return dir, filepath.Join(store.dir, "local.json"), store
}

// again runs the source of a directory anew.
func again(t *testing.T, dir string, store *Store) (*recorder, func()) {
	t.Helper()
	_, d := directory(t, func(c *DirectoryConfig) { c.Path, c.Store = dir, store })
	return start(t, d.Run)
}

func TestFileBrokenWhileDownKeepsItsPod(t *testing.T) {
	dir, _, store := stored(t)
	write(t, filepath.Join(dir, "a.yaml"), "{{{")
	r, _ := again(t, dir, store)
	s, _ := r.until(t, "first state", func(s pod.SourceState) bool { return s.Synced })
	wantImages(t, s, map[string]string{"a": "1"})
	if !hasProblem(s, pod.ReasonSyntax, "pod default/a keeps running as before") || len(s.Unreadable) > 0 {
		t.Errorf("problems %v, unreadable %v", s.Problems, s.Unreadable)
	}
}

func TestFirstSnapshotAfterRestartIsTrue(t *testing.T) {
	for name, change := range map[string]func(dir string){
		"changed":        func(dir string) { write(t, filepath.Join(dir, "a.yaml"), doc("a", "2")) },
		"renamed":        func(dir string) { _ = os.Rename(filepath.Join(dir, "a.yaml"), filepath.Join(dir, "z.yml")) },
		"removed":        func(dir string) { _ = os.Remove(filepath.Join(dir, "a.yaml")) },
		"directory gone": func(dir string) { _ = os.RemoveAll(dir) },
	} {
		want := map[string]map[string]string{
			"changed": {"a": "2"}, "renamed": {"a": "1"}, "removed": {}, "directory gone": {"a": "1"},
		}[name]
		t.Run(name, func(t *testing.T) {
			dir, _, store := stored(t)
			change(dir)
			r, stop := again(t, dir, store)
			r.until(t, "first state", func(s pod.SourceState) bool { return s.Synced })
			stop()
			wantImages(t, r.all()[0], want)
		})
	}
}

func TestCorruptStoreIsPutAside(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, file string){
		"empty":     func(t *testing.T, file string) { write(t, file, "") },
		"one byte":  func(t *testing.T, file string) { truncate(t, file, 1) },
		"half":      func(t *testing.T, file string) { truncate(t, file, 100) },
		"bit flip":  flip,
		"directory": func(t *testing.T, file string) { _ = os.Remove(file); _ = os.Mkdir(file, 0o700) },
		"link":      func(t *testing.T, file string) { _ = os.Rename(file, file+".x"); _ = os.Symlink(file+".x", file) },
		"FIFO":      func(t *testing.T, file string) { _ = os.Remove(file); _ = unix.Mkfifo(file, 0o600) },
		"null pod": func(t *testing.T, file string) {
			payload := `{"wanted":[{"file":"x","Key":{"Namespace":"d","Name":"a"}}]}`
			write(t, file, `{"version":1,"sha256":"`+checksum([]byte(payload))+`","source":`+payload+`}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, file, store := stored(t)
			for range 5 { // each time anew
				spoil(t, file)
				r, stop := again(t, dir, store)
				s, _ := r.untilPods(t, map[string]string{"a": "1"})
				if !hasProblem(s, pod.ReasonUnreadable, "rebuilt from the source") {
					t.Errorf("problems %v, want one of the store", s.Problems)
				}
				stop()
				if found, err := store.load("local"); err != nil || len(found.Wanted) != 1 {
					t.Errorf("the copy was not rebuilt: %v, %v", found, err)
				}
			}
			if aside, _ := filepath.Glob(file + ".corrupt-*"); len(aside) != 3 {
				t.Errorf("%d corrupt files are kept, want 3: %v", len(aside), aside)
			}
		})
	}
}

func truncate(t *testing.T, file string, size int64) {
	t.Helper()
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(data), `"image":"1"`) + 9
	data[at] ^= 1
	write(t, file, string(data))
}

func TestStoreOfANewerVersionIsLeftAlone(t *testing.T) {
	dir, file, store := stored(t)
	const newer = `{"version":2,"whatever":true}`
	write(t, file, newer)
	r, stop := again(t, dir, store)
	s, _ := r.untilPods(t, map[string]string{"a": "1"})
	if !hasProblem(s, pod.ReasonUnreadable, "neither read nor replaced") {
		t.Errorf("problems %v", s.Problems)
	}
	put(t, filepath.Join(dir, "a.yaml"), doc("a", "2"))
	r.untilPods(t, map[string]string{"a": "2"})
	stop()
	if data, err := os.ReadFile(file); string(data) != newer {
		t.Errorf("the file was replaced by %q (%v)", data, err)
	}
}

func TestNothingIsWrittenWhenNothingChanged(t *testing.T) {
	dir, file, store := stored(t)
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	r, stop := again(t, dir, store)
	r.untilPods(t, map[string]string{"a": "1"})
	put(t, filepath.Join(dir, "b.yaml"), "{{{") // a problem, but no other pods
	r.until(t, "problem", func(s pod.SourceState) bool { return len(s.Problems) > 0 })
	if err := os.Remove(filepath.Join(dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	r.until(t, "no problem", func(s pod.SourceState) bool { return len(s.Problems) == 0 })
	stop()

	server := serve(t, say(firstGood), false)
	store = NewStore(t.TempDir())
	ru, stopURL := runURL(t, poll(server.URL, func(c *URLConfig) { c.Store = store }))
	ru.untilPods(t, onePods)
	path := filepath.Join(store.dir, "fleet.json")
	var first os.FileInfo
	for deadline := time.Now().Add(5 * time.Second); first == nil && time.Now().Before(deadline); {
		if first, err = os.Stat(path); err != nil {
			first = nil
		}
	}
	for n := server.polls.Load(); server.polls.Load() < n+10; {
		time.Sleep(time.Millisecond)
	}
	stopURL()
	after, err := os.Stat(path)
	if err != nil || first == nil || signatureOf(first) != signatureOf(after) {
		t.Errorf("the copy of a URL was written again: %v, %v (%v)", first, after, err)
	}
	if after.Mode() != 0o600 || before.Mode() != 0o600 {
		t.Errorf("modes %v and %v, want 0600: manifests hold secrets", after.Mode(), before.Mode())
	}
}

func TestRestartAloneWritesNothing(t *testing.T) {
	dir, file, store := stored(t)
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	r, stop := again(t, dir, store)
	r.untilPods(t, map[string]string{"a": "1"})
	stop()
	after, err := os.Stat(file)
	if err != nil || signatureOf(before) != signatureOf(after) {
		t.Errorf("the copy was written again: %v, %v (%v)", before, after, err)
	}
}

func TestFullDiskKeepsTheOldCopy(t *testing.T) {
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(small, unix.MNT_DETACH) })
	store := NewStore(small)
	dir, d := directory(t, func(c *DirectoryConfig) { c.Store = store })
	put(t, filepath.Join(dir, "a.yaml"), doc("a", "1"))
	r, stop := start(t, d.Run)
	r.untilPods(t, map[string]string{"a": "1"})
	untilStored(t, store, "1")
	ballast := filepath.Join(small, "ballast")
	if err := fillDisk(ballast); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "a.yaml"), doc("a", "2"))
	s, _ := r.until(t, "problem", func(s pod.SourceState) bool { return hasProblem(s, pod.ReasonUnreadable, "the previous copy is kept") })
	wantImages(t, s, map[string]string{"a": "2"})
	if found, err := store.load("local"); err != nil || found.Wanted[0].Pod.Spec.Containers[0].Image != "1" {
		t.Errorf("the old copy is not whole: %v, %v", found, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	r.until(t, "recovery", func(s pod.SourceState) bool { return len(s.Problems) == 0 })
	untilStored(t, store, "2")
	stop()
}

func fillDisk(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return nil
		}
	}
}

func untilStored(t *testing.T, store *Store, image string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if found, err := store.load("local"); err == nil && found.Wanted[0].Pod.Spec.Containers[0].Image == image {
			return
		}
	}
	t.Fatalf("image %s was not stored within 10 s", image)
}

func TestMissingStoreFolderIsReported(t *testing.T) {
	dir, d := directory(t, func(c *DirectoryConfig) { c.Store = NewStore("/nonexistent/podstead") })
	put(t, filepath.Join(dir, "a.yaml"), doc("a", "1"))
	r, _ := start(t, d.Run)
	s, _ := r.until(t, "problem", func(s pod.SourceState) bool { return len(s.Problems) > 0 && len(s.Pods) > 0 })
	if !strings.Contains(s.Problems[0].Message, syscall.ENOENT.Error()) {
		t.Errorf("problem %v, want the reason", s.Problems[0])
	}
}

func TestSlowServerDoesNotHoldTheStartUp(t *testing.T) {
	store := cached(t, firstGood)
	server := serve(t, silent, false)
	begin := time.Now()
	r, _ := runURL(t, poll(server.URL, func(c *URLConfig) {
		c.Store, c.HeaderTimeout, c.Timeout = store, time.Minute, time.Minute
	}))
	s, at := r.untilPods(t, onePods)
	if waited := at.Sub(begin); waited > 3*time.Second || !s.Synced {
		t.Errorf("pods of the last good copy came after %v, synced %v", waited, s.Synced)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	server := serve(t, silent, false)
	u, err := NewURL(poll(server.URL, func(c *URLConfig) { c.HeaderTimeout, c.Timeout = time.Minute, time.Minute }))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx, func(pod.SourceState) {}) }()
	for server.polls.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Run returned %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("Run goes on after its context ended")
	}
}

func TestADiskThatTakesNothingIsTriedSeldomAndToldOnce(t *testing.T) {
	dir, _, store := stored(t)
	if err := os.RemoveAll(store.dir); err != nil {
		t.Fatal(err)
	}
	r, stop := again(t, dir, store)
	put(t, filepath.Join(dir, "b.yaml"), doc("b", "1"))
	s, _ := r.until(t, "failed write", func(s pod.SourceState) bool {
		return hasProblem(s, pod.ReasonUnreadable, "the previous copy is kept")
	})
	before := r.count()
	time.Sleep(500 * time.Millisecond)
	if after := r.count(); after > before+3 {
		t.Errorf("%d states were published in half a second in which nothing changed", after-before)
	}
	stop()
	if last, _, _ := r.latest(); last.Problems[0] != s.Problems[0] {
		t.Errorf("the same failure reads differently: %v, then %v", s.Problems[0], last.Problems[0])
	}
}
