package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
)

// The bounds of a log in TestF22, and what a logger may write beyond them.
const (
	floodSize  = 2 << 20
	floodFiles = 3
	floodSlack = 256 << 10
)

var criLine = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) [FP] `)

// TestF22_LogFlood: containers that print as fast as they can, in long lines
// and short ones, take no more of the disk than they may; the logs of others
// are whole, podstead is killed meanwhile, and a follower misses nothing.
func TestF22_LogFlood(t *testing.T) {
	t.Parallel()
	const quietLines, followedLines = 1500, 3000
	h := harness.New(t, harness.Options{Config: fmt.Sprintf("logs: {maxSize: %d, maxFiles: %d}\nrestart: {base: 1s, max: 1s, reset: 1m}\n", floodSize, floodFiles)})
	disk := h.Mount("log", 64, 0)
	h.AddWitnessImage(image)
	h.Start()
	flood := newSubject(t, h, "flood", witness("long", "-flood", "-1", "-line-size", "1000000"), witness("short", "-flood", "-1", "-line-size", "100"))
	var quiet []*subject
	for i := range 4 {
		quiet = append(quiet, newSubject(t, h, fmt.Sprintf("quiet-%d", i), witness("app", "-flood", fmt.Sprint(quietLines), "-flood-pause", "5ms")))
	}
	// What is followed is rotated twice on its way.
	followed := newSubject(t, h, "followed", witness("app", "-flood", fmt.Sprint(followedLines), "-line-size", "2000", "-flood-pause", "4ms"))
	p := flood.run("1")
	used, from := processor(t, h.PID()), time.Now()
	for _, s := range append(quiet, followed) {
		s.run("1")
	}
	seen := follow(t, h, followed.Name)
	full := sizes(h, p)
	h.Eventually(patience, func() error {
		for name, size := range sizes(h, p) {
			full[name] = max(full[name], size)
			if most := int64(floodFiles*floodSize + floodSlack); size > most {
				t.Fatalf("the logs of %s have %d bytes, want at most %d", name, size, most)
			}
		}
		if out, err := h.CLI("logs", followed.Name, "--tail", "1"); err != nil || !strings.HasPrefix(out, fmt.Sprintf("line %d ", followedLines-1)) {
			return fmt.Errorf("%v: the last line of the followed one is %.40q", err, out)
		}
		return nil
	})
	share := (processor(t, h.PID()) - used).Seconds() / time.Since(from).Seconds()
	t.Logf("within %.0f s the floods had up to %v bytes, podstead used %.2f of a processor, %d MiB of the disk are left",
		time.Since(from).Seconds(), full, share, disk.Available()>>20)
	for name, size := range full {
		if size < floodSize {
			t.Errorf("%s printed no flood: %d bytes", name, size)
		}
	}
	if share > 0.5 {
		t.Errorf("podstead used %.2f of a processor, want at most 0.5", share)
	}
	h.Eventually(patience, func() error {
		if got := seen(); got != followedLines {
			return fmt.Errorf("the follower saw the first %d lines of %d without a gap", got, followedLines)
		}
		return nil
	})
	h.Kill9()
	h.Start()
	for _, s := range quiet {
		wholeLog(t, h, s.Name, quietLines)
	}

	// A logger that is killed leaves whole lines.
	for _, pid := range h.Processes("podstead-logger") {
		if args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && bytes.Contains(args, []byte("default_flood_")) {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	flood.waitLives("short", 2)
	flood.waitLives("long", 2)
	told(h, []string{"its logger died after"}, "describe", "pod", flood.Name)
	p, err := h.Pod(flood.key())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"long", "short"} {
		files, err := filepath.Glob(filepath.Join(podLogs(h, p), name, "0.log*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("logs of the first run of %s: %v, %v", name, files, err)
		}
		for _, f := range files {
			wholeLines(t, f)
		}
	}
	h.Remove(flood.file())
	h.WaitGone(flood.key(), patience)
}

func podLogs(h *harness.Host, p corev1.Pod) string {
	return filepath.Join(h.Logs, fmt.Sprintf("%s_%s_%s", p.Namespace, p.Name, p.UID))
}

// sizes are those of all logs of each container of a pod.
func sizes(h *harness.Host, p corev1.Pod) map[string]int64 {
	sum := map[string]int64{}
	for _, c := range p.Spec.Containers {
		files, _ := filepath.Glob(filepath.Join(podLogs(h, p), c.Name, "*"))
		for _, f := range files {
			if info, err := os.Stat(f); err == nil {
				sum[c.Name] += info.Size()
			}
		}
	}
	return sum
}

// follow follows a log and counts the lines from the first on that came
// without a gap; -1 after one.
func follow(t *testing.T, h *harness.Host, name string) (seen func() int) {
	t.Helper()
	cmd := h.Command("logs", "-f", name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	next := 0
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewReaderSize(out, 1<<20)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			mu.Lock()
			if !strings.HasPrefix(line, fmt.Sprintf("line %d ", next)) {
				next = -1
				mu.Unlock()
				return
			}
			next++
			mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return next
	}
}

// wholeLog waits until a log has all its lines, in order.
func wholeLog(t *testing.T, h *harness.Host, name string, lines int) {
	t.Helper()
	h.Eventually(patience, func() error {
		out, err := h.CLI("logs", name)
		if err != nil {
			return err
		}
		got := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		if len(got) != lines {
			return fmt.Errorf("%s has %d lines, want %d", name, len(got), lines)
		}
		for i, line := range got {
			if line != fmt.Sprintf("line %d", i) && !strings.HasPrefix(line, fmt.Sprintf("line %d ", i)) {
				return fmt.Errorf("line %d of %s is %.40q", i, name, line)
			}
		}
		return nil
	})
}

// wholeLines fails the test for a line that is not one of the CRI's; the last
// one may be cut.
func wholeLines(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(content, []byte("\n"))
	for i, line := range lines[:len(lines)-1] {
		if !criLine.Match(line) {
			t.Fatalf("line %d of %s is %.80q", i, path, line)
		}
	}
}
