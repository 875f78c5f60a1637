package network_test

import (
	"errors"
	"fmt"
	"net/netip"
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
