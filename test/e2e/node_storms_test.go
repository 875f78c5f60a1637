package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/podstead/podstead/test/harness"
)

const (
	bombMetrics = "127.0.0.1:19257"
	neighbour   = "127.0.0.1:18299"
	// neighbourly is what nobody notices much, on a machine that others use.
	neighbourly = 500 * time.Millisecond
)

// processor is the processor time that a process has used.
func processor(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// resident is the memory of a process in bytes.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// asked are questions to a neighbour of what goes wild, all the time.
type asked struct {
	stop  func()
	mu    sync.Mutex
	took  []time.Duration
	fails []error
}

// askAll begins to ask.
func askAll(address string) *asked {
	a, ended := &asked{}, make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		for {
			select {
			case <-ended:
				return
			case <-time.After(20 * time.Millisecond):
			}
			from := time.Now()
			answer, err := client.Get("http://" + address + "/healthz")
			if err == nil {
				answer.Body.Close()
			}
			a.mu.Lock()
			a.took = append(a.took, time.Since(from))
			if err != nil {
				a.fails = append(a.fails, err)
			}
			a.mu.Unlock()
		}
	})
	a.stop = func() {
		close(ended)
		group.Wait()
	}
	return a
}

// count is how many questions were asked so far.
func (a *asked) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.took)
}

// slowest99 is the time in which 99 of 100 questions were answered.
func (a *asked) slowest99() time.Duration {
	slices.Sort(a.took)
	return a.took[len(a.took)*99/100]
}

// TestF9_ForkBomb: a pod that forks without end gets what it may, and neither
// the host nor another pod notices much of it.
func TestF9_ForkBomb(t *testing.T) {
	t.Parallel()
	const limit = 256
	h := harness.New(t, harness.Options{Config: fmt.Sprintf("pidsLimit: %d\nmetrics: {address: %q}\nrestart: {base: 1s, max: 1s, reset: 1m}\n", limit, bombMetrics)})
	h.AddWitnessImage(image)
	addShell(t, h)
	h.Start()
	beside := newSubject(t, h, "beside", witness("app", "-listen", neighbour))
	beside.Spec.HostNetwork = true
	beside.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m")}
	beside.run("1")
	quiet := askAll(neighbour)
	h.Eventually(patience, func() error {
		if n := quiet.count(); n < 100 {
			return fmt.Errorf("%d questions", n)
		}
		return nil
	})
	quiet.stop()

	p := runs(h, "bomb", simple("bomb", once("bomb() { bomb | bomb & }", "bomb", "sleep 1000"), "", ""))
	loud := askAll(neighbour)
	most, hits := 0, 0.0
	h.Eventually(patience, func() error {
		text, err := maxPIDs.current(cgroupOf(h, p))
		if err != nil {
			return err
		}
		if most = max(most, text); most > limit {
			t.Fatalf("the pod has %d tasks, want at most %d", most, limit)
		}
		if out, err := exec.Command("true").CombinedOutput(); err != nil {
			t.Fatalf("the host can't fork: %v: %s", err, out)
		}
		families, err := scrape(bombMetrics, "/metrics/cadvisor")
		if err != nil {
			return err
		}
		hits, _ = valueOf(families["podstead_pids_limit_hits_total"], "pod=bomb", "container=app")
		ofPod, _ := valueOf(families["podstead_pids_limit_hits_total"], "pod=bomb", "container=")
		if hits = max(hits, ofPod); hits == 0 || loud.count() < 200 {
			return fmt.Errorf("%v forks were refused, at most %d tasks were there", hits, most)
		}
		return nil
	})
	loud.stop()
	t.Logf("at most %d tasks, %.0f forks refused; 99 of 100 questions to the neighbour were answered within %s, before within %s",
		most, hits, loud.slowest99(), quiet.slowest99())
	if loud.slowest99() > max(2*quiet.slowest99(), neighbourly) {
		t.Errorf("99 of 100 questions to the neighbour were answered within %s, want %s", loud.slowest99(), neighbourly)
	}
	if len(loud.fails) > 0 {
		t.Errorf("%d of %d questions to the neighbour had no answer: %v", len(loud.fails), len(loud.took), loud.fails[0])
	}
	from := time.Now()
	h.Remove("bomb.yaml")
	h.WaitGone("default/bomb", patience)
	within(t, "end of the bomb, of 1 s grace", time.Since(from), 0, 11*time.Second+slack)
	if n := len(beside.lives("app")); n != 1 {
		t.Errorf("the neighbour had %d runs", n)
	}
}

// TestF20_StormOfCrashes: many containers that end at once, again and again,
// keep no other from its start, and podstead itself stays small.
func TestF20_StormOfCrashes(t *testing.T) {
	t.Parallel()
	const pods, each, seconds = 20, 5, 20
	h := harness.New(t, harness.Options{Config: "restart: {base: 1s, max: 2s, reset: 1m}\n"})
	h.AddWitnessImage(image)
	h.Start()
	steady := newSubject(t, h, "steady", witness("app"))
	steady.run("1")
	crashing := make([]*subject, pods)
	for i := range crashing {
		var containers []corev1.Container
		for n := range each {
			containers = append(containers, witness(fmt.Sprintf("c%d", n), "-exit-after", "0s", "-exit-code", "1"))
		}
		crashing[i] = newSubject(t, h, fmt.Sprintf("crash-%02d", i), containers...)
		crashing[i].write("1")
	}
	for _, s := range crashing {
		for n := range each {
			s.waitLives(fmt.Sprintf("c%d", n), 1)
		}
	}
	count := func() (n int) {
		for _, s := range crashing {
			for c := range each {
				n += len(s.lives(fmt.Sprintf("c%d", c)))
			}
		}
		return n
	}
	before, used, from := count(), processor(t, h.PID()), time.Now()
	new := newSubject(t, h, "new", witness("app"))
	new.write("1")
	new.waitLives("app", 1)
	came := time.Since(from)
	h.Eventually(patience, func() error {
		if left := seconds*time.Second - time.Since(from); left > 0 {
			return fmt.Errorf("%s to go", left)
		}
		return nil
	})
	took := time.Since(from)
	restarted, share := count()-before, (processor(t, h.PID())-used).Seconds()/took.Seconds()
	t.Logf("%d containers crash: %d restarts within %.0f s, a new pod ran after %s, podstead used %.2f of a processor and %d MiB",
		pods*each, restarted, took.Seconds(), came.Round(time.Millisecond), share, resident(t, h.PID())>>20)
	within(t, "start of a new pod", came, 0, 10*time.Second+slack)
	if most := 4*took.Seconds() + 20; float64(restarted) > most || restarted < seconds {
		t.Errorf("%d restarts within %.0f s, want at most %.0f, and some", restarted, took.Seconds(), most)
	}
	if share > 0.3 {
		t.Errorf("podstead used %.2f of a processor, want at most 0.3", share)
	}
	if size := resident(t, h.PID()); size > 150<<20 {
		t.Errorf("podstead has %d MiB, want at most 150", size>>20)
	}
	if n := len(h.Leaks()["container"]); n > 2*pods*each+2 {
		t.Errorf("containerd has %d containers, want at most two of each that crashes", n)
	}
	for _, s := range crashing[:3] {
		p, err := h.Pod(s.key())
		if err != nil {
			t.Fatal(err)
		}
		for n := range each {
			name := fmt.Sprintf("c%d", n)
			logs, err := filepath.Glob(filepath.Join(h.Logs, fmt.Sprintf("default_%s_%s", s.Name, p.UID), name, "*.log"))
			if err != nil || len(logs) > 3 {
				t.Errorf("%s has logs %v, %v, want at most three", name, logs, err)
			}
		}
	}
	if n := len(steady.lives("app")); n != 1 {
		t.Errorf("the pod that is well had %d runs", n)
	}
	for _, s := range crashing {
		h.Remove(s.file())
	}
	for _, s := range crashing {
		h.WaitGone(s.key(), patience)
	}
}
