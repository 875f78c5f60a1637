package network_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
)

func ranges(list ...string) network.Config {
	var c network.Config
	for _, r := range list {
		c.PodCIDRs = append(c.PodCIDRs, netip.MustParsePrefix(r))
	}
	return c
}

func TestRangesThatCannotBeUsed(t *testing.T) {
	for _, list := range [][]string{{"10.0.0.0/31"}, {"fd00::/127"}, {"10.0.0.0/24", "10.1.0.0/24"}, {"::ffff:10.0.0.0/120"}} {
		c := ranges(list...)
		c.RunDir = "/run/x"
		if _, err := network.New(c); err == nil || !strings.Contains(err.Error(), list[0]) {
			t.Errorf("New with %q = %v, want an error that names it", list, err)
		}
	}
}

// TestChurn: five hundred pods come and go, several at a time, through ranges
// that hold six.
func TestChurn(t *testing.T) {
	const pods, workers = 500, 5
	c := ranges("10.117.9.0/29", "fd5b::9:0/125")
	l := newLab(t, c)
	var mu sync.Mutex
	live := map[string]types.UID{}
	used := map[string]int{}
	numbers := make(chan int)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := range numbers {
				uid := types.UID(fmt.Sprint("pod-", i))
				a, err := l.Ensure(t.Context(), uid, &corev1.Pod{})
				if err != nil || len(a.IPs) != 2 {
					t.Errorf("pod %d: %v, %v", i, a, err)
					continue
				}
				mu.Lock()
				for _, ip := range a.IPs {
					if other, taken := live[ip]; taken {
						t.Errorf("%s was given to %s, and %s has it", ip, uid, other)
					}
					live[ip] = uid
					used[ip]++
				}
				mu.Unlock()
				mu.Lock()
				for _, ip := range a.IPs {
					delete(live, ip)
				}
				mu.Unlock()
				if err := l.Remove(t.Context(), uid); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range pods {
		numbers <- i
		if i == pods/2 {
			close(numbers)
			group.Wait()
			l.restart(c)
			break
		}
	}
	numbers = make(chan int)
	for range workers {
		group.Go(func() {
			for i := range numbers {
				uid := types.UID(fmt.Sprint("pod-", i))
				_, err := l.Ensure(t.Context(), uid, &corev1.Pod{})
				if err := errors.Join(err, l.Remove(t.Context(), uid)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := pods/2 + 1; i < pods; i++ {
		numbers <- i
	}
	close(numbers)
	group.Wait()
	for ip, times := range used {
		if times > 2*pods/2/6+20 {
			t.Errorf("%s was given %d times: addresses are to come back late", ip, times)
		}
	}
	nothingLeft(t, l)
}

func nothingLeft(t *testing.T, l *lab) {
	t.Helper()
	if uids, err := l.List(t.Context()); err != nil || len(uids) != 0 {
		t.Errorf("left: %q, %v", uids, err)
	}
	for _, args := range [][]string{{"link"}, {"route", "show", "table", "all"}, {"-6", "route", "show", "table", "all"}} {
		for line := range strings.Lines(run(t, "ip", args...)) {
			if strings.Contains(line, "dev pod") || strings.Contains(line, ": pod") {
				t.Errorf("left: %s", line)
			}
		}
	}
}

func TestExhaustion(t *testing.T) {
	l := newLab(t, ranges("10.117.9.0/29", "fd5b::9:0/120"))
	seen := map[string]bool{}
	for i := range 6 {
		n := l.pod(types.UID(fmt.Sprint(i)))
		if seen[n.v4] {
			t.Errorf("%s was given twice", n.v4)
		}
		seen[n.v4] = true
	}
	_, err := l.Ensure(t.Context(), "one-too-many", &corev1.Pod{})
	refused(t, err, "NetworkNotReady", "10.117.9.0/29", "all 6")
	if err := l.Remove(t.Context(), "3"); err != nil {
		t.Fatal(err)
	}
	l.pod("one-too-many")
}

func refused(t *testing.T, err error, reason string, names ...string) {
	t.Helper()
	r, ok := errors.AsType[*pod.Refused](err)
	if !ok || r.Reason != reason {
		t.Fatalf("error %v, want a refusal with reason %s", err, reason)
	}
	for _, name := range names {
		if !strings.Contains(r.Message, name) {
			t.Errorf("%q does not name %s", r.Message, name)
		}
	}
}

// TestOverlapIsRefused: pods on the host's network go on, those that have
// addresses too, and others come when the route is gone.
func TestOverlapIsRefused(t *testing.T) {
	for _, tc := range []struct{ add, names, del string }{
		{"route add 10.117.40.0/24 dev up0", "10.117.40.0/24", "route del 10.117.40.0/24"},
		{"route add 10.0.0.0/8 dev up0", "10.0.0.0/8", "route del 10.0.0.0/8"},
		{"addr add 10.117.3.3/32 dev lo", "10.117.3.3/32", "addr del 10.117.3.3/32 dev lo"},
		{"-6 route add fd5b:3c1e:9a27::/48 dev up0", "fd5b:3c1e:9a27::/48", "-6 route del fd5b:3c1e:9a27::/48"},
		{"route add 10.117.40.0/24 dev up0 table 100", "10.117.40.0/24", "route del 10.117.40.0/24 table 100"},
	} {
		t.Run(tc.add, func(t *testing.T) {
			l := newLab(t, network.Config{})
			old := l.pod("old")
			run(t, "ip", strings.Fields(tc.add)...)
			_, err := l.Ensure(t.Context(), "new", &corev1.Pod{})
			which := "10.117.0.0/16"
			if strings.Contains(tc.add, "-6") {
				which = "fd5b:3c1e:9a27:117::/64"
			}
			refused(t, err, "NetworkNotReady", which, tc.names)
			if _, err := l.Ensure(t.Context(), "host", &corev1.Pod{Spec: corev1.PodSpec{HostNetwork: true}}); err != nil {
				t.Errorf("a pod on the host's network: %v", err)
			}
			if again := l.pod("old"); again != old {
				t.Errorf("an older pod is %+v now, was %+v", again, old)
			}
			run(t, "ip", strings.Fields(tc.del)...)
			l.pod("new")
		})
	}
	for _, add := range []string{"route add default via 192.0.2.2", "route add 0.0.0.0/1 via 192.0.2.2", "route add unreachable 10.0.0.0/8", "route add 172.20.0.0/16 dev up0"} {
		t.Run(add, func(t *testing.T) {
			l := newLab(t, network.Config{})
			run(t, "ip", strings.Fields(add)...)
			l.pod("new")
			run(t, "ip", strings.Fields(strings.Replace(add, "add", "del", 1))...)
		})
	}
}

// TestEnsureMends takes each piece of a pod's network away, as a crash or
// somebody might, and expects Ensure to put it back, after a restart too.
func TestEnsureMends(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	serve(t, l.outside, ":53", "outside")
	link := hostLink(t, "b")
	for _, tc := range []struct {
		inside  bool
		damage  string
		forgets bool // the address with it, if podstead restarts
	}{
		{false, "link del " + link, true},
		{true, "link del eth0", true},
		{false, "link set " + link + " down", true},
		{false, "route flush dev " + link, true},
		{false, "addr flush dev " + link, false},
		{false, "neigh flush dev " + link + " nud permanent", false},
		{false, "link set " + link + " group 0", true},
		{false, "link set " + link + " alias other", true},
		{true, "addr flush dev eth0", false},
		{true, "link set eth0 down", false},
		{true, "route del default", false},
		{true, "neigh flush dev eth0 nud permanent", false},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", tc.damage, restart), func(t *testing.T) {
				where := host
				if tc.inside {
					where = b.path
				}
				within(t, where, func() error { run(t, "ip", strings.Fields(tc.damage)...); return nil })
				if restart {
					l.restart(network.Config{})
				}
				again := l.pod("b")
				if again != b && !(restart && tc.forgets) {
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
	run(t, "umount", a.path)
	if err := os.Remove(a.path); err != nil {
		t.Fatal(err)
	}
	// A process would keep it alive; here only the kernel's clean-up races us.
	uids, err := l.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, uid := range uids {
		if err := l.Remove(t.Context(), uid); err != nil {
			t.Error(err)
		}
	}
	eventually(t, patience, func() error {
		if text := run(t, "ip", "link"); strings.Contains(text, "alias podstead:") {
			return errors.New(text)
		}
		return nil
	})
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
