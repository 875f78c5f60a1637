package agent_test

import (
	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/pod"
)

type (
	fakeServices struct{ *fake }
	fakeNames    struct{ *fake }
)

func (f fakeServices) Load() (r agent.ServiceRecord, ok bool, err error) {
	f.set(func(f *fake) {
		if f.recorded != nil {
			r, ok = *f.recorded, true
		}
	})
	return r, ok, nil
}

func (f fakeServices) Save(r agent.ServiceRecord) error {
	f.set(func(f *fake) { f.recorded = &r })
	return nil
}

func (f fakeNames) Set(zone pod.Zone) error {
	f.set(func(f *fake) {
		f.calls = append(f.calls, "names")
		f.zone = zone
	})
	return nil
}
