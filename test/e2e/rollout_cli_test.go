package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podstead/podstead/test/harness"
)

// terminal runs commands as a person does, and notes what they said.
type terminal struct {
	t *testing.T
	h *harness.Host
}

// run expects an exit code and words in what is said, and returns that.
func (c terminal) run(code int, command string, words ...string) string {
	c.t.Helper()
	out, err := c.h.Command(strings.Fields(command)...).CombinedOutput()
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		c.t.Fatal(err)
	}
	c.t.Logf("# podstead %s\n%s", command, out)
	if got != code {
		c.t.Errorf("podstead %s: exit code %d, want %d", command, got, code)
	}
	for _, want := range words {
		if !strings.Contains(string(out), want) {
			c.t.Errorf("podstead %s does not say %q", command, want)
		}
	}
	return string(out)
}

// TestRolloutsByHand steers a Deployment from the command line.
func TestRolloutsByHand(t *testing.T) {
	h := newRollouts(t, "1", "2")
	c := terminal{t, h}
	web := rollout{name: "web", version: "1", replicas: 3, watch: 2}
	web.write(h)
	rolled(h, "web", "1", 3)
	c.run(0, "rollout status deployment/web", `deployment "web" successfully rolled out`)
	goodAt(h, "web", "1")

	// What would change is told before.
	web.version = "2"
	next := filepath.Join(h.Dir, "next.yaml")
	if err := os.WriteFile(next, []byte(web.yaml()), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(1, "diff -f "+next, "-        image: example.org/responder:1", "+        image: example.org/responder:2", "replaces what runs, start-first")
	rolled(h, "web", "1", 3)

	// What is changed against the manifest is seen, and taken back.
	c.run(0, "scale --replicas=4 deployment/web", "deployment.apps/web scaled to 4")
	c.run(0, "get deployment web", "/4 ")
	c.run(0, "rollout status deployment/web", "replicas is 4, the manifest says 3", "successfully rolled out")
	rolled(h, "web", "1", 4)
	c.run(0, "status", "drift", "replicas is 4, the manifest says 3")
	c.run(0, "rollout reset deployment/web", "reset to its manifest")
	rolled(h, "web", "1", 3)

	// Right after the command its effect is awaited, not what was before.
	c.run(0, "rollout restart deployment/web", "restarted")
	c.run(0, "rollout status deploy/web", "out of 3 new replicas have been updated", "successfully rolled out")
	goodAt(h, "web", "1")
	c.run(0, "logs deployment/web", "pod/web-")
	c.run(0, "get all", "deployment.apps/web", "replicaset.apps/web-", "pod/web-")
	c.run(1, "rollout resume deployment/web", "is not paused")
	c.run(0, "rollout pause deployment/web", "paused")
	c.run(0, "get deployment web -o yaml", "paused: true")
	c.run(0, "rollout resume deployment/web", "resumed")
	web.write(h)
	rolled(h, "web", "2", 3)
	c.run(0, "rollout status deployment/web", "successfully rolled out")
	goodAt(h, "web", "2")
	c.run(0, "rollout undo deployment/web", "rolled back to revision")
	c.run(0, "rollout status deployment/web", "is wanted instead of the manifest's")
	rolled(h, "web", "1", 3)
}

// TestFailedRolloutIsExplained holds that people learn why a version was taken
// back.
func TestFailedRolloutIsExplained(t *testing.T) {
	h := newRollouts(t, "1", "2")
	c := terminal{t, h}
	web := rollout{name: "web", version: "1", replicas: 2, watch: 2}
	web.write(h)
	rolled(h, "web", "1", 2)
	goodAt(h, "web", "1")
	bad := web
	bad.version, bad.args = "2", ", -http, nowhere"
	bad.write(h)
	h.Eventually(patience, func() error {
		out, err := h.CLI("rollout", "history", "deployment/web")
		if err != nil || !strings.Contains(out, versionOf("2")) {
			return errors.New("revision 2 is not there: " + out)
		}
		return nil
	})
	why := []string{"address nowhere: missing port in address", "exit code 1", "CrashLoop", "rolled back to revision"}
	c.run(1, "rollout status deployment/web", why...)
	c.run(0, "rollout history deployment/web", "wanted, failed (CrashLoop)", "current, good")
	c.run(0, "rollout history deployment/web --revision=2", why[:3]...)
	c.run(0, "describe deployment web", append(why[:3:3], "runs instead, until the manifest changes", "RolledBack")...)
	c.run(0, "status", "rolled back")
	c.run(1, "rollout undo deployment/web --to-revision=2", "is not tried again")
	bad.args = ""
	bad.write(h)
	rolled(h, "web", "2", 2)
	c.run(0, "rollout status deployment/web", "successfully rolled out")
}
