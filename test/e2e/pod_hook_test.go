package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/test/harness"
)

var hookRows = []row{
	{"Row19_SecondContainerWaitsForThePostStartOfTheFirst", postStartHoldsUp},
	{"Row22_PreStopRunsWithinTheGrace", preStopWithinGrace},
	{"Row23_PreStopRunsWhenTheStartupProbeFails", preStopOnFailure("startup")},
	{"Row24_PreStopRunsWhenTheLivenessProbeFails", preStopOnFailure("liveness")},
	{"Row39_PreStopComesBeforeTheSignal", preStopBeforeSignal},
	{"Row39_FailedPostStartRestarts", failedPostStart},
	{"Row39_HTTPHook", httpHook},
	{"Row39_SleepHook", sleepHook},
}

// diary reads what hooks and containers wrote into a folder's file "diary".
func diary(h *harness.Host, dir string, lines int) []string {
	var found []string
	h.Eventually(patience, func() error {
		text, err := os.ReadFile(filepath.Join(dir, "diary"))
		if err != nil {
			return err
		}
		if found = strings.Fields(string(text)); len(found) < lines {
			return fmt.Errorf("the diary has %v, want %d entries", found, lines)
		}
		return nil
	})
	return found
}

// note is a hook or command that writes into the diary.
func note(commands string) string {
	return fmt.Sprintf("{exec: {command: [/bin/busybox, sh, -c, %q]}}", commands)
}

func postStartHoldsUp(t *testing.T, h *harness.Host) {
	dir := folder(t, h, "poststart")
	h.Write("poststart.yaml", manifest("poststart", fmt.Sprintf(`  volumes:
  - {name: d, hostPath: {path: %[1]s}}
  containers:
  - name: first
    image: %[2]s
    command: %[3]s
    volumeMounts: [{name: d, mountPath: /d}]
    lifecycle: {postStart: %[4]s}
  - name: second
    image: %[2]s
    command: %[5]s
    volumeMounts: [{name: d, mountPath: /d}]
`, dir, shell, script("echo first >> /d/diary"), note("until grep -q first /d/diary; do sleep 0.1; done; sleep 1; echo hook >> /d/diary"), script("echo second >> /d/diary"))))
	if got := diary(h, dir, 3); strings.Join(got, " ") != "first hook second" {
		t.Errorf("it went %v, want first, its hook, second", got)
	}
	h.WaitRunning("default/poststart", patience)
}

// A preStop hook that does not end has the grace, and the container is killed
// two seconds later at the latest.
func preStopWithinGrace(t *testing.T, h *harness.Host) {
	dir, yaml := healthy(t, h, "longstop", script("trap '' TERM", "while :; do /bin/busybox sleep 1; done"),
		"lifecycle: {preStop: "+note("echo begun >> /d/diary; sleep 600")+"}\n")
	h.Write("longstop.yaml", strings.Replace(yaml, "terminationGracePeriodSeconds: 1\n", "terminationGracePeriodSeconds: 3\n", 1))
	h.WaitRunning("default/longstop", patience)
	begun := time.Now()
	h.Remove("longstop.yaml")
	diary(h, dir, 1)
	h.WaitGone("default/longstop", patience)
	within(t, "the end with a grace of 3 s", time.Since(begun), 3*time.Second, 5*time.Second+slack)
}

func preStopOnFailure(kind string) func(*testing.T, *harness.Host) {
	return func(t *testing.T, h *harness.Host) {
		name := "stop-" + kind
		dir, yaml := healthy(t, h, name, script("true"),
			kind+"Probe: {exec: {command: [/bin/busybox, 'false']}, periodSeconds: 1, failureThreshold: 1}\n"+
				"lifecycle: {preStop: "+note("echo stopped >> /d/diary")+"}\n")
		h.Write(name+".yaml", yaml)
		diary(h, dir, 1)
		restartedAtLeast(h, name, 1)
	}
}

func preStopBeforeSignal(t *testing.T, h *harness.Host) {
	dir, yaml := healthy(t, h, "order", script("trap 'echo signal >> /d/diary; exit 0' TERM"),
		"lifecycle: {preStop: "+note("echo hook >> /d/diary; sleep 1; echo over >> /d/diary")+"}\n")
	h.Write("order.yaml", strings.Replace(yaml, "terminationGracePeriodSeconds: 1\n", "terminationGracePeriodSeconds: 60\n", 1))
	h.WaitRunning("default/order", patience)
	h.Remove("order.yaml")
	h.WaitGone("default/order", patience)
	if got := diary(h, dir, 3); strings.Join(got, " ") != "hook over signal" {
		t.Errorf("it went %v, want the hook, its end, the signal", got)
	}
}

func failedPostStart(t *testing.T, h *harness.Host) {
	_, yaml := healthy(t, h, "badstart", script("true"), "lifecycle: {postStart: "+note("echo no luck >&2; exit 3")+"}\n")
	h.Write("badstart.yaml", yaml)
	restartedAtLeast(h, "badstart", 1)
	tells(h, "badstart", "FailedPostStartHook", "no luck")
}

func httpHook(t *testing.T, h *harness.Host) {
	// The server of the container counts as asked when it has run the script.
	dir, yaml := healthy(t, h, "httphook",
		script("mkdir -p /tmp/cgi-bin", "printf '#!/bin/busybox sh\\necho asked >> /d/diary; echo; echo\\n' > /tmp/cgi-bin/hook",
			"chmod 755 /tmp/cgi-bin/hook", "/bin/busybox httpd -p 8000 -h /tmp"),
		"lifecycle: {preStop: {httpGet: {path: /cgi-bin/hook, port: 8000}}}\n")
	h.Write("httphook.yaml", strings.Replace(yaml, "terminationGracePeriodSeconds: 1\n", "terminationGracePeriodSeconds: 30\n", 1))
	h.WaitRunning("default/httphook", patience)
	time.Sleep(time.Second) // the server is up
	h.Remove("httphook.yaml")
	diary(h, dir, 1)
	h.WaitGone("default/httphook", patience)
}

func sleepHook(t *testing.T, h *harness.Host) {
	dir, yaml := healthy(t, h, "sleeps", script("trap 'echo signal >> /d/diary; exit 0' TERM"), "lifecycle: {preStop: {sleep: {seconds: 3}}}\n")
	h.Write("sleeps.yaml", strings.Replace(yaml, "terminationGracePeriodSeconds: 1\n", "terminationGracePeriodSeconds: 60\n", 1))
	h.WaitRunning("default/sleeps", patience)
	begun := time.Now()
	h.Remove("sleeps.yaml")
	diary(h, dir, 1)
	within(t, "the signal after a sleep of 3 s", time.Since(begun), 3*time.Second, 3*time.Second+slack)
	h.WaitGone("default/sleeps", patience)
}
