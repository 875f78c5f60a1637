package network_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	c := ranges("10.117.9.0/29", "fd5b::9:0/125")
	l := newLab(t, c)
	live := &owners{of: map[string]types.UID{}}
	l.churn(0, 250, live)
	l.restart(c)
	l.churn(250, 500, live)
	nothingLeft(t, l)
}

// churn lets pods come and go, five at a time.
func (l *lab) churn(from, to int, live *owners) {
	l.Helper()
	numbers := make(chan int)
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			for i := range numbers {
				uid := types.UID(fmt.Sprint("pod-", i))
				a, err := l.Ensure(l.Context(), uid, &corev1.Pod{})
				if err != nil || len(a.IPs) != 2 {
					l.Errorf("pod %d: addresses %q, %v", i, a.IPs, err)
				}
				if other := live.take(uid, a.IPs); other != "" {
					l.Errorf("pod %d got %q, of which %s has one", i, a.IPs, other)
				}
				live.leave(a.IPs)
				if err := l.Remove(l.Context(), uid); err != nil {
					l.Error(err)
				}
			}
		})
	}
	for i := from; i < to; i++ {
		numbers <- i
	}
	close(numbers)
	group.Wait()
}

// owners are who has each address.
type owners struct {
	mu sync.Mutex
	of map[string]types.UID
}

// take tells who had one of the addresses already.
func (o *owners) take(uid types.UID, ips []string) (other types.UID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, ip := range ips {
		if had, taken := o.of[ip]; taken {
			other = had
		}
		o.of[ip] = uid
	}
	return other
}

func (o *owners) leave(ips []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, ip := range ips {
		delete(o.of, ip)
	}
}

// TestAddressesComeBackLate: the next address is the one after the last, also
// when earlier ones are free.
func TestAddressesComeBackLate(t *testing.T) {
	l := newLab(t, ranges("10.117.9.0/29", "fd5b::9:0/125"))
	var got []string
	for i := range 14 {
		uid := types.UID(fmt.Sprint(i))
		n := l.pod(uid)
		if err := l.Remove(t.Context(), uid); err != nil {
			t.Fatal(err)
		}
		got = append(got, n.v4+" "+n.v6)
	}
	var want []string
	for i := range 14 {
		want = append(want, fmt.Sprintf("10.117.9.%d fd5b::9:%d", i%6+1, i%7+1))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
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
