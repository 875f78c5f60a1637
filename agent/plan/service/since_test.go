package service_test

import (
	"testing"
	"time"

	"github.com/podstead/podstead/agent/plan/service"
)

// TestServicesAreAsOldAsWhenTheyWereSeenFirst, whatever is decided later.
func TestServicesAreAsOldAsWhenTheyWereSeenFirst(t *testing.T) {
	first := time.Unix(1_700_000_000, 0)
	in := input(object("web", nil))
	in.Pods, in.Now = []service.Pod{member("a", "web", nil)}, first
	in.Memory = service.Resolve(in).Memory
	in.Now = first.Add(time.Hour)
	in.Objects = append(in.Objects, object("later", nil))
	for _, v := range service.Views(in, service.Resolve(in), "node", "node") {
		want := map[string]time.Time{"web": first, "later": in.Now}[v.Service.Name]
		if got := v.Service.CreationTimestamp.Time; !got.Equal(want) {
			t.Errorf("Service %s is of %s, want %s", v.Service.Name, got, want)
		}
		for _, s := range v.Slices {
			if got := s.CreationTimestamp.Time; !got.Equal(want) {
				t.Errorf("EndpointSlice %s is of %s, want %s", s.Name, got, want)
			}
		}
	}
}
