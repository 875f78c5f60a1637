package agent_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/agent"
	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/agent/plan/service"
	"github.com/podstead/podstead/pod"
)

// serving is a Service of pods with the label app: web, changed by functions.
func serving(change ...func(*corev1.Service)) pod.Object {
	s := &corev1.Service{}
	s.Namespace, s.Name = "default", "web"
	s.Spec.Selector = map[string]string{"app": "web"}
	s.Spec.Ports = []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}}
	for _, c := range change {
		c(s)
	}
	key := pod.Key{Namespace: "default", Name: "web"}
	return pod.Object{
		ObjectKey: pod.ObjectKey{Kind: pod.KindService, Key: key}, Service: s,
		Origin: pod.Origin{Source: "local", File: "/m/web-svc.yaml", Line: 1, Column: 1},
	}
}

func labelled(p *corev1.Pod) { p.Labels = map[string]string{"app": "web"} }

func withObjects(s pod.SourceState, objects ...pod.Object) pod.SourceState {
	s.Objects = objects
	return s
}

// endpoints are those that the network was set to, as "web:80".
func (f *fake) endpoints() (list []string) {
	f.set(func(f *fake) {
		for _, s := range f.wired.Services {
			for _, p := range s.Ports {
				for _, e := range p.Endpoints {
					list = append(list, fmt.Sprintf("%s:%d→%s:%d", s.Key.Name, p.Port, e.IP, e.Port))
				}
			}
		}
	})
	return list
}

func (f *fake) expectEndpoints(t *testing.T, want ...string) {
	t.Helper()
	if got := f.endpoints(); !slices.Equal(got, want) {
		t.Errorf("endpoints %q, want %q", got, want)
	}
}

func TestServiceFollowsReadiness(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(withObjects(source(desired("web", labelled, func(p *corev1.Pod) {
			p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"x"}}}}
		})), serving()))
		settle(time.Second)
		f.expectEndpoints(t)
		judge := func(o pod.ProbeOutcome) {
			a.Judged(pod.ProbeVerdict{ProbeID: f.target(pod.ProbeReadiness).ProbeID, Outcome: o, At: now()})
			settle(time.Millisecond)
		}
		judge(pod.ProbeSuccess)
		f.expectEndpoints(t, "web:80→10.0.0.1:80")
		v := a.Latest().Services
		if len(v) != 1 || v[0].Service.Spec.ClusterIP == "" || len(v[0].Slices) != 1 || !*v[0].Slices[0].Endpoints[0].Conditions.Ready {
			t.Errorf("shown as %+v", v)
		}
		judge(pod.ProbeFailure)
		f.expectEndpoints(t)
		if names := f.zone.Services; len(names) != 1 || names[0].IPs[0] != v[0].Service.Spec.ClusterIP {
			t.Errorf("names %+v, want that of the Service", names)
		}
	})
}

// TestTrafficStopsBeforeThePod: the network is set without the pod before that
// is told to stop.
func TestTrafficStopsBeforeThePod(t *testing.T) {
	edited := desired("web", labelled, func(p *corev1.Pod) { p.Spec.Hostname = "other" })
	for after, then := range map[string]pod.SourceState{"": source(), "web/app#2.0": source(edited)} {
		f := newFake()
		inBubble(t, f, func(t *testing.T, a *agent.Agent) {
			a.Publish(withObjects(source(desired("web", labelled)), serving()))
			settle(time.Second)
			f.expectEndpoints(t, "web:80→10.0.0.1:80")
			from, begun := len(f.calls), time.Now()
			a.Publish(withObjects(then, serving()))
			for f.count("stop") == 0 && time.Since(begun) < time.Minute {
				settle(time.Millisecond)
			}
			if time.Since(begun) > 100*time.Millisecond {
				t.Errorf("it was told to stop after %s", time.Since(begun))
			}
			network, stop := slices.Index(f.calls[from:], "network"), slices.Index(f.calls[from:], "stop")
			if network < 0 || stop < network {
				t.Errorf("calls %q, want the network set before the stop", f.calls[from:])
			}
			settle(time.Second)
			expect(t, f, after)
		})
	}
}

// TestDrainTakesTrafficAwayFirst: in a shutdown and in a drain for good as well
// no pod is told to stop while Services send it traffic. A critical one has its
// traffic until it is its turn, and what goes on has it again.
func TestDrainTakesTrafficAwayFirst(t *testing.T) {
	critical := func(p *corev1.Pod) { p.Spec.PriorityClassName = "system-node-critical" }
	for name, drain := range map[string]plan.Drain{"shutdown": shutdown(), "for good": {Reason: "podstead is drained", Remove: true}} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			inBubble(t, f, func(t *testing.T, a *agent.Agent) {
				a.Publish(withObjects(source(desired("web", labelled)), serving()))
				settle(time.Second)
				f.expectEndpoints(t, "web:80→10.0.0.1:80")
				from := len(f.calls)
				if err := a.Drain(t.Context(), drain); err != nil {
					t.Fatal(err)
				}
				expect(t, f, "")
				f.expectEndpoints(t)
				network, stop := slices.Index(f.calls[from:], "network"), slices.Index(f.calls[from:], "stop")
				if network < 0 || stop < network {
					t.Errorf("calls %q, want the network set before the stop", f.calls[from:])
				}
				if drain.Remove {
					return
				}
				a.Resume()
				settle(time.Second)
				f.expectEndpoints(t, "web:80→10.0.0.1:80")
			})
		})
	}
	t.Run("critical", func(t *testing.T) {
		f := newFake()
		f.stubborn = true
		inBubble(t, f, func(t *testing.T, a *agent.Agent) {
			a.Publish(withObjects(source(desired("dns", labelled, critical), desired("other")), serving()))
			settle(time.Second)
			go func() { _ = a.Drain(t.Context(), shutdown()) }()
			settle(20 * time.Second)
			f.expectEndpoints(t, "web:80→10.0.0.1:80")
			settle(15 * time.Second)
			f.expectEndpoints(t)
		})
	})
	t.Run("a network that can't be set takes half of the time at most", func(t *testing.T) {
		f := newFake()
		inBubble(t, f, func(t *testing.T, a *agent.Agent) {
			a.Publish(withObjects(source(desired("web", labelled)), serving()))
			settle(time.Second)
			f.set(func(f *fake) { f.unset = errors.New("nft is gone") })
			begun := time.Now()
			if err := a.Drain(t.Context(), plan.Drain{Reason: "the server shuts down", GracePeriod: 4 * time.Second}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took < time.Second || took > 3*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	})
}

// TestPodsAreNotHeldForever: one of no Service is stopped at once, one whose
// network can't be set a moment later.
func TestPodsAreNotHeldForever(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(withObjects(source(desired("other"), desired("web", labelled)), serving()))
		settle(time.Second)
		f.set(func(f *fake) { f.unset = errors.New("nft is gone") })
		a.Publish(withObjects(source(), serving()))
		settle(time.Second)
		expect(t, f, "web/app#1.0")
		settle(5 * time.Second)
		expect(t, f, "")
	})
}

// TestWhatIsLeftOutHoldsNobody: rules that were set without something are set.
func TestWhatIsLeftOutHoldsNobody(t *testing.T) {
	f := newFake()
	f.unset = &pod.LeftOut{Err: errors.New("a range is taken")}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(withObjects(source(desired("web", labelled)), serving()))
		settle(time.Minute)
		a.Publish(withObjects(source(), serving()))
		begun := time.Now()
		for f.running() != "" && time.Since(begun) < time.Minute {
			settle(10 * time.Millisecond)
		}
		if time.Since(begun) > time.Second {
			t.Errorf("the pod was held for %s", time.Since(begun))
		}
	})
}

// TestServicesWaitForWhatIsKnown: a new podstead takes nothing away before it
// knows what there is.
func TestServicesWaitForWhatIsKnown(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		settle(5 * time.Second)
		if n := f.count("network") + f.count("names"); n > 0 {
			t.Errorf("set %d times before a source was read", n)
		}
		settle(10 * time.Second)
		if f.count("network") == 0 || f.count("names") == 0 {
			t.Error("a source that is never read keeps the network from being set")
		}
	})
	f = newFake()
	given := service.Memory{"default/web": {ClusterIPs: []string{"10.1.0.77"}}}
	f.recorded = &agent.ServiceRecord{Given: given, Objects: []pod.Object{serving()}}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		settle(time.Second)
		if s := f.wired.Services; len(s) != 1 || s[0].ClusterIPs[0] != "10.1.0.77" {
			t.Errorf("without its source the Service is %+v, want it as recorded", s)
		}
		a.Publish(source())
		settle(time.Second)
		if len(f.wired.Services)+len(f.recorded.Objects) > 0 {
			t.Errorf("a Service that nobody wants is %+v, recorded %+v", f.wired.Services, f.recorded)
		}
	})
}

// TestServicesWaitForTheRuntimeAtRest: nothing is known without containerd, and
// that costs nothing, however long it takes to come.
func TestServicesWaitForTheRuntimeAtRest(t *testing.T) {
	f := newFake()
	f.down = true
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		bound := desired("bound", func(p *corev1.Pod) {
			p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: 80, HostPort: 8080}}
		})
		a.Publish(withObjects(source(bound), serving(func(s *corev1.Service) {
			s.Spec.Type, s.Spec.Ports[0].NodePort = corev1.ServiceTypeNodePort, 30080
		})))
		settle(time.Minute)
		if n := f.count("network") + f.count("names"); n > 0 {
			t.Errorf("set %d times though nothing is known", n)
		}
		f.mu.Lock()
		f.down = false
		f.mu.Unlock()
		settle(time.Minute)
		if f.count("network") == 0 || f.count("names") == 0 {
			t.Error("the network is not set when the runtime has come")
		}
	})
}

// TestServiceWaitsForItsPort: a process has the node port, and then not.
func TestServiceWaitsForItsPort(t *testing.T) {
	f := newFake()
	f.listeners = []pod.Listener{{HostPort: pod.HostPort{Port: 30007, Protocol: corev1.ProtocolTCP}, PID: 7, Name: "nginx"}}
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(withObjects(source(), serving(func(s *corev1.Service) {
			s.Spec.Type = corev1.ServiceTypeNodePort
			s.Spec.Ports[0].NodePort = 30007
		})))
		settle(time.Second)
		v := a.Latest().Services
		if len(v) != 1 || len(v[0].Problems) != 1 || !strings.Contains(v[0].Problems[0].Message, "process nginx (pid 7)") {
			t.Fatalf("shown as %+v, want a problem that names the process", v)
		}
		if n := len(a.Latest().Sources[0].Problems); n != 1 {
			t.Errorf("the source has %d problems", n)
		}
		f.set(func(f *fake) { f.listeners = nil })
		settle(2 * time.Second)
		if s := f.wired.Services; len(s) != 1 || s[0].Ports[0].NodePort != 30007 || len(a.Latest().Services[0].Problems) > 0 {
			t.Errorf("with the port free it is %+v", s)
		}
		before := f.count("listeners")
		settle(time.Minute)
		if f.count("listeners") != before {
			t.Error("it is asked about ports on and on")
		}
	})
}

var serviceRanges = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}

// TestForgottenServicesAreSetWhole: where nobody knows what Services had, the
// network is first set when it is known who has the ports that they want.
func TestForgottenServicesAreSetWhole(t *testing.T) {
	f := newFake()
	f.asking = time.Second
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(withObjects(source(), serving(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeNodePort })))
		settle(500 * time.Millisecond)
		if n := f.count("network"); n > 0 {
			t.Errorf("set %d times, with %+v", n, f.wired)
		}
		settle(time.Second)
		if s := f.wired.Services; len(s) != 1 || s[0].Ports[0].NodePort == 0 {
			t.Errorf("set to %+v", s)
		}
	})
}

// TestServiceIsToldWhichPodHasItsPort: a process of a pod has the node port.
func TestServiceIsToldWhichPodHasItsPort(t *testing.T) {
	f := newFake()
	inBubble(t, f, func(t *testing.T, a *agent.Agent) {
		a.Publish(source(desired("web", labelled)))
		settle(time.Second)
		f.set(func(f *fake) {
			f.listeners = []pod.Listener{{HostPort: pod.HostPort{Port: 30007, Protocol: corev1.ProtocolTCP}, PID: 7, Name: "nginx", UID: a.Latest().Pods[0].Pod.UID}}
		})
		a.Publish(withObjects(source(desired("web", labelled)), serving(func(s *corev1.Service) {
			s.Spec.Type = corev1.ServiceTypeNodePort
			s.Spec.Ports[0].NodePort = 30007
		})))
		settle(time.Second)
		if v := a.Latest().Services; len(v) != 1 || len(v[0].Problems) != 1 || v[0].Problems[0].Message != "is taken by pod default/web" {
			t.Errorf("shown as %+v, want a problem that names the pod", v)
		}
	})
}
