package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/podstead/podstead/test/record"
)

// asWitness makes the test binary be a witness.
const asWitness = "TEST_AS_WITNESS"

func TestMain(m *testing.M) {
	if os.Getenv(asWitness) != "" {
		main()
	}
	os.Exit(m.Run())
}

const id = "default_web_app"

func witness(t *testing.T, dir string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = []string{asWitness + "=1", "WITNESS_DIR=" + dir, "WITNESS_ID=" + id, "WITNESS_GENERATION=7", "WITNESS_UID=u"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, out
}

// events waits for a number of events in the diary.
func events(t *testing.T, dir string, n int) []record.Witness {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		all, err := record.Load[record.Witness](record.Path(dir, id))
		if err != nil {
			t.Fatal(err)
		}
		if len(all) >= n {
			return all
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events, want %d: %+v", len(all), n, all)
		}
	}
}

func code(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

func TestALifeIsWrittenDown(t *testing.T) {
	dir := t.TempDir()
	cmd, _ := witness(t, dir, "-exit-after", "300ms", "-exit-code", "3")
	if got := code(t, cmd); got != 3 {
		t.Errorf("exit code %d, want 3", got)
	}
	all := events(t, dir, 2)
	start, end := all[0], all[1]
	if start.Event != record.Start || start.Generation != "7" || start.PodUID != "u" || start.BootID == "" || start.PIDNS == 0 {
		t.Errorf("start %+v", start)
	}
	if end.Event != record.Exit || end.Code != 3 || end.At.Sub(start.At) < 200*time.Millisecond {
		t.Errorf("end %+v", end)
	}
	beats, err := record.LastBeats(dir, id)
	if err != nil || beats[start.Run] < end.At {
		t.Errorf("last beats %v, %v, want one at the end, %v", beats, err, end.At)
	}
}

func TestASecondOneOfANameTells(t *testing.T) {
	dir := t.TempDir()
	witness(t, dir)
	events(t, dir, 1)
	second, _ := witness(t, dir)
	if got := code(t, second); got == 0 {
		t.Error("the second one ended well")
	}
	if all := events(t, dir, 2); all[1].Event != record.Duplicate {
		t.Errorf("event %+v, want a duplicate", all[1])
	}
}

func TestSignals(t *testing.T) {
	cases := []struct {
		name string
		args []string
		want []string
		code int
	}{
		{"it ends", nil, []string{record.Start, record.Term, record.Exit}, 0},
		{"with a code", []string{"-term-code", "9"}, []string{record.Start, record.Term, record.Exit}, 9},
		{"later", []string{"-term-delay", "200ms"}, []string{record.Start, record.Term, record.Exit}, 0},
		{"it goes on", []string{"-ignore-term"}, []string{record.Start, record.Term}, -1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			cmd, _ := witness(t, dir, c.args...)
			events(t, dir, 1)
			cmd.Process.Signal(syscall.SIGTERM)
			events(t, dir, len(c.want))
			if c.code < 0 {
				cmd.Process.Kill()
			}
			if got := code(t, cmd); got != c.code {
				t.Errorf("exit code %d, want %d", got, c.code)
			}
			var got []string
			for _, e := range events(t, dir, len(c.want)) {
				got = append(got, e.Event)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOutput(t *testing.T) {
	message := filepath.Join(t.TempDir(), "message")
	cmd, out := witness(t, "", "-say", "hello", "-complain", "oops", "-flood", "3", "-message", "bye",
		"-message-path", message, "-dump", "-flood-exit")
	code(t, cmd)
	for _, want := range []string{"hello\n", "oops\n", "line 0", "line 2", "env WITNESS_GENERATION=7", "/proc/self/mountinfo: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the output", want)
		}
	}
	if got, err := os.ReadFile(message); err != nil || string(got) != "bye" {
		t.Errorf("termination message %q, %v", got, err)
	}
}

func TestEndpoints(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	cmd, _ := witness(t, dir, "-listen", "unix:"+socket)
	events(t, dir, 1)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	get := func(path string) int {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			resp, err := client.Get("http://w" + path)
			if err == nil {
				resp.Body.Close()
				return resp.StatusCode
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	if got := get("/healthz"); got != 200 {
		t.Errorf("healthz %d, want 200", got)
	}
	get("/health?ok=0")
	if got := get("/healthz"); got != 500 {
		t.Errorf("healthz %d after it fell ill, want 500", got)
	}
	get("/exit?c=5")
	if got := code(t, cmd); got != 5 {
		t.Errorf("exit code %d, want 5", got)
	}
}

func TestUnknownArgumentsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-nonsense"}, {"word"}, {"-exit-after", "soon"}} {
		cmd, _ := witness(t, "", args...)
		if got := code(t, cmd); got != 64 {
			t.Errorf("%q: exit code %d, want 64", args, got)
		}
	}
}
