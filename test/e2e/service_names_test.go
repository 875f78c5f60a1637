package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/podstead/podstead/test/harness"
)

// namesUpstream is the name server of the test's host, whatAnswers what it says.
const (
	namesUpstream = "127.0.0.53:53"
	outsideName   = "files.example.org."
	outsideIP     = "192.0.2.70"
)

// upstreamServer answers for all names but Services', each after a while.
func upstreamServer(t *testing.T) {
	t.Helper()
	packets, err := net.ListenPacket("udp", namesUpstream)
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		time.Sleep(5 * time.Millisecond)
		r := new(dns.Msg)
		r.SetReply(m)
		if q := m.Question[0]; strings.HasSuffix(q.Name, "example.org.") && q.Qtype == dns.TypeA {
			r.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.ParseIP(outsideIP)}}
		}
		_ = w.WriteMsg(r)
	})}
	go func() { _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown() })
}

// TestServiceNames asks for the names of Services from a pod, also a hundred
// times a second while podstead goes and comes.
func TestServiceNames(t *testing.T) {
	insteadOf(t, "/etc/resolv.conf", "search corp.example\nnameserver 127.0.0.53\n")
	upstreamServer(t)
	h := harness.New(t, harness.Options{})
	addResponder(t, h)
	addShell(t, h)
	h.Start()
	before := h.Settled()
	v4, v6 := serviceIP(h, 31)
	h.Write("services.yaml", strings.Join([]string{
		svc("web", fmt.Sprintf("clusterIPs: [%s, %q]\nselector: {app: web}\nports: [{name: http, port: 80}]\n", v4, v6)),
		svc("peers", "clusterIP: None\nipFamilyPolicy: PreferDualStack\nselector: {app: peer}\nports: [{name: line, port: 80}]\n"),
		svc("files", "type: ExternalName\nexternalName: files.example.org\n"),
	}, "---\n"))
	peer := strings.Replace(labelled(answering("peer", ""), "app: peer"), "spec:\n", "spec:\n  hostname: one\n  subdomain: peers\n", 1)
	p := placed(t, h, "peer", peer)
	q := placed(t, h, "peer2", labelled(answering("peer2", ""), "app: peer"))
	from := placed(t, h, "asker", simple("asker", script(), "", ""))
	const domain = ".default.svc.cluster.local."
	dashed := strings.ReplaceAll(q.v4, ".", "-") + ".peers" + domain
	for _, tc := range []struct {
		name  string
		qtype uint16
		want  []string
	}{
		{"web" + domain, dns.TypeA, []string{"A\t" + v4}},
		{"web" + domain, dns.TypeAAAA, []string{"AAAA\t" + v6}},
		{"_http._tcp.web" + domain, dns.TypeSRV, []string{"SRV\t0 100 80 web" + domain}},
		{"peers" + domain, dns.TypeA, []string{"A\t" + p.v4, "A\t" + q.v4}},
		{"peers" + domain, dns.TypeAAAA, []string{"AAAA\t" + p.v6, "AAAA\t" + q.v6}},
		{"one.peers" + domain, dns.TypeA, []string{"A\t" + p.v4}},
		{dashed, dns.TypeA, []string{"A\t" + q.v4}},
		{"files" + domain, dns.TypeA, []string{"CNAME\t" + outsideName, "A\t" + outsideIP}},
		{reverse(t, v4), dns.TypePTR, []string{"PTR\tweb" + domain}},
		{reverse(t, v6), dns.TypePTR, []string{"PTR\tweb" + domain}},
		{reverse(t, p.v4), dns.TypePTR, []string{"PTR\tone.peers" + domain}},
		{outsideName, dns.TypeA, []string{"A\t" + outsideIP}},
		{"web.other.svc.cluster.local.", dns.TypeA, nil},
	} {
		h.Eventually(waitKernel, func() error { return resolves(from, tc.name, tc.qtype, tc.want) })
	}
	// It tries all search domains, and fails for those without the name.
	out, err := h.CLI("exec", "asker", "--", "/bin/busybox", "nslookup", "-type=a", "web")
	if !strings.Contains(out, "web"+strings.TrimSuffix(domain, ".")) || !strings.Contains(out, v4) {
		t.Errorf("nslookup in the pod: %v\n%s", err, out)
	}
	// A pod that is gone has no name.
	h.Remove("peer2.yaml")
	h.WaitGone("default/peer2", time.Minute)
	h.Eventually(waitKernel, func() error {
		return resolves(from, "peers"+domain, dns.TypeA, []string{"A\t" + p.v4})
	})
	t.Run("UnderLoad", func(t *testing.T) { namesUnderLoad(t, h, from) })
	emptied(t, h, before)
}

func reverse(t *testing.T, ip string) string {
	t.Helper()
	name, err := dns.ReverseAddr(ip)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// question asks once from a pod, its own name server.
func question(from place, name string, qtype uint16, wait time.Duration) (*dns.Msg, error) {
	conf, err := os.Open(strings.Replace(from.netns, "/netns/", "/pods/", 1) + "/files/etc/resolv.conf")
	if err != nil {
		return nil, err
	}
	defer conf.Close()
	server := ""
	for in := bufio.NewScanner(conf); in.Scan(); {
		if s, ok := strings.CutPrefix(in.Text(), "nameserver "); ok && server == "" {
			server = s
		}
	}
	conn, err := harness.DialFrom(from.netns, "udp", at(server, 53), wait)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	answer, _, err := (&dns.Client{Timeout: wait}).ExchangeWithConn(m, &dns.Conn{Conn: conn})
	return answer, err
}

// resolves compares what is said with what is wanted, in any order.
func resolves(from place, name string, qtype uint16, want []string) error {
	m, err := question(from, name, qtype, answerWithin)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var got []string
	for _, rr := range m.Answer {
		_, said, _ := strings.Cut(rr.String(), "\tIN\t")
		got = append(got, said)
	}
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if code := map[bool]int{true: dns.RcodeSuccess, false: dns.RcodeNameError}[len(want) > 0]; !slices.Equal(got, want) || m.Rcode != code {
		return fmt.Errorf("%s %s: %s %q, want %q", name, dns.TypeToString[qtype], dns.RcodeToString[m.Rcode], got, want)
	}
	return nil
}

// namesUnderLoad restarts and kills podstead. A machine that is busy may be
// slow at any time, but not each time.
func namesUnderLoad(t *testing.T, h *harness.Host, from place) {
	for what, disturb := range map[string]func(){
		"podstead is restarted": func() { h.Stop(); h.Start() },
		"podstead is killed":    func() { h.Kill9(); time.Sleep(time.Second); h.Start() },
	} {
		for try := 0; ; try++ {
			slowest, asked, failed := askedWhile(from, disturb)
			t.Logf("%s: %d asked, the slowest took %s", what, asked, slowest.Round(time.Millisecond))
			if len(failed) > 0 || asked < 200 {
				t.Fatalf("%s: %d asked, failed: %v", what, asked, errors.Join(failed[:min(5, len(failed))]...))
			}
			if slowest < time.Second {
				break
			}
			if try == 3 {
				t.Fatalf("%s: each time something took a second, now %s", what, slowest)
			}
		}
	}
}

// askedWhile asks a hundred times a second while something is done, by turns
// for a Service and for another name.
func askedWhile(from place, disturb func()) (slowest time.Duration, asked int, failed []error) {
	var mu sync.Mutex
	var under sync.WaitGroup
	done := make(chan struct{})
	under.Go(func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			name := []string{"web.default.svc.cluster.local.", fmt.Sprintf("n%d.example.org.", i)}[i%2]
			under.Go(func() {
				start := time.Now()
				err := oneAnswer(from, name)
				mu.Lock()
				defer mu.Unlock()
				asked++
				slowest = max(slowest, time.Since(start))
				if err != nil {
					failed = append(failed, err)
				}
			})
		}
	})
	time.Sleep(time.Second)
	disturb()
	time.Sleep(time.Second)
	close(done)
	under.Wait()
	return slowest, asked, failed
}

func oneAnswer(from place, name string) error {
	m, err := question(from, name, dns.TypeA, answerWithin)
	if err == nil && (m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1) {
		err = fmt.Errorf("%s: %s, %v", name, dns.RcodeToString[m.Rcode], m.Answer)
	}
	return err
}
