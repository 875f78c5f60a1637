package probes_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/probes"
)

// serverVariable makes this test's own binary a server, so that what the
// server costs is not counted as what probes cost.
const serverVariable = "PODSTEAD_TEST_PROBED_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) != "" {
		beProbed()
		return
	}
	os.Exit(m.Run())
}

// beProbed answers every connection with success until standard input ends.
func beProbed() {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 1024))
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
			}()
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func startServer(t *testing.T) (port int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(self)
	server.Env = append(os.Environ(), serverVariable+"=1")
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = server.Wait()
	})
	if _, err := fmt.Fscan(bufio.NewReader(stdout), &port); err != nil {
		t.Fatal(err)
	}
	return port
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestSixHundredProbesEachSecond misjudges none of them, and says what they
// cost.
func TestSixHundredProbesEachSecond(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds")
	}
	const count, lasts = 600, 10 * time.Second
	port := startServer(t)
	var failures atomic.Int32
	r := probes.New(probes.Config{Now: realNow, Judge: func(v pod.ProbeVerdict) {
		if v.Outcome != pod.ProbeSuccess {
			failures.Add(1)
			t.Errorf("%s is judged %s: %s", v.Container, v.Outcome, v.Message)
		}
	}})
	run(t, r)
	var targets []pod.ProbeTarget
	for i := range count {
		c := httpTarget(port)
		c.Container, c.Instance.Name = fmt.Sprintf("c%d", i), fmt.Sprintf("web-%d", i/6)
		c.Probe.PeriodSeconds = 1
		targets = append(targets, c)
	}
	began, used := time.Now(), cpuTime(t)
	r.Set(targets)
	time.Sleep(lasts) // it is the load that is tested, not its end
	used = cpuTime(t) - used
	took := time.Since(began)

	var made, failed, uncounted uint64
	for _, report := range r.All() {
		made += report.Succeeded
		failed += report.Failed
		uncounted += report.Unknown
	}
	t.Logf("%d attempts in %s cost %s of CPU: %.1f %% of a core, %s each; %d failed, %d did not count",
		made, took.Round(time.Millisecond), used, 100*used.Seconds()/took.Seconds(), used/time.Duration(max(1, made)), failed, uncounted)
	await(t, "the success of all", func() bool {
		return !slices.ContainsFunc(r.All(), func(r pod.ProbeReport) bool { return r.Outcome != pod.ProbeSuccess })
	})
}
