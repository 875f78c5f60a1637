package agent_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

func TestAPodIsShownUntilEverythingOfItIsGone(t *testing.T) {
	f := newFake()
	f.stuck = errors.New("unmount /v/cache: device or resource busy")
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web")))
		settle(time.Second)
		a.Publish(source())
		settle(2 * time.Minute)
		v, ok := a.Latest().Find(pod.Key{Namespace: "default", Name: "web"})
		if !ok || v.Pod.DeletionTimestamp == nil || !strings.Contains(fmt.Sprint(v.Notes), "/v/cache") {
			t.Errorf("while a mount is busy it is shown as %+v", v)
		}
		f.set(func(f *fake) { f.stuck = nil })
		settle(time.Minute)
		if left := a.Latest().Pods; len(left) > 0 {
			t.Errorf("at last it is still shown: %+v", left)
		}
	})
}

func TestGraceBeginsWhenTheSignalWasSent(t *testing.T) {
	f := newFake()
	f.stubborn = true
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		grace := int64(10)
		a.Publish(source(desired("web", func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = &grace })))
		settle(time.Second)
		f.set(func(f *fake) { f.delay = 8 * time.Second })
		a.Publish(source())
		settle(25 * time.Second) // eight to record the intent, eight to send the signal
		if f.count("kill") > 0 {
			t.Error("it was killed before ten seconds had gone since its signal")
		}
		settle(3 * time.Second)
		if f.count("kill") == 0 {
			t.Error("it was not killed when its grace was over")
		}
	})
}
