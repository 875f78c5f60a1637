package plan_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/manifest"
	"github.com/podstead/podstead/pod"
)

// TestStories plays the scripts below testdata: what happens to one pod, line
// by line, and what the plan does about it. Run with -rewrite to write the
// outcomes anew, and read the difference.
func TestStories(t *testing.T) {
	datadriven.Walk(t, filepath.Join("testdata", "stories"), func(t *testing.T, path string) {
		w := newWorld()
		for _, image := range []string{"app:1", "app:2", "init:1", "side:1"} {
			w.registry[image] = true
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w.trace, w.violations = nil, nil
			if err := w.command(d); err != nil {
				d.Fatalf(t, "%v", err)
			}
			if d.Cmd != "advance" {
				w.settle()
			}
			return w.outcome()
		})
	})
}

// command changes the world as one line of a script says.
func (w *world) command(d *datadriven.TestData) error {
	switch d.Cmd {
	case "manifest":
		p := &corev1.Pod{}
		if err := yaml.UnmarshalStrict([]byte(d.Input), p); err != nil {
			return err
		}
		p.Name, p.Namespace = w.key.Name, w.key.Namespace
		manifest.Default(p)
		w.want.Desired = &pod.Desired{Key: w.key, Pod: p, Origin: pod.Origin{Source: "local", File: "web.yaml"}}
		w.want.Gone, w.want.Keep = "", false
	case "remove":
		w.want = plan.Want{Gone: "its manifest was removed"}
	case "keep":
		w.want.Desired, w.want.Keep = nil, true
	case "exit":
		code, err := strconv.Atoi(d.CmdArgs[1].Key)
		if err != nil || !w.exit(d.CmdArgs[0].Key, code) {
			return fmt.Errorf("no running container %s: %w", d.CmdArgs[0].Key, err)
		}
	case "outgrow":
		w.exceeded[w.have().LastInstance] = "Evicted: its disk"
	case "advance":
		by, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			return err
		}
		w.advance(by)
	case "crash":
		w.crash()
	case "reboot":
		w.reboot()
	case "shutdown": // shutdown LIMIT|cancelled
		if d.CmdArgs[0].Key == "cancelled" {
			w.halt = nil
			break
		}
		limit, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			return err
		}
		w.shutDown(limit)
	case "runtime":
		w.runtimeDown = d.CmdArgs[0].Key == "down"
	case "registry":
		w.registry[d.CmdArgs[1].Key] = d.CmdArgs[0].Key == "add"
	case "ignore-term":
		w.stubborn = d.CmdArgs[0].Key == "on"
	case "verdict": // verdict CONTAINER KIND success|failure
		if !w.judged(d.CmdArgs[0].Key, pod.ProbeKind(d.CmdArgs[1].Key), pod.ProbeOutcome(d.CmdArgs[2].Key)) {
			return fmt.Errorf("no running container %s", d.CmdArgs[0].Key)
		}
	case "unwire":
		for n := range w.sandboxes {
			w.unwired[n] = true
		}
	case "slow":
		w.slow = d.CmdArgs[0].Key == "on"
	case "restart":
		for id, c := range w.containers {
			if c.State == pod.StateRunning && c.Name == d.CmdArgs[0].Key {
				w.restart[id] = true
			}
		}
	default:
		return fmt.Errorf("unknown command %q", d.Cmd)
	}
	return nil
}

func (w *world) outcome() string {
	var b strings.Builder
	for _, line := range w.trace {
		fmt.Fprintln(&b, line)
	}
	for _, v := range w.violations {
		fmt.Fprintln(&b, "VIOLATION", v)
	}
	d := w.decide()
	for _, note := range d.Notes {
		fmt.Fprintln(&b, "note:", note)
	}
	fmt.Fprintf(&b, "running: %s\n", orNone(w.liveText()))
	if ready := w.unready(); ready != "" {
		fmt.Fprintf(&b, "not ready: %s\n", ready)
	}
	if d.Wake != 0 {
		fmt.Fprintf(&b, "wakes in %s\n", d.Wake.Sub(w.now))
	}
	return b.String()
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
