package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/test/harness"
	"github.com/podstead/podstead/test/logind"
)

// slowNft puts an nft in front of the real one that takes its time before it
// changes anything. So what does not wait for the rules is seen to be too early,
// always.
func slowNft(t *testing.T) {
	t.Helper()
	real, err := exec.LookPath("nft")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *'-f -'*) sleep 0.5 ;; esac\nexec %s \"$@\"\n", real)
	if err := os.WriteFile(filepath.Join(dir, "nft"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// asker is a pod behind a Service that, when it is told to stop, asks that
// Service at once whether it would still be sent requests.
func asker(t *testing.T, h *harness.Host, name string, number int) (yaml, dir string) {
	dir = folder(t, h, name)
	v4, _ := serviceIP(h, number)
	ask := fmt.Sprintf("trap 'if /bin/busybox nc -w 2 %s 80 </dev/null; then echo served >> /d/diary; else echo refused >> /d/diary; fi; exit 0' TERM", v4)
	h.Write(name+"-service.yaml", svc(name, fmt.Sprintf("clusterIP: %s\nselector: {app: %s}\nports: [{port: 80, targetPort: 8080}]\n", v4, name)))
	yaml = labelled(simple(name, script(ask, "while :; do /bin/busybox nc -l -p 8080 -e /bin/busybox true; done &"),
		fmt.Sprintf("volumes:\n- {name: d, hostPath: {path: %s}}\n", dir),
		"volumeMounts: [{name: d, mountPath: /d}]\nreadinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}\n"), "app: "+name)
	return strings.Replace(yaml, "terminationGracePeriodSeconds: 1\n", "terminationGracePeriodSeconds: 20\n", 1), dir
}

// served waits until the Service sends its pod requests.
func served(h *harness.Host, name string, number int) {
	v4, _ := serviceIP(h, number)
	h.WaitPod("default/"+name, patience, func(p corev1.Pod) error {
		if !isReady(p) {
			return fmt.Errorf("it is not ready: %+v", p.Status)
		}
		return nil
	})
	h.Eventually(patience, func() error {
		out, err := h.CLI("exec", name, "--", "/bin/busybox", "nc", "-w", "2", v4, "80")
		if err != nil {
			return fmt.Errorf("the Service refuses: %w: %s", err, out)
		}
		return nil
	})
}

// refusedAtItsEnd holds that a pod was sent nothing any more when it was told to
// stop.
func refusedAtItsEnd(t *testing.T, h *harness.Host, dir, when string) {
	t.Helper()
	if got := diary(h, dir, 1); len(got) != 1 || got[0] != "refused" {
		t.Errorf("%s: after SIGTERM its Service was %v, want refused", when, got)
	}
}

// TestTrafficIsGoneBeforeSIGTERM: however a pod comes to be stopped, no Service
// sends it anything by then, though the rules take half a second to change.
func TestTrafficIsGoneBeforeSIGTERM(t *testing.T) {
	b := logind.NewBus(t, t.TempDir())
	b.Start()
	login := logind.New(t, b, 75*time.Second)
	h := harness.New(t, harness.Options{
		Unit: service, Config: "shutdown: {gracePeriod: 40s}\n",
		Env: []string{"DBUS_SYSTEM_BUS_ADDRESS=" + b.Address},
	})
	addShell(t, h)
	slowNft(t)
	h.Start()
	login.AwaitLocks(1)
	dirs := map[string]string{}
	for i, name := range []string{"deleted", "replaced", "stays"} {
		yaml, dir := asker(t, h, name, 31+i)
		h.Write(name+".yaml", yaml)
		dirs[name] = dir
		served(h, name, 31+i)
		if name == "replaced" {
			h.Write("replaced.yaml", strings.Replace(yaml, "spec:\n", "spec:\n  hostname: other\n", 1))
			refusedAtItsEnd(t, h, dir, "replaced")
			h.Remove("replaced.yaml")
		}
	}
	h.Remove("deleted.yaml")
	refusedAtItsEnd(t, h, dirs["deleted"], "deleted")

	login.Prepare(true)
	login.AwaitLocks(0)
	refusedAtItsEnd(t, h, dirs["stays"], "shutdown")
	login.Prepare(false)
	login.AwaitLocks(1)
	served(h, "stays", 33)

	h.Stop()
	if err := os.Remove(filepath.Join(dirs["stays"], "diary")); err != nil {
		t.Fatal(err)
	}
	if out, err := offline(t, h, "drain"); err != nil {
		t.Fatalf("drain: %v: %s", err, out)
	}
	refusedAtItsEnd(t, h, dirs["stays"], "drained")
}
