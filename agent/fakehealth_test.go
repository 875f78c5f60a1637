package agent_test

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

type (
	fakeProbes   struct{ *fake }
	fakeHooks    struct{ *fake }
	fakeVerdicts struct{ *fake }
)

func (f fakeProbes) Set(targets []pod.ProbeTarget) {
	f.set(func(f *fake) { f.targets = targets })
}

func (f fakeHooks) Run(ctx context.Context, container string, _ *corev1.Container, h *corev1.LifecycleHandler, _ string) error {
	var hook func(context.Context) error
	f.set(func(f *fake) {
		f.calls = append(f.calls, "hook "+h.Exec.Command[0])
		hook = f.hook
	})
	if hook == nil {
		return nil
	}
	return hook(ctx)
}

func (f fakeVerdicts) Load() (list []pod.ProbeVerdict, err error) {
	f.set(func(f *fake) { list = f.verdicts })
	return list, nil
}

func (f fakeVerdicts) Save(list []pod.ProbeVerdict) error {
	f.set(func(f *fake) { f.verdicts = list })
	return nil
}

func (f fakeNetwork) Set(_ context.Context, wanted pod.NetworkConfig) (err error) {
	f.set(func(f *fake) {
		f.calls = append(f.calls, "network")
		if err = f.unset; err == nil {
			f.wired = wanted
		}
	})
	return err
}

func (f fakeNetwork) Listeners(context.Context, ...int32) (found []pod.Listener, err error) {
	var wait time.Duration
	f.set(func(f *fake) {
		f.calls = append(f.calls, "listeners")
		found, wait = f.listeners, f.asking
	})
	time.Sleep(wait)
	return found, nil
}

// probed lists the probes that are made as "container:kind".
func (f *fake) probed() (kinds []string) {
	f.set(func(f *fake) {
		for _, t := range f.targets {
			kinds = append(kinds, t.Spec.Name+":"+string(t.Kind))
		}
	})
	return kinds
}

// target is the probe of that kind that is made, a zero one if none is.
func (f *fake) target(kind pod.ProbeKind) (found pod.ProbeTarget) {
	f.set(func(f *fake) {
		for _, t := range f.targets {
			if t.Kind == kind {
				found = t
			}
		}
	})
	return found
}
