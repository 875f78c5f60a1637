package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/manifest/source"
	"github.com/podstead/podstead/pod"
)

// journal notes what sources do.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) Publish(s pod.SourceState) { j.note("publish " + s.Name + " " + s.Error) }
func (j *journal) Forget(name string)        { j.note("forget " + name) }

// expect waits until the journal has just these lines, in any order, and
// empties it.
func (j *journal) expect(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		j.mu.Lock()
		got = append([]string(nil), j.lines...)
		j.mu.Unlock()
		if len(got) >= len(want) {
			break
		}
	}
	sorted := cmp.Transformer("set", func(list []string) map[string]int {
		set := map[string]int{}
		for _, l := range list {
			set[l]++
		}
		return set
	})
	if diff := cmp.Diff(want, got, sorted); diff != "" {
		t.Fatalf("journal (-want +got):\n%s", diff)
	}
	j.mu.Lock()
	j.lines = nil
	j.mu.Unlock()
}

// noted is a source that tells the journal of its life.
type noted struct {
	journal *journal
	name    string
}

func (n noted) Run(ctx context.Context, _ func(pod.SourceState)) error {
	n.journal.note("start " + n.name)
	<-ctx.Done()
	n.journal.note("end " + n.name)
	return nil
}

func directory(name, path string) config.Source {
	return config.Source{Name: name, Directory: &config.Directory{Path: path}}
}

func TestSourcesFollowTheConfiguration(t *testing.T) {
	j := &journal{}
	s := newSources(j, nil, zap.NewNop())
	s.making = func(c config.Source, _ int, _ *source.Store) (runner, error) {
		if c.Name == "broken" {
			return nil, errors.New("no such thing")
		}
		return noted{j, c.Name + " " + c.Directory.Path}, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, []config.Source{directory("a", "/a"), directory("b", "/b")}) }()
	j.expect(t, "start a /a", "start b /b")

	// What stays as it was is left alone, what changed is begun anew and not
	// forgotten, what is gone is forgotten.
	s.Set([]config.Source{directory("a", "/a"), directory("b", "/b2"), directory("c", "/c")})
	j.expect(t, "end b /b", "start b /b2", "start c /c")
	s.Set([]config.Source{directory("a", "/a"), directory("b", "/b2")})
	j.expect(t, "end c /c", "forget c")

	// The order is the priority, so a source that moved begins anew.
	s.Set([]config.Source{directory("b", "/b2")})
	j.expect(t, "end a /a", "forget a", "end b /b2", "start b /b2")

	// A source that can't be made says so and stops nobody else.
	s.Set([]config.Source{directory("b", "/b2"), directory("broken", "/x")})
	j.expect(t, "publish broken no such thing")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	j.expect(t, "end b /b2")
}

func TestOnlyRootsConfigurationIsTrusted(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make files that others own")
	}
	for name, test := range map[string]struct {
		spoil func(t *testing.T, dir, file string)
		want  string
	}{
		"as it should be":    {func(*testing.T, string, string) {}, ""},
		"group writes file":  {func(t *testing.T, _, file string) { must(t, os.Chmod(file, 0o620)) }, "config.yaml can be written by others (mode 0620)"},
		"others write file":  {func(t *testing.T, _, file string) { must(t, os.Chmod(file, 0o602)) }, "can be written by others"},
		"others own file":    {func(t *testing.T, _, file string) { must(t, os.Chown(file, 65534, 0)) }, "config.yaml belongs to user 65534"},
		"others write above": {func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, 0o777)) }, "can be written by others (mode 0777)"},
		"others own above":   {func(t *testing.T, dir, _ string) { must(t, os.Chown(dir, 65534, 0)) }, "belongs to user 65534"},
		"sticky above":       {func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, 0o777|os.ModeSticky)) }, ""},
		"link to what others own": {func(t *testing.T, dir, file string) {
			theirs := filepath.Join(t.TempDir(), "theirs.yaml")
			must(t, os.Rename(file, theirs))
			must(t, os.Chown(theirs, 65534, 0))
			must(t, os.Symlink(theirs, file))
		}, "belongs to user 65534"},
		"link into what others own": {func(t *testing.T, _, file string) {
			theirs := t.TempDir()
			must(t, os.Rename(file, filepath.Join(theirs, "c.yaml")))
			must(t, os.Chown(theirs, 65534, 0))
			must(t, os.Symlink(filepath.Join(theirs, "c.yaml"), file))
		}, "belongs to user 65534"},
		"link in what others own": {func(t *testing.T, dir, file string) {
			ours := filepath.Join(t.TempDir(), "ours.yaml")
			must(t, os.Rename(file, ours))
			must(t, os.Symlink(ours, file))
			must(t, os.Chown(dir, 65534, 0))
		}, "belongs to user 65534"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "etc")
			must(t, os.Mkdir(dir, 0o755))
			file := filepath.Join(dir, "config.yaml")
			must(t, os.WriteFile(file, []byte("apiVersion: podstead.dev/v1alpha1\nkind: Configuration\n"), 0o600))
			test.spoil(t, dir, file)
			_, err := load(file)
			var bad *config.Error
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (!errors.As(err, &bad) || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOnePodsteadPerStateFolder(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(dir)
	must(t, err)
	if _, err := lock(dir); err == nil || !strings.Contains(err.Error(), "another podstead works on "+dir) {
		t.Errorf("got %v", err)
	}
	unlock()
	again, err := lock(dir)
	must(t, err)
	again()
}

func TestPauseProgramIsReplacedWhenItChanged(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "pause")
	c := &config.Configuration{StateDir: filepath.Join(dir, "state"), RunDir: filepath.Join(dir, "run"),
		LogDir: filepath.Join(dir, "log"), ContainerLogsDir: filepath.Join(dir, "links"), Runtime: config.Runtime{Pause: program}}
	must(t, makeFolders(c))
	if _, err := pauseRootfs(c); err == nil || !strings.Contains(err.Error(), "runtime.pause") {
		t.Errorf("without the program: got %v", err)
	}
	for _, text := range []string{"one", "two"} {
		must(t, os.WriteFile(program, []byte(text), 0o755))
		root, err := pauseRootfs(c)
		must(t, err)
		copied, err := os.ReadFile(filepath.Join(root, "podstead-pause"))
		if err != nil || string(copied) != text {
			t.Errorf("got %q, %v, want %q", copied, err, text)
		}
	}
}

func TestReservedMustLeaveSomething(t *testing.T) {
	var c config.Configuration
	must(t, c.Reserved.CPU.UnmarshalText([]byte("100m")))
	n, err := node(&c, "id", "boot")
	must(t, err)
	if got, all := n.Allocatable.Cpu().MilliValue(), n.Capacity.Cpu().MilliValue(); got != all-100 {
		t.Errorf("allocatable %dm of %dm, want 100m less", got, all)
	}
	must(t, c.Reserved.Memory.UnmarshalText([]byte("1Pi")))
	if _, err := node(&c, "id", "boot"); err == nil || !strings.Contains(err.Error(), "reserved.memory: got 1Pi, want less than") {
		t.Errorf("got %v", err)
	}
}

func TestAnotherStateFolderIsRefusedWhilePodsLive(t *testing.T) {
	dir := t.TempDir()
	var pods []types.UID
	living := func(context.Context) ([]types.UID, error) { return pods, nil }
	must(t, refuseNewNode(dir, "old", living))
	pods = []types.UID{"1", "2"}
	must(t, refuseNewNode(dir, "old", living))
	err := refuseNewNode(dir, "new", living)
	if err == nil || !strings.Contains(err.Error(), "2 pods of node old") {
		t.Errorf("got %v", err)
	}
	must(t, refuseNewNode(dir, "old", living))
	pods = nil
	must(t, refuseNewNode(dir, "new", living))
}
