package plan_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

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
			verdicts := plan.Admit([]plan.Claim{
				{Key: claimKey("b"), Wanted: portPod(tc.b)}, {Key: claimKey("a"), Wanted: portPod(tc.a)},
			}, nil)
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
	v := plan.Admit([]plan.Claim{{Key: claimKey("a"), Wanted: p}, {Key: claimKey("b"), Wanted: p, Live: p}}, nil)
	checkObstacle(t, v[claimKey("a")].Blocked, "PortConflict", "taken by pod default/b")
	checkObstacle(t, v[claimKey("b")].Blocked, "", "")
	// Who goes is waited for, on any address.
	v = plan.Admit([]plan.Claim{{Key: claimKey("a"), Wanted: portPod(on("192.0.2.1", 80))}, {Key: claimKey("b"), Live: p}}, nil)
	checkObstacle(t, v[claimKey("a")].Blocked, "", "")
	checkObstacle(t, v[claimKey("a")].Waiting, "PortConflict", "192.0.2.1:80/TCP is still held by pod default/b, which is on its way out")
	// A pod is not in its own way, neither as it is nor with two addresses.
	both := portPod(on("", 80), on("192.0.2.1", 80))
	if v = plan.Admit([]plan.Claim{{Key: claimKey("a"), Wanted: both, Live: p}}, nil); len(v) != 0 {
		t.Errorf("in its own way: %+v", v)
	}
	// A new version that is refused leaves the port to the one that runs.
	moved := portPod(on("", 81))
	v = plan.Admit([]plan.Claim{
		{Key: claimKey("a"), Wanted: moved, Live: moved}, {Key: claimKey("b"), Wanted: moved, Live: p}, {Key: claimKey("c"), Wanted: p},
	}, nil)
	checkObstacle(t, v[claimKey("b")].Blocked, "PortConflict", "81/TCP is taken by pod default/a")
	checkObstacle(t, v[claimKey("c")].Blocked, "PortConflict", "80/TCP is taken by pod default/b")
}

func TestAdmitResources(t *testing.T) {
	asks := func(cpu, memory string) *corev1.Pod {
		p := portPod()
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
		return p
	}
	have := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("1Gi")}
	for _, tc := range []struct{ cpu, memory, reason, words string }{
		{"1", "512Mi", "", ""},
		{"1001m", "1Mi", "InsufficientCPU", "pod default/b requests 1001m of cpu, other pods 1, and this server can give 2"},
		{"1", "513Mi", "InsufficientMemory", "requests 513Mi of memory, other pods 512Mi, and this server can give 1Gi"},
	} {
		v := plan.Admit([]plan.Claim{{Key: claimKey("a"), Wanted: asks("1", "512Mi")}, {Key: claimKey("b"), Wanted: asks(tc.cpu, tc.memory)}}, have)
		checkObstacle(t, v[claimKey("b")].Blocked, tc.reason, tc.words)
	}
}
