package network_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
)

const foreignRules = `
table ip mine {
	chain forward { type filter hook forward priority 0; policy accept; ip daddr 203.0.113.7 counter drop; }
	set ports { type inet_service; elements = { 22, 80 }; }
}
table inet firewall {
	map to { type inet_service : verdict; elements = { 8080 : accept }; }
	chain in { type filter hook input priority 0; policy accept; tcp dport vmap @to; }
}`

// foreign lists every table but ours.
func foreign(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for line := range strings.Lines(run(t, "nft", "list", "tables")) {
		if args := strings.Fields(line); !strings.HasPrefix(args[2], "podstead") {
			text.WriteString(run(t, "nft", append([]string{"list"}, args...)...))
		}
	}
	return text.String()
}

// TestFlushedRulesComeBackWithinASecond: each time, and at least once within a
// second however busy the machine of the test is.
func TestFlushedRulesComeBackWithinASecond(t *testing.T) {
	l := newLab(t, network.Config{})
	a := l.pod("a")
	serve(t, a.path, ":80", "a")
	l.open(map[node][]pod.PortMapping{a: both("", 8080, 80)})
	l.run()
	table := ourTable(t)
	whole := run(t, "nft", append([]string{"-s", "list", "table"}, table...)...)
	quickest := time.Hour
	for _, damage := range []string{
		"flush ruleset",
		"delete table " + strings.Join(table, " "),
		"flush table " + strings.Join(table, " "),
		"flush map " + strings.Join(table, " ") + " ports4",
		"insert rule " + strings.Join(table, " ") + " from-pods drop",
	} {
		nft(t, damage)
		start := time.Now()
		eventually(t, 4*patience, func() error {
			out, err := exec.Command("nft", append([]string{"-s", "list", "table"}, table...)...).Output()
			if err != nil || string(out) != whole {
				return fmt.Errorf("after %q: %v\n%s", damage, err, cmp.Diff(whole, string(out)))
			}
			return nil
		})
		quickest = min(quickest, time.Since(start))
		reaches(t, l.outside, "tcp", at(host4, 8080), "a")
	}
	if quickest > time.Second {
		t.Errorf("it took %s at best", quickest)
	}
	if e := <-l.seen; !strings.Contains(e.Message, table[1]) {
		t.Errorf("told %q, want the table's name", e.Message)
	}
}

// ourTable is the family and name of our table.
func ourTable(t *testing.T) []string {
	t.Helper()
	for line := range strings.Lines(run(t, "nft", "list", "tables")) {
		if args := strings.Fields(line); strings.HasPrefix(args[2], "podstead") {
			return args[1:]
		}
	}
	t.Fatal("there is no table of ours")
	return nil
}

// tables lists tables of ours with the numbers that the kernel gave them: one
// that was made anew has another.
func tables(t *testing.T) string {
	t.Helper()
	var ours string
	for text := range strings.SplitSeq(run(t, "nft", "-j", "list", "tables"), "}") {
		if strings.Contains(text, `"podstead`) {
			ours += text
		}
	}
	return ours
}

func TestForeignRulesStayAsTheyAre(t *testing.T) {
	l := newLab(t, network.Config{})
	nft(t, foreignRules)
	before := foreign(t)
	l.run()
	a, b := l.pod("a"), l.pod("b")
	l.open(map[node][]pod.PortMapping{a: both("", 8080, 80)})
	l.open(map[node][]pod.PortMapping{b: both("", 8080, 80)})
	nft(t, "delete table "+strings.Join(ourTable(t), " "))
	eventually(t, 4*patience, func() error {
		if !strings.Contains(run(t, "nft", "list", "tables"), "podstead") {
			return errors.New("our table is not back")
		}
		return nil
	})
	l.removeAll()
	if diff := cmp.Diff(before, foreign(t)); diff != "" {
		t.Errorf("foreign rules changed:\n%s", diff)
	}
	if rest := run(t, "nft", "list", "tables"); strings.Contains(rest, "podstead") {
		t.Errorf("our table is left: %s", rest)
	}
}

// hostLink finds the host's end of a pod's link by its alias.
func hostLink(t *testing.T, uid string) string {
	t.Helper()
	lines := strings.Split(run(t, "ip", "link"), "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "alias podstead:") && strings.HasSuffix(line, ":"+uid) {
			name, _, _ := strings.Cut(strings.Fields(lines[i-2])[1], "@")
			return name
		}
	}
	t.Fatalf("pod %s has no link", uid)
	return ""
}

func TestLoopbackForwarder(t *testing.T) {
	l := newLab(t, network.Config{LoopbackForwarder: true})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	serve(t, b.path, ":80", "b")
	l.run()
	answers := func(want string) {
		t.Helper()
		eventually(t, patience, func() error {
			got, err := ask(host, "tcp", "[::1]:8080", patience)
			if err == nil && !strings.HasPrefix(got, want+" ") {
				err = fmt.Errorf("%q answers, want %s", got, want)
			}
			return err
		})
	}
	for _, n := range []node{a, b} {
		l.open(map[node][]pod.PortMapping{n: both("", 8080, 80)})
		answers(string(n.uid))
	}
	var open net.Conn
	within(t, host, func() (err error) { open, err = net.Dial("tcp", "[::1]:8080"); return err })
	defer open.Close()
	l.open(nil)
	eventually(t, patience, func() error {
		_, err := ask(host, "tcp", "[::1]:8080", patience)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
		return fmt.Errorf("%v, want connection refused", err)
	})
	if _, err := open.Write([]byte("who\n")); err != nil {
		t.Error(err)
	}
	if line, err := bufio.NewReader(open).ReadString('\n'); err != nil || !strings.HasPrefix(line, "b ") {
		t.Errorf("an open connection: %q, %v", line, err)
	}
}

func TestListeners(t *testing.T) {
	l := newLab(t, network.Config{})
	serve(t, host, "127.0.0.1:7001", "x")
	serve(t, host, ":7002", "x")
	four, err := net.Listen("tcp4", ":7003")
	if err != nil {
		t.Fatal(err)
	}
	defer four.Close()
	all, err := l.Listeners(t.Context())
	if err != nil || len(all) < 5 {
		t.Errorf("all listeners: %v, %v", all, err)
	}
	got, err := l.Listeners(t.Context(), 7001, 7002, 7003)
	if err != nil {
		t.Fatal(err)
	}
	me, name := os.Getpid(), strings.TrimSpace(run(t, "cat", fmt.Sprintf("/proc/%d/comm", os.Getpid())))
	var want []pod.Listener
	for i, ip := range []string{"127.0.0.1", "", "0.0.0.0"} {
		for _, proto := range []corev1.Protocol{"TCP", "UDP"}[:min(2, 3-i)] {
			want = append(want, pod.Listener{HostPort: pod.HostPort{IP: ip, Port: int32(7001 + i), Protocol: proto}, PID: me, Name: name})
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("listeners (-want +got):\n%s", diff)
	}
	if none, err := l.Listeners(t.Context(), 7004); err != nil || len(none) != 0 {
		t.Errorf("a port that nobody holds: %v, %v", none, err)
	}
}

func TestForeignPoliciesAreNamed(t *testing.T) {
	l := newLab(t, network.Config{})
	const v4, v6 = "10.117.0.0/16", "fd5b:3c1e:9a27:117::/64"
	for _, tc := range []struct{ name, rules, want, remedy string }{
		{"docker", "table ip filter { chain DOCKER-USER { }; chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; }; }",
			"chain FORWARD of nftables table ip filter drops by its policy", "iptables -I DOCKER-USER -s " + v4 + " -j ACCEPT"},
		{"ufw", "table ip6 filter { chain ufw6-user-forward { }; chain FORWARD { type filter hook forward priority 0; policy drop; jump ufw6-user-forward; }; }",
			"table ip6 filter", "ufw route allow from " + v6},
		{"own", "table inet corp { chain transit { type filter hook forward priority 0; policy accept; ct state established accept; counter drop; }; }",
			"chain transit of nftables table inet corp drops by its last rule", "nft insert rule inet corp transit ip saddr " + v4 + " accept"},
		{"harmless", foreignRules, "", ""},
	} {
		nft(t, "flush ruleset")
		nft(t, tc.rules)
		l.run()
		t.Run(tc.name, func(t *testing.T) {
			eventually(t, patience, func() error {
				if got := strings.Join(l.Warnings(), "\n"); !strings.Contains(got, tc.want) || !strings.Contains(got, tc.remedy) || tc.want == "" && got != "" {
					return fmt.Errorf("warnings %q, want %q and %q", got, tc.want, tc.remedy)
				}
				return nil
			})
		})
	}
}

// TestRemedyIsSeen: who followed the advice is not asked again.
func TestRemedyIsSeen(t *testing.T) {
	l := newLab(t, network.Config{})
	for _, table := range []string{"done", "undone"} {
		nft(t, "table inet "+table+" { chain transit { type filter hook forward priority 0; policy drop; }; }")
	}
	for _, r := range []string{"ip saddr 10.117.0.0/16", "ip daddr 10.117.0.0/16", "ip6 saddr fd5b:3c1e:9a27:117::/64", "ip6 daddr fd5b:3c1e:9a27:117::/64"} {
		nft(t, "insert rule inet done transit "+r+" accept")
	}
	l.run()
	eventually(t, patience, func() error {
		if got := l.Warnings(); len(got) != 1 || !strings.Contains(got[0], "inet undone") {
			return fmt.Errorf("warnings %q, want one, of table undone", got)
		}
		return nil
	})
}

// TestRemovalsAreNoNews: what pods lose by being removed, many at a time,
// nobody else took.
func TestRemovalsAreNoNews(t *testing.T) {
	l := newLab(t, network.Config{})
	var uids []types.UID
	for i := range 60 {
		uids = append(uids, l.pod(types.UID(fmt.Sprintf("p%d", i))).uid)
	}
	l.run()
	removals, ctx := errgroup.WithContext(t.Context())
	removals.SetLimit(8)
	for _, uid := range uids {
		removals.Go(func() error { return l.Remove(ctx, uid) })
	}
	if err := removals.Wait(); err != nil {
		t.Fatal(err)
	}
	// Somebody's deed is still noticed, and it is the first that is told.
	link := hostLink(t, string(l.pod("last").uid))
	run(t, "ip", "link", "del", link)
	if e := <-l.seen; !strings.Contains(e.Message, link) {
		t.Errorf("told %+v, want that %s was removed", e, link)
	}
}
