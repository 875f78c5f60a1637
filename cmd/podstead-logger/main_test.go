package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/podstead/podstead/runtime/logs"
)

// asLogger makes the test binary be the logger.
const asLogger = "PODSTEAD_LOGGER_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(asLogger) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// logger is a running podstead-logger, started as the shim does.
type logger struct {
	cmd            *exec.Cmd
	stdout, stderr *os.File
	path, status   string
}

func start(t *testing.T, args ...string) *logger {
	t.Helper()
	dir := t.TempDir()
	l := &logger{path: filepath.Join(dir, "pod", "app", "0.log"), status: filepath.Join(dir, "status")}
	pipe := func() (r, w *os.File) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close(); w.Close() })
		return r, w
	}
	outR, outW := pipe()
	errR, errW := pipe()
	readyR, readyW := pipe()
	l.stdout, l.stderr = outW, errW
	l.cmd = exec.Command(os.Args[0], append([]string{"--path", l.path, "--status", l.status}, args...)...)
	l.cmd.Env = []string{asLogger + "=1", "CONTAINER_ID=x", "CONTAINER_NAMESPACE=y"}
	l.cmd.ExtraFiles = []*os.File{outR, errR, readyW}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.cmd.Process.Kill(); l.cmd.Wait() })
	readyW.Close()
	outR.Close()
	errR.Close()
	if b, err := io.ReadAll(readyR); err != nil || len(b) != 1 {
		t.Fatalf("ready: %d bytes, %v, want one byte and the end", len(b), err)
	}
	return l
}

func (l *logger) end(t *testing.T) {
	t.Helper()
	l.stdout.Close()
	l.stderr.Close()
	if err := l.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestTheLogIsThereWhenTheLoggerIsReady(t *testing.T) {
	l := start(t)
	if info, err := os.Stat(l.path); err != nil || info.Size() != 0 {
		t.Errorf("got %v, %v, want an empty log", info, err)
	}
	if _, alive, err := logs.ReadStatus(l.status); err != nil || !alive {
		t.Errorf("alive %v, %v, want a living logger", alive, err)
	}
	l.end(t)
	if _, alive, err := logs.ReadStatus(l.status); err != nil || alive {
		t.Errorf("alive %v, %v, want none after the end", alive, err)
	}
}

func TestSignalsLoseNothing(t *testing.T) {
	l := start(t, "--max-size", "1000000", "--max-files", "100")
	const lines = 200_000
	out := bufio.NewWriter(l.stdout)
	for i := range lines {
		fmt.Fprintf(out, "line %d\n", i)
		if i%20_000 == 0 {
			for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
				if err := l.cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	l.end(t)
	var got bytes.Buffer
	if err := logs.Read(t.Context(), &got, logs.Options{Dir: filepath.Dir(l.path)}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(got.String()) {
		if want := fmt.Sprintf("line %d\n", n); line != want {
			t.Fatalf("got %q, want %q", line, want)
		}
		n++
	}
	if n != lines {
		t.Errorf("got %d lines, want %d", n, lines)
	}
	if s, _, err := logs.ReadStatus(l.status); err != nil || s.Entries != lines || s.DroppedLines != 0 || s.Rotations == 0 {
		t.Errorf("status %+v, %v", s, err)
	}
}

func TestAKilledLoggerIsSeen(t *testing.T) {
	l := start(t)
	if err := l.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	l.cmd.Wait()
	if _, alive, err := logs.ReadStatus(l.status); err != nil || alive {
		t.Errorf("alive %v, %v, want a dead logger", alive, err)
	}
}

func TestAnUnwritableLogDoesNotBlockTheContainer(t *testing.T) {
	// A file stands where the folder should be made.
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pod"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := start(t, "--path", filepath.Join(dir, "pod", "app", "0.log"))
	l.stdout.SetWriteDeadline(time.Now().Add(20 * time.Second))
	line := strings.Repeat("x", 999) + "\n"
	for range 1000 {
		if _, err := l.stdout.WriteString(line); err != nil {
			t.Fatal(err)
		}
	}
	l.end(t)
	s, _, err := logs.ReadStatus(l.status)
	if err != nil || s.DroppedLines != 1000 || s.DroppedBytes != 999_000 || !strings.Contains(s.LastError, "not a directory") {
		t.Errorf("status %+v, %v", s, err)
	}
}

func TestOutputThatEndsWithoutANewlineIsKept(t *testing.T) {
	l := start(t)
	l.stdout.WriteString("last words")
	l.end(t)
	if b, err := os.ReadFile(l.path); err != nil || !strings.HasSuffix(string(b), " stdout F last words\n") {
		t.Errorf("got %q, %v", b, err)
	}
}
