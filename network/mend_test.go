package network_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
)

// TestEnsureMends takes each piece of a pod's network away, as a crash or
// somebody might, and expects Ensure to put it back, after a restart too.
func TestEnsureMends(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	serve(t, l.outside, ":53", "outside")
	link := hostLink(t, "b")
	for _, tc := range []struct {
		inside bool
		damage string
	}{
		{false, "link del " + link},
		{true, "link del eth0"},
		{false, "link set " + link + " down"},
		{false, "route flush dev " + link},
		{false, "addr flush dev " + link},
		{false, "neigh flush dev " + link + " nud permanent"},
		{false, "link set " + link + " group 0"},
		{false, "link set " + link + " alias other"},
		{true, "addr flush dev eth0"},
		{true, "link set eth0 down name other"},
		{true, "link set eth0 down"},
		{true, "route del default"},
		{true, "neigh flush dev eth0 nud permanent"},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", tc.damage, restart), func(t *testing.T) {
				where := host
				if tc.inside {
					where = b.path
				}
				within(t, where, func() error {
					run(t, "ip", strings.Fields(tc.damage)...)
					if strings.Contains(tc.damage, "name other") {
						run(t, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
					}
					return nil
				})
				if restart {
					l.restart(network.Config{})
				}
				again := l.pod("b")
				if again != b {
					t.Errorf("pod b is %+v, was %+v", again, b)
				}
				b = again
				reaches(t, b.path, "tcp", at(a.v4, 80), "a")
				reaches(t, b.path, "tcp", at(a.v6, 80), "a")
				reaches(t, b.path, "udp", at(outside4, 53), "outside")
				reaches(t, b.path, "udp", at(outside6, 53), "outside")
			})
		}
	}
}

func TestListFindsLinksWithoutNamespace(t *testing.T) {
	l := newLab(t, network.Config{})
	a := l.pod("a")
	alive, err := os.Open(a.path) // as a process in it would keep it
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	run(t, "umount", "-l", a.path)
	if err := os.Remove(a.path); err != nil {
		t.Fatal(err)
	}
	if uids, err := l.List(t.Context()); err != nil || len(uids) != 1 || uids[0] != "a" {
		t.Errorf("List = %q, %v, want a", uids, err)
	}
	if err := l.Remove(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	nothingLeft(t, l)
}

// TestTwoPodsteads share a host without taking each other's addresses or pods.
func TestTwoPodsteads(t *testing.T) {
	l := newLab(t, network.Config{})
	other, err := network.New(network.Config{RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = errors.Join(other.Remove(context.Background(), "a"), other.RemoveAll(context.Background()))
	})
	a := l.pod("a")
	b, err := other.Ensure(t.Context(), "a", &corev1.Pod{})
	if err != nil {
		t.Fatal(err)
	}
	if b.IPs[0] == a.v4 || b.IPs[1] == a.v6 {
		t.Errorf("both have %q", b.IPs)
	}
	serve(t, a.path, ":80", "a")
	reaches(t, b.NetNS, "tcp", at(a.v4, 80), "a")
	if err := errors.Join(other.Remove(t.Context(), "a"), other.RemoveAll(t.Context())); err != nil {
		t.Fatal(err)
	}
	if uids, err := l.List(t.Context()); err != nil || len(uids) != 1 {
		t.Errorf("ours: %q, %v", uids, err)
	}
	reaches(t, host, "tcp", at(a.v4, 80), "a")
}

func TestSysctls(t *testing.T) {
	l := newLab(t, network.Config{})
	with := func(list ...corev1.Sysctl) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{Sysctls: list}}}
	}
	a, err := l.Ensure(t.Context(), "a", with(corev1.Sysctl{Name: "net.ipv4.ip_unprivileged_port_start", Value: "80"},
		corev1.Sysctl{Name: "net/ipv4/ping_group_range", Value: "0 5"}, corev1.Sysctl{Name: "kernel.shm_rmid_forced", Value: "1"}))
	if err != nil {
		t.Fatal(err)
	}
	within(t, a.NetNS, func() error {
		for name, want := range map[string]string{"ip_unprivileged_port_start": "80", "ping_group_range": "0\t5"} {
			got, err := os.ReadFile(filepath.Join("/proc/thread-self/root/proc/sys/net/ipv4", name))
			if err != nil || strings.TrimSpace(string(got)) != want {
				t.Errorf("%s is %q, %v, want %q", name, got, err, want)
			}
		}
		return nil
	})
	_, err = l.Ensure(t.Context(), "b", with(corev1.Sysctl{Name: "net.ipv4.ip_unprivileged_port_start", Value: "many"}))
	refused(t, err, "SysctlForbidden", "net.ipv4.ip_unprivileged_port_start", "many")
	_, err = l.Ensure(t.Context(), "c", with(corev1.Sysctl{Name: "net/../kernel/panic", Value: "1"}))
	refused(t, err, "SysctlForbidden", "net/../kernel/panic")
	if uids, err := l.List(t.Context()); err != nil || len(uids) != 1 {
		t.Errorf("left of refused pods: %q, %v", uids, err)
	}
}

func TestAdvertisementsAreStillHeeded(t *testing.T) {
	l := newLab(t, network.Config{})
	for key, value := range map[string]string{"all/forwarding": "0", "up0/forwarding": "0", "up0/accept_ra": "1"} {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+key, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	l.pod("a")
	got, err := os.ReadFile("/proc/sys/net/ipv6/conf/up0/accept_ra")
	if err != nil || string(got) != "2\n" {
		t.Errorf("accept_ra is %q, %v, want 2", got, err)
	}
}

func TestWithoutIPv6(t *testing.T) {
	l := newLab(t, network.Config{})
	off := func(value string) {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	off("1")
	defer off("0")
	a, err := l.Ensure(t.Context(), "a", &corev1.Pod{})
	if err != nil || len(a.IPs) != 1 {
		t.Fatalf("addresses %q, %v, want one of IPv4", a.IPs, err)
	}
	serve(t, a.NetNS, ":80", "a")
	if err := l.Set(t.Context(), pod.NetworkConfig{Pods: []pod.PodNetwork{{UID: "a", IPs: a.IPs, Ports: both("", 8080, 80)}}}); err != nil {
		t.Fatal(err)
	}
	reaches(t, l.outside, "tcp", at(host4, 8080), "a")
	l.run()
	eventually(t, patience, func() error {
		if got := strings.Join(l.Warnings(), "\n"); !strings.Contains(got, "IPv6 is switched off") {
			return fmt.Errorf("warnings %q", got)
		}
		return nil
	})
}

// TestTableGoesWithTheLastPod and comes with the next.
func TestTableGoesWithTheLastPod(t *testing.T) {
	l := newLab(t, network.Config{})
	for range 2 {
		a := l.pod("a")
		l.open(map[node][]pod.PortMapping{a: both("", 8080, 80)})
		ourTable(t)
		if err := l.Remove(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		l.open(nil)
		if rest := run(t, "nft", "list", "ruleset"); rest != "" {
			t.Errorf("left: %s", rest)
		}
	}
}
