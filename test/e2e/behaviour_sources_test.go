package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/record"
)

// server answers with manifests, or cuts connections off without an answer.
type server struct {
	*httptest.Server
	answer atomic.Pointer[string] // nil: none
	asked  atomic.Int64
}

func newServer(t *testing.T) *server {
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer s.asked.Add(1)
		text := s.answer.Load()
		if text == nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write([]byte(*text))
	}))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	return s
}

func (s *server) serve(documents ...string) {
	text := strings.Join(documents, "---\n")
	s.answer.Store(&text)
}

// waitAsked waits until the present answer was given twice, so that podstead
// has taken it at least once.
func (s *server) waitAsked(h *harness.Host) {
	from := s.asked.Load()
	h.Eventually(patience, func() error {
		if n := s.asked.Load() - from; n < 2 {
			return fmt.Errorf("the server was asked %d times, want 2", n)
		}
		return nil
	})
}

// sourcesHost has a directory and a server as its sources.
func sourcesHost(t *testing.T, srv *server) *harness.Host {
	t.Helper()
	files := t.TempDir()
	h := harness.New(t, harness.Options{Config: fmt.Sprintf(`sources:
- {name: files, directory: {path: %s}}
- {name: server, url: {url: %q, interval: 1s}, podSecurity: privileged}
restart: {base: 1s, max: 3s, reset: 1m}
`, files, srv.URL)})
	h.Manifests = files
	h.AddWitnessImage(image)
	return h
}

// TestFailing08_AnAnswerThatIsNoGoodStopsNothing gives empty and bad answers.
func TestFailing08_AnAnswerThatIsNoGoodStopsNothing(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	h := sourcesHost(t, srv)
	one, two, three := newSubject(t, h, "one", witness("app")), newSubject(t, h, "two", witness("app")), newSubject(t, h, "three", witness("app"))
	srv.serve(one.yaml("1"), two.yaml("1"))
	h.Start()
	one.waitLives("app", 1)
	two.waitLives("app", 1)

	srv.serve("")
	told(h, []string{"the answer has no bytes"}, "status")
	srv.serve("<html>Please sign in</html>")
	told(h, []string{"looks like HTML"}, "status")

	// One that is not valid does not hold up the others.
	two.Spec.Containers[0].Image = "not a valid image"
	srv.serve(one.yaml("2"), two.yaml("2"), three.yaml("1"))
	one.waitGeneration("app", "2")
	three.waitLives("app", 1)
	told(h, []string{"spec.containers[0].image", "not a valid image", "keeps running"}, "describe", "pod", two.Name)
	if lives := two.lives("app"); len(lives) != 1 || lives[0].term != 0 {
		t.Errorf("two lived %+v, want it not to be touched", lives)
	}
	if got := generations(one.lives("app")); got != "1 2" {
		t.Errorf("generations %s of one ran, want 1 2", got)
	}
	srv.serve(one.yaml("2"), three.yaml("1"))
	h.WaitGone(two.key(), patience)
	// Nothing at all was still said: a List without items needs confirmation.
	srv.serve(`{"apiVersion": "v1", "kind": "List", "items": []}`)
	told(h, []string{"omits 2 of 2 pods"}, "status")
	srv.waitAsked(h)
	if lives := three.lives("app"); len(lives) != 1 || lives[0].term != 0 {
		t.Errorf("three lived %+v, want it not to be touched", lives)
	}
}

// TestFailing08_AServerThatIsDownHoldsNothingUp restarts podstead, and then
// all of the host, while the server is down.
func TestFailing08_AServerThatIsDownHoldsNothingUp(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	h := sourcesHost(t, srv)
	far, near, later := newSubject(t, h, "far", witness("app")), newSubject(t, h, "near", witness("app")), newSubject(t, h, "later", witness("app"))
	srv.serve(far.yaml("1"))
	h.Start()
	far.waitLives("app", 1)
	near.run("1")
	srv.answer.Store(nil)
	h.Kill9()
	h.Start()

	// Deletions and news of files go on.
	near.remove()
	later.run("1")
	// What crashes is restarted.
	crashed := record.Now()
	pid := processOf(t, h, far)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	lives := far.waitLives("app", 2)
	within(t, "from the crash to the restart", lives[1].from.Sub(crashed), 0, slack)

	// After a reboot it starts from what is kept on disk.
	h.PowerCut()
	h.Start()
	far.waitLives("app", 3)
	later.waitLives("app", 2)
	told(h, []string{srv.URL}, "status")

	// What is kept on disk may be lost too: nobody knows then what the server
	// wants, so what runs goes on.
	h.Kill9()
	if err := os.RemoveAll(filepath.Join(h.Dir, "state", "sources")); err != nil {
		t.Fatal(err)
	}
	h.StartWithoutWaiting()
	later.write("2")
	later.waitGeneration("app", "2")
	if lives := far.lives("app"); len(lives) != 3 || lives[2].term != 0 {
		t.Errorf("far lived %+v, want the third run to go on", lives)
	}
	srv.serve(far.yaml("2"))
	far.waitGeneration("app", "2")
}

// processOf is the PID of a pod's container "app".
func processOf(t *testing.T, h *harness.Host, s *subject) int {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		environ, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(environ), "WITNESS_ID=default_"+s.Name+"_app\x00") {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/environ", &pid); err == nil && inHost(h, pid) {
			return pid
		}
	}
	t.Fatalf("no process of %s", s.key())
	return 0
}

// inHost tells whether a process belongs to a host and not to another one.
func inHost(h *harness.Host, pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return err == nil && strings.Contains(string(text), h.CgroupRoot+"/")
}

// TestFailing09_NothingWaitsForNamesOrRoutes is with name servers that don't
// answer. The namespaces of tests have no default route.
func TestFailing09_NothingWaitsForNamesOrRoutes(t *testing.T) {
	asked := silentNameServer(t)
	h := newHost(t, harness.Options{})
	newSubject(t, h, "first", witness("app")).run("1") // unpacks the image
	best, stopped := time.Hour, time.Hour
	for i := range 4 {
		s := newSubject(t, h, fmt.Sprintf("no-dns-%d", i), witness("app"))
		wanted := record.Now()
		s.run("1")
		best = min(best, s.lives("app")[0].from.Sub(wanted))
		removed := record.Now()
		s.remove()
		stopped = min(stopped, s.lives("app")[0].term.Sub(removed))
	}
	t.Logf("started within %s, told to stop within %s", best, stopped)
	within(t, "from the manifest to the process", best, 0, time.Second)
	within(t, "from the manifest's removal to the signal", stopped, 0, time.Second)
	if n := asked.Load(); n > 0 {
		t.Errorf("name servers were asked %d times", n)
	}
}

// silentNameServer makes every name be asked of a server that never answers,
// and counts.
func silentNameServer(t *testing.T) *atomic.Int64 {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for buf := make([]byte, 512); ; asked.Add(1) {
			if _, _, err := conn.ReadFrom(buf); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver 127.0.0.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(conf, "/etc/resolv.conf", "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount("/etc/resolv.conf", 0); err != nil {
			t.Error(err)
		}
	})
	return &asked
}
