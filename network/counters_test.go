package network

import (
	"bufio"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/podstead/podstead/pod"
)

// The interfaces are those of the process' own namespace, without loopback,
// and each way is told from the other.
func TestCountersOfAProcess(t *testing.T) {
	// One datagram of six bytes goes from eth0 to eth1, once that takes any: the
	// kernel drops what is sent before it has seen the link's carrier.
	const script = `ip link add eth0 type veth peer name eth1 && sysctl -qw net.ipv6.conf.all.disable_ipv6=1 &&
ip addr add 192.0.2.1/24 dev eth0 && ip link set eth0 up && ip link set eth1 up &&
until ip link show eth0 | grep -q "qdisc noqueue state UP"; do sleep 0.01; done &&
ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:01 nud permanent dev eth0 &&
echo hello > /dev/udp/192.0.2.2/9 && echo ready && read end`
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); _ = cmd.Wait() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("got %q, %v: %s", line, err, said.String())
	}
	got, err := Counters(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	const size = 14 + 20 + 8 + 6
	sent := pod.TrafficStats{Bytes: size, Packets: 1}
	want := []pod.InterfaceStats{{Name: "eth0", Transmit: sent}, {Name: "eth1", Receive: sent}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("traffic (-want +got):\n%s", diff)
	}
	if _, err := Counters(1 << 30); err == nil {
		t.Error("a process that is not there has interfaces")
	}
}
