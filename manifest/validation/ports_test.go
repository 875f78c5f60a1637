package validation_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func ports(list ...corev1.ContainerPort) change {
	return container(func(k *corev1.Container) { k.Ports = list })
}

func TestPorts(t *testing.T) {
	type port = corev1.ContainerPort
	number := func(n int32) change { return ports(port{ContainerPort: n}) }
	named := func(name string) change { return ports(port{Name: name, ContainerPort: 80}) }
	const at = "spec.containers[0].ports[0]"
	checkRules(t, []rule{
		{"0", number(0), []string{at + ".containerPort: invalid-port: is out of range (got 0, want 1 to 65535)"}, number(1)},
		{"70000", number(70000), []string{at + ".containerPort: invalid-port: is out of range (got 70000, want 1 to 65535)"}, number(65535)},
		{"protocol", ports(port{ContainerPort: 80, Protocol: "tcp"}),
			[]string{at + `.protocol: invalid-port: is not a known protocol (got "tcp", want TCP, UDP or SCTP)`},
			ports(port{ContainerPort: 80, Protocol: "SCTP"})},
		{"name of 16", named("abcdefghijklmnop"),
			[]string{at + `.name: invalid-port: must be no more than 15 characters (got "abcdefghijklmnop")`}, named("abcdefghijklmno")},
		{"name without letter", named("80"),
			[]string{at + `.name: invalid-port: must contain at least one letter (a-z) (got "80")`}, named("p80")},
		{"name twice", ports(port{Name: "a", ContainerPort: 80}, port{Name: "a", ContainerPort: 81}),
			[]string{`spec.containers[0].ports[1].name: invalid-port: is taken by spec.containers[0].ports[0].name (got "a", want a name that no other port of the container has)`},
			ports(port{Name: "a", ContainerPort: 80}, port{Name: "b", ContainerPort: 81})},
		{"port twice", ports(port{ContainerPort: 80}, port{ContainerPort: 80, Protocol: "TCP"}),
			[]string{"spec.containers[0].ports[1].containerPort: invalid-port: is listed twice (got 80/TCP, want each port and protocol once in a container)"},
			ports(port{ContainerPort: 80}, port{ContainerPort: 80, Protocol: "UDP"})},
		{"port under two names", ports(port{Name: "a", ContainerPort: 80}, port{Name: "b", ContainerPort: 80}),
			[]string{"warning: spec.containers[0].ports[1].containerPort: invalid-port: is listed twice (got 80/TCP, want each port and protocol once in a container)"},
			unchanged},
		{"hostIP", ports(port{ContainerPort: 80, HostIP: "localhost"}),
			[]string{at + `.hostIP: invalid-port: must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff) (got "localhost", want an IPv4 or IPv6 address)`},
			ports(port{ContainerPort: 80, HostIP: "::1"})},
		{"hostPort", ports(port{ContainerPort: 80, HostPort: 65536}),
			[]string{at + ".hostPort: invalid-port: is out of range (got 65536, want 1 to 65535)"}, ports(port{ContainerPort: 80, HostPort: 65535})},
		{"hostPort for SCTP", ports(port{ContainerPort: 80, HostPort: 80, Protocol: "SCTP"}),
			[]string{at + ".hostPort: unsupported-field: can't be had for SCTP, which podstead does not forward (got 80, want TCP or UDP, hostNetwork: true, or hostPort left out)"},
			func(p *corev1.Pod, k *corev1.Container) {
				p.Spec.HostNetwork, k.Ports = true, []port{{ContainerPort: 80, HostPort: 80, Protocol: "SCTP"}}
			}},
	})
}

func TestHostPorts(t *testing.T) {
	type port = corev1.ContainerPort
	onHost := func(container, host int32) change {
		return func(p *corev1.Pod, k *corev1.Container) {
			p.Spec.HostNetwork = true
			k.Ports = []port{{ContainerPort: container, HostPort: host}}
		}
	}
	// beside adds a second container, or an init container, with its own port.
	beside := func(second port, init bool, policy *corev1.ContainerRestartPolicy) change {
		return func(p *corev1.Pod, k *corev1.Container) {
			k.Ports = []port{{ContainerPort: 80, HostPort: 8080}}
			other := corev1.Container{Name: "other", Image: "a", Ports: []port{second}, RestartPolicy: policy}
			if init {
				p.Spec.InitContainers = []corev1.Container{other}
				return
			}
			p.Spec.Containers = append(p.Spec.Containers, other)
		}
	}
	taken := func(second, first string) []string {
		return []string{second + ".ports[0].hostPort: invalid-port: is taken by " + first + ".ports[0].hostPort (got 8080/TCP, want each port of the host once in a pod)"}
	}
	same, udp := port{ContainerPort: 81, HostPort: 8080}, port{ContainerPort: 81, HostPort: 8080, Protocol: "UDP"}
	always := corev1.ContainerRestartPolicyAlways
	checkRules(t, []rule{
		{"other port under hostNetwork", onHost(80, 8080),
			[]string{"spec.containers[0].ports[0].hostPort: invalid-port: must equal containerPort under hostNetwork: the program listens on the host itself (got 8080, want 80)"},
			onHost(80, 80)},
		{"two containers", beside(same, false, nil), taken("spec.containers[1]", "spec.containers[0]"), beside(udp, false, nil)},
		{"other address", beside(port{ContainerPort: 81, HostPort: 8080, Protocol: "TCP"}, false, nil),
			taken("spec.containers[1]", "spec.containers[0]"), beside(port{ContainerPort: 81, HostPort: 8080, HostIP: "127.0.0.1"}, false, nil)},
		{"sidecar", beside(same, true, &always), taken("spec.containers[0]", "spec.initContainers[0]"), beside(same, true, nil)},
		{"init container with itself", func(p *corev1.Pod, _ *corev1.Container) {
			p.Spec.InitContainers = []corev1.Container{{Name: "i", Image: "a", Ports: []port{same, {ContainerPort: 82, HostPort: 8080}}}}
		}, []string{"spec.initContainers[0].ports[1].hostPort: invalid-port: is taken by spec.initContainers[0].ports[0].hostPort (got 8080/TCP, want each port of the host once in a pod)"},
			beside(udp, true, nil)},
	})
}
