package plan_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/agent/plan"
	"github.com/podstead/podstead/pod"
)

func claimKey(name string) pod.Key { return pod.Key{Namespace: "default", Name: name} }

// portPod is a pod that takes ports of the host on addresses.
func portPod(ports ...corev1.ContainerPort) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}}
	for _, port := range ports {
		if port.Protocol == "" {
			port.Protocol = corev1.ProtocolTCP
		}
		p.Spec.Containers[0].Ports = append(p.Spec.Containers[0].Ports, port)
	}
	return p
}

func on(ip string, port int32) corev1.ContainerPort {
	return corev1.ContainerPort{HostIP: ip, HostPort: port}
}

// Of two pods that want ports the first has them, and b is held back with the
// words of want; with none both have theirs.
func TestAdmitPorts(t *testing.T) {
	udp := corev1.ContainerPort{HostPort: 80, Protocol: corev1.ProtocolUDP}
	for _, tc := range []struct {
		name string
		a, b corev1.ContainerPort
		want string
	}{
		{"same port", on("", 80), on("", 80), "host port 80/TCP is taken by pod default/a: pod default/b starts when it is free"},
		{"another port", on("", 80), on("", 81), ""},
		{"another protocol", on("", 80), udp, ""},
		{"two addresses", on("192.0.2.1", 80), on("192.0.2.2", 80), ""},
		{"one address", on("192.0.2.1", 80), on("192.0.2.1", 80), "host port 192.0.2.1:80/TCP is taken by pod default/a"},
		{"all, then one", on("", 80), on("192.0.2.1", 80), "host port 192.0.2.1:80/TCP is taken"},
		{"one, then all", on("192.0.2.1", 80), on("", 80), "host port 80/TCP is taken"},
		{"0.0.0.0 is all", on("0.0.0.0", 80), on("2001:db8::1", 80), "host port [2001:db8::1]:80/TCP is taken"},
		{":: is all", on("127.0.0.1", 80), on("::", 80), "host port 80/TCP is taken"},
		{"two ways to write one address", on("2001:db8::1", 80), on("2001:DB8:0::1", 80), "is taken"},
		{"both families", on("127.0.0.1", 80), on("::1", 80), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			verdicts := admit([]plan.Claim{
				{Key: claimKey("b"), Wanted: portPod(tc.b)}, {Key: claimKey("a"), Wanted: portPod(tc.a)},
			})
			if w, found := verdicts[claimKey("a")]; found {
				t.Errorf("a is held back: %+v", w)
			}
			checkObstacle(t, verdicts[claimKey("b")].Blocked, "PortConflict", tc.want)
		})
	}
}

func checkObstacle(t *testing.T, o *plan.Obstacle, reason, words string) {
	t.Helper()
	switch {
	case words == "" && o != nil:
		t.Errorf("held back: %+v", *o)
	case words != "" && (o == nil || o.Reason != reason || !strings.Contains(o.Message, words)):
		t.Errorf("got %+v, want %s, %q", o, reason, words)
	}
}

func TestAdmitOrderAndThoseOnTheirWayOut(t *testing.T) {
	p := portPod(on("", 80))
	// Who runs keeps what it has, whatever its name.
	v := admit([]plan.Claim{{Key: claimKey("a"), Wanted: p}, {Key: claimKey("b"), Wanted: p, Live: p}})
	checkObstacle(t, v[claimKey("a")].Blocked, "PortConflict", "taken by pod default/b")
	checkObstacle(t, v[claimKey("b")].Blocked, "", "")
	// Who goes is waited for, on any address.
	v = admit([]plan.Claim{{Key: claimKey("a"), Wanted: portPod(on("192.0.2.1", 80))}, {Key: claimKey("b"), Live: p}})
	checkObstacle(t, v[claimKey("a")].Blocked, "", "")
	checkObstacle(t, v[claimKey("a")].Waiting, "PortConflict", "192.0.2.1:80/TCP is still held by pod default/b, which is on its way out")
	// A pod is not in its own way, neither as it is nor with two addresses.
	both := portPod(on("", 80), on("192.0.2.1", 80))
	if v = admit([]plan.Claim{{Key: claimKey("a"), Wanted: both, Live: p}}); len(v) != 0 {
		t.Errorf("in its own way: %+v", v)
	}
	// A new version that is refused leaves the port to the one that runs.
	moved := portPod(on("", 81))
	v = admit([]plan.Claim{
		{Key: claimKey("a"), Wanted: moved, Live: moved}, {Key: claimKey("b"), Wanted: moved, Live: p}, {Key: claimKey("c"), Wanted: p},
	})
	checkObstacle(t, v[claimKey("b")].Blocked, "PortConflict", "81/TCP is taken by pod default/a")
	checkObstacle(t, v[claimKey("c")].Blocked, "PortConflict", "80/TCP is taken by pod default/b")
}

// asking is a pod that requests CPU and memory; "" is none of it.
func asking(cpu, memory string) *corev1.Pod {
	p := portPod()
	requests := corev1.ResourceList{}
	for name, q := range map[corev1.ResourceName]string{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory} {
		if q != "" {
			requests[name] = resource.MustParse(q)
		}
	}
	p.Spec.Containers[0].Resources.Requests = requests
	return p
}

func list(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

func TestAdmitResources(t *testing.T) {
	room := plan.Room{Capacity: list("2500m", "1Gi"), Allocatable: list("2", "1Gi")}
	new := func(name string, p *corev1.Pod) plan.Claim { return plan.Claim{Key: claimKey(name), Wanted: p} }
	runs := func(name string, live, wanted *corev1.Pod) plan.Claim {
		return plan.Claim{Key: claimKey(name), Wanted: wanted, Live: live}
	}
	small := asking("1", "512Mi")
	for name, tc := range map[string]struct {
		claims           []plan.Claim
		who              string
		blocked, waiting string
		reason           string
	}{
		"it fits": {claims: []plan.Claim{new("a", small), new("b", small)}, who: "b"},
		"too much CPU": {claims: []plan.Claim{new("a", small), new("b", asking("1001m", "1Mi"))}, who: "b", reason: "InsufficientCPU",
			blocked: "pod default/b requests 1001m of cpu, and of the 2 that pods may request 1 is free (500m is reserved for the host); it is held by default/a (1); it starts when there is room"},
		"too much memory": {claims: []plan.Claim{new("a", small), new("b", asking("1", "513Mi"))}, who: "b", reason: "InsufficientMemory",
			blocked: "pod default/b requests 513Mi of memory, and of the 1Gi that pods may request 512Mi is free; it is held by default/a (512Mi); it starts when there is room"},
		"more than there is": {claims: []plan.Claim{new("b", asking("3", ""))}, who: "b", reason: "InsufficientCPU",
			blocked: "pod default/b requests 3 of cpu, and of the 2 that pods may request 2 is free (500m is reserved for the host); no other pod holds any; it starts when there is room"},
		"many holders": {claims: []plan.Claim{new("a", asking("300m", "")), new("b", asking("500m", "")), new("c", asking("300m", "")), new("d", asking("100m", "")), new("x", asking("1", ""))},
			who: "x", reason: "InsufficientCPU", blocked: "800m is free (500m is reserved for the host); the most is held by default/b (500m), default/a (300m), default/c (300m); it starts"},
		"nothing is asked for": {claims: []plan.Claim{new("a", asking("2", "1Gi")), new("b", asking("", ""))}, who: "b"},
		// Those that run keep what they have, whatever others' edits want.
		"an edit takes no room of one that runs": {claims: []plan.Claim{runs("a", small, asking("1500m", "")), runs("b", small, small)}, who: "a", reason: "InsufficientCPU",
			blocked: "requests 1500m of cpu, and of the 2 that pods may request 1 is free"},
		"one that runs keeps it":        {claims: []plan.Claim{runs("a", small, asking("1500m", "")), runs("b", small, small)}, who: "b"},
		"one that runs grows into room": {claims: []plan.Claim{runs("a", small, asking("1500m", ""))}, who: "a"},
		"more is reserved since":        {claims: []plan.Claim{runs("a", asking("5", ""), asking("5", "")), runs("b", small, small)}, who: "b"},
		"less is fine at any time":      {claims: []plan.Claim{runs("a", asking("5", ""), asking("4", "")), runs("b", small, small)}, who: "a"},
		"there was less before":         {claims: []plan.Claim{runs("a", asking("5", ""), asking("5", "")), new("b", small)}, who: "b", reason: "InsufficientCPU", blocked: "pods may request 0 is free"},
		// What goes has its room until it is gone.
		"one on its way out": {claims: []plan.Claim{runs("a", small, nil), new("b", asking("1500m", ""))}, who: "b", reason: "InsufficientCPU",
			waiting: "pod default/b requests 1500m of cpu, and of the 2 that pods may request 1 is free (500m is reserved for the host); on their way out are default/a (1): it starts right after"},
		"beside one on its way out": {claims: []plan.Claim{runs("a", small, nil), new("b", small)}, who: "b"},
	} {
		t.Run(name, func(t *testing.T) {
			v := plan.Admit(tc.claims, room, nil)[claimKey(tc.who)]
			checkObstacle(t, v.Blocked, tc.reason, tc.blocked)
			checkObstacle(t, v.Waiting, tc.reason, tc.waiting)
		})
	}
}

// admit is plan.Admit on a host where nothing but pods listens.
func admit(claims []plan.Claim) map[pod.Key]plan.Want {
	free := plan.Listening{}
	for _, c := range claims {
		for _, hp := range plan.NewPorts(c) {
			free[hp] = nil
		}
	}
	return plan.Admit(claims, plan.Room{}, free)
}

// A process of the host holds back who wants its port, until it is gone; who
// has the port already is not asked.
func TestProcessesOfTheHostHoldPorts(t *testing.T) {
	p := portPod(on("", 80))
	hp := pod.HostPort{Port: 80, Protocol: corev1.ProtocolTCP}
	nginx := pod.Listener{HostPort: hp, PID: 12, Name: "nginx"}
	mine, other := nginx, nginx
	mine.UID, other.UID = "mine", "other"
	for name, tc := range map[string]struct {
		claim            plan.Claim
		heard            plan.Listening
		blocked, waiting string
	}{
		"a process": {
			claim: plan.Claim{Wanted: p}, heard: plan.Listening{hp: {nginx}},
			blocked: "host port 80/TCP is taken by process nginx (pid 12): pod default/a starts when it is free",
		},
		"a process of another pod": {
			claim: plan.Claim{Wanted: p}, heard: plan.Listening{hp: {other}},
			blocked: "host port 80/TCP is taken by process nginx (pid 12) of pod default/b: pod default/a starts when it is free",
		},
		"a process of its own":     {claim: plan.Claim{Wanted: p, UIDs: []types.UID{"mine"}}, heard: plan.Listening{hp: {mine}}},
		"nobody":                   {claim: plan.Claim{Wanted: p}, heard: plan.Listening{hp: nil}},
		"it holds the port itself": {claim: plan.Claim{Wanted: p, Live: p}, heard: plan.Listening{hp: {nginx}}},
		"nobody has looked":        {claim: plan.Claim{Wanted: p}, waiting: "it is being looked at whether host port 80/TCP is free"},
		"nobody has looked at a new port of a running one": {claim: plan.Claim{Wanted: p, Live: portPod(on("", 81))},
			blocked: "it is being looked at whether host port 80/TCP is free"},
		"a pod that wants no port": {claim: plan.Claim{Wanted: portPod()}},
		"a new port of a running one": {claim: plan.Claim{Wanted: p, Live: portPod(on("", 81))}, heard: plan.Listening{hp: {nginx}},
			blocked: "host port 80/TCP is taken by process nginx (pid 12): pod default/a starts when it is free"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.claim.Key = claimKey("a")
			v := plan.Admit([]plan.Claim{tc.claim, {Key: claimKey("b"), UIDs: []types.UID{"other"}}}, plan.Room{}, tc.heard)[claimKey("a")]
			if got := message(v.Blocked); got != tc.blocked {
				t.Errorf("blocked: %q, want %q", got, tc.blocked)
			}
			if got := message(v.Waiting); got != tc.waiting {
				t.Errorf("waiting: %q, want %q", got, tc.waiting)
			}
		})
	}
}

func message(o *plan.Obstacle) string {
	if o == nil {
		return ""
	}
	return o.Message
}
