package agent_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/podstead/podstead/agent"
)

// warned tells whether status shows a warning with the text.
func warned(a *agent.Agent, text string) bool {
	return strings.Contains(strings.Join(a.Latest().Runtime.Warnings, "\n"), text)
}

func TestLimitsAreSetAgainAfterControllersWereTakenAway(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.SetRuntime("2.3.7", []string{"another warning"})
		a.Publish(source(desired("web"), desired("db")))
		settle(2 * time.Minute)
		if f.count("resize") != 0 || warned(a, "cgroup") {
			t.Fatalf("before anything happened: %d resizes, warnings %q", f.count("resize"), a.Latest().Runtime.Warnings)
		}
		f.set(func(f *fake) { f.taken = true })
		settle(2 * time.Minute)
		if grown, resized, shrunk := f.count("grow"), f.count("resize"), f.count("shrink"); grown != 2 || resized != 2 || shrunk != 2 {
			t.Errorf("pods grown %d, containers resized %d, pods shrunk %d, want 2 each", grown, resized, shrunk)
		}
		if !warned(a, "put back (1 times") || !warned(a, "another warning") {
			t.Errorf("warnings %q", a.Latest().Runtime.Warnings)
		}
		expect(t, f, "db/app#1.0 web/app#1.0")
	})
}

func TestCgroupsThatCanNotBeRepairedAreShown(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		f.set(func(f *fake) { f.broken = errors.New("enable controller memory: device or resource busy") })
		settle(2 * time.Minute)
		if !warned(a, "may not hold") || !warned(a, "device or resource busy") {
			t.Errorf("warnings %q", a.Latest().Runtime.Warnings)
		}
		told := 0
		for _, e := range a.Latest().Events {
			if e.Reason == "CgroupsBroken" {
				told++
			}
		}
		if told != 1 {
			t.Errorf("told %d times, want once", told)
		}
		f.set(func(f *fake) { f.broken = nil })
		settle(2 * time.Minute)
		if warned(a, "may not hold") {
			t.Errorf("after the repair: warnings %q", a.Latest().Runtime.Warnings)
		}
	})
}
