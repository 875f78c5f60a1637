package server_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const web = "web.default.svc.cluster.local."

func TestZone(t *testing.T) {
	u := serveUpstream(t, "127.0.0.2")
	start(t, zone, "127.0.0.2")
	for _, tc := range []struct{ name, kind, want string }{
		{web, "A", "NOERROR; " + web + " A 10.118.7.7"},
		{"wEb.Default.svc.CLUSTER.local.", "A", "NOERROR; wEb.Default.svc.CLUSTER.local. A 10.118.7.7"},
		{web, "AAAA", "NOERROR"},
		{"none.default.svc.cluster.local.", "A", "NXDOMAIN"},
		{"example.org.default.svc.cluster.local.", "A", "NXDOMAIN"},
		{"example.org.cluster.local.", "A", "NXDOMAIN"},
		{"default.svc.cluster.local.", "A", "NOERROR"}, // there are names below it
		{"_tcp." + web, "SRV", "NOERROR"},
		{"_http._tcp." + web, "SRV", "NOERROR; _http._tcp." + web + " SRV 0 100 80 " + web},
		{"7.7.118.10.in-addr.arpa.", "PTR", "NOERROR; 7.7.118.10.in-addr.arpa. PTR " + web},
		{"8.7.118.10.in-addr.arpa.", "PTR", "NXDOMAIN"},
		{"alias.default.svc.cluster.local.", "A", "NOERROR; alias.default.svc.cluster.local. CNAME " + web + "; " + web + " A 10.118.7.7"},
		{"alias.default.svc.cluster.local.", "CNAME", "NOERROR; alias.default.svc.cluster.local. CNAME " + web},
		{"alias.default.svc.cluster.local.", "AAAA", "NOERROR; alias.default.svc.cluster.local. CNAME " + web},
		{"nowhere.default.svc.cluster.local.", "A", "NXDOMAIN; nowhere.default.svc.cluster.local. CNAME none.default.svc.cluster.local."},
		{"localhost.", "A", "NOERROR; localhost. A 127.0.0.1"},
		{"x.localhost.", "AAAA", "NOERROR; x.localhost. AAAA ::1"},
		{"localhost.", "MX", "NOERROR"},
	} {
		m := says(t, tc.name, tc.kind, tc.want)
		if len(m.Answer) == 0 && !strings.HasSuffix(tc.name, "localhost.") && (len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != dns.TypeSOA) {
			t.Errorf("%s %s: nothing says how long there is none: %v", tc.name, tc.kind, m)
		}
	}
	if m := ask(t, "udp", "circle.default.svc.cluster.local.", "A", nil); len(m.Answer) > 10 {
		t.Errorf("a circle of aliases: %v", m)
	}
	if m := ask(t, "udp", "_http._tcp."+web, "SRV", nil); len(m.Extra) != 1 || !strings.HasSuffix(m.Extra[0].String(), "10.118.7.7") {
		t.Errorf("SRV comes with %v", m.Extra)
	}
	if n := u.asked.Load(); n != 0 {
		t.Errorf("others were asked %d times of what is ours", n)
	}
	first := map[string]int{}
	for range 300 {
		first[ask(t, "udp", "many.default.svc.cluster.local.", "A", nil).Answer[0].(*dns.A).A.String()]++
	}
	if len(first) != 3 {
		t.Errorf("first in 300 answers were %v", first)
	}
}

// TestExternalName: an alias comes with what others say of its target.
func TestExternalName(t *testing.T) {
	u := serveUpstream(t, "127.0.0.2")
	label := strings.Repeat("n", 63)
	longest := strings.Join([]string{label, label, label, label[:61]}, ".") + "."
	start(t, zone+"far.default.svc.cluster.local. 5 IN CNAME "+longest+"\n", "127.0.0.2")
	const db, far = "db.default.svc.cluster.local.", "far.default.svc.cluster.local."
	says(t, db, "A", "NOERROR; "+db+" CNAME db.example.org.; db.example.org. A 192.0.2.7")
	says(t, db, "A", "NOERROR; "+db+" CNAME db.example.org.; db.example.org. A 192.0.2.7")
	if n := u.asked.Load(); n != 1 {
		t.Errorf("it was asked for %d times", n)
	}
	says(t, far, "A", "NOERROR; "+far+" CNAME "+longest+"; "+longest+" A 192.0.2.7")
	u.say(func(dns.Question, bool) *dns.Msg { return code(dns.RcodeNameError) })
	says(t, db, "AAAA", "NXDOMAIN; "+db+" CNAME db.example.org.")
	m := ask(t, "udp", db, "MX", func(m *dns.Msg) { m.RecursionDesired = false })
	if got := said(m); got != "NOERROR; "+db+" CNAME db.example.org." {
		t.Errorf("who wants no recursion gets %q", got)
	}
}

func TestOthersAreAsked(t *testing.T) {
	u := serveUpstream(t, "127.0.0.2")
	start(t, zone, "127.0.0.2")
	u.say(func(q dns.Question, _ bool) *dns.Msg {
		return records(q, q.Name+" 60 IN CNAME real.example.", "real.example. 30 IN A 192.0.2.9")
	})
	m := says(t, "ExAmple.org.", "A", "NOERROR; ExAmple.org. CNAME real.example.; real.example. A 192.0.2.9")
	if !m.RecursionAvailable || m.Authoritative {
		t.Errorf("flags of %v", m)
	}
	says(t, "example.ORG.", "A", "NOERROR; example.ORG. CNAME real.example.; real.example. A 192.0.2.9")
	if n := u.asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	if got := said(ask(t, "udp", "new.example.", "A", func(m *dns.Msg) { m.RecursionDesired = false })); got != "REFUSED" {
		t.Errorf("who wants no recursion gets %q", got)
	}
	u.say(func(dns.Question, bool) *dns.Msg {
		return code(dns.RcodeNameError, "example. 60 IN SOA a. b. 1 1 1 1 60")
	})
	for range 2 {
		says(t, "none.example.", "A", "NXDOMAIN")
	}
	if n := u.asked.Load(); n != 2 {
		t.Errorf("that there is none was asked for %d times", n-1)
	}
	// What answers another question is no answer.
	u.say(func(q dns.Question, _ bool) *dns.Msg {
		m := records(q, "evil.example. 60 IN A 192.0.2.66")
		m.Question = []dns.Question{{Name: "evil.example.", Qtype: q.Qtype, Qclass: q.Qclass}}
		return m
	})
	says(t, "good.example.", "A", "SERVFAIL")
}

// TestOneIsAskedAfterTheOther: who fails or says nothing is no obstacle.
func TestOneIsAskedAfterTheOther(t *testing.T) {
	bad, good := serveUpstream(t, "127.0.0.2"), serveUpstream(t, "127.0.0.3")
	l := start(t, zone, "127.0.0.2", "127.0.0.3")
	for i, answer := range []func(dns.Question, bool) *dns.Msg{
		func(dns.Question, bool) *dns.Msg { return code(dns.RcodeServerFailure) },
		func(dns.Question, bool) *dns.Msg { return code(dns.RcodeRefused) },
		func(dns.Question, bool) *dns.Msg { return nil },
	} {
		bad.say(answer)
		begin := time.Now()
		name := fmt.Sprintf("n%d.example.", i)
		says(t, name, "A", "NOERROR; "+name+" A 192.0.2.7")
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("answer %d took %s", i, took)
		}
	}
	before := bad.asked.Load()
	says(t, "next.example.", "A", "NOERROR; next.example. A 192.0.2.7")
	if bad.asked.Load() != before {
		t.Error("the one that failed is asked first again")
	}
	// A single one that loses a question is asked again.
	bad.say(func(q dns.Question, _ bool) *dns.Msg { return records(q, q.Name+" 60 IN A 192.0.2.8") })
	l.resolvConf("127.0.0.2")
	names := 0
	eventually(t, func() error { // the file was read
		names++
		name := fmt.Sprintf("name%d.example.", names)
		if got := said(ask(t, "udp", name, "A", nil)); got != "NOERROR; "+name+" A 192.0.2.8" {
			return fmt.Errorf("%s: %q", name, got)
		}
		return nil
	})
	lost := make(chan struct{}, 1)
	lost <- struct{}{}
	bad.say(func(q dns.Question, _ bool) *dns.Msg {
		select {
		case <-lost:
			return nil
		default:
			return records(q, q.Name+" 60 IN A 192.0.2.8")
		}
	})
	says(t, "lost.example.", "A", "NOERROR; lost.example. A 192.0.2.8")
	before = good.asked.Load()
	says(t, "last.example.", "A", "NOERROR; last.example. A 192.0.2.8")
	if good.asked.Load() != before {
		t.Error("one that is not the host's any more is asked")
	}
}

// TestNobodyAnswers: the client hears so before it asks again, and while it
// lasts gets what was true lately.
func TestNobodyAnswers(t *testing.T) {
	u := serveUpstream(t, "127.0.0.2")
	l := start(t, zone, "127.0.0.2")
	u.say(func(q dns.Question, _ bool) *dns.Msg { return records(q, q.Name+" 1 IN A 192.0.2.7") })
	says(t, "known.example.", "A", "NOERROR; known.example. A 192.0.2.7")
	u.say(func(dns.Question, bool) *dns.Msg { return nil })
	begin := time.Now()
	says(t, "unknown.example.", "A", "SERVFAIL")
	if took := time.Since(begin); took > 5*time.Second || took < 2*time.Second {
		t.Errorf("it took %s", took)
	}
	m := says(t, "known.example.", "A", "NOERROR; known.example. A 192.0.2.7") // its second is long over
	if ttl := m.Answer[0].Header().Ttl; ttl != 30 {
		t.Errorf("a stale answer is to be kept for %d s", ttl)
	}
	says(t, web, "A", "NOERROR; "+web+" A 10.118.7.7")
	l.resolvConf()
	saysSoon(t, "any.example.", "A", "SERVFAIL")
}

func TestTimesAreHonoured(t *testing.T) {
	u := serveUpstream(t, "127.0.0.2")
	start(t, zone, "127.0.0.2")
	for ttl, kept := range map[int]bool{0: false, 60: true} {
		u.say(func(q dns.Question, _ bool) *dns.Msg {
			return records(q, fmt.Sprintf("%s %d IN A 192.0.2.7", q.Name, ttl))
		})
		before := u.asked.Load()
		name := fmt.Sprintf("t%d.example.", ttl)
		for range 2 {
			says(t, name, "A", "NOERROR; "+name+" A 192.0.2.7")
		}
		if again := u.asked.Load()-before == 2; again == kept {
			t.Errorf("with a time of %d s it was asked %d times", ttl, u.asked.Load()-before)
		}
	}
	eventually(t, func() error {
		if ttl := ask(t, "udp", "t60.example.", "A", nil).Answer[0].Header().Ttl; ttl > 58 || ttl < 40 {
			return fmt.Errorf("what is left of 60 s is %d", ttl)
		}
		return nil
	})
}

// TestLongAnswers: cut to what a client takes by UDP, whole by TCP, also on
// the way to us.
func TestLongAnswers(t *testing.T) {
	u := serveUpstream(t, "127.0.0.2")
	start(t, zone, "127.0.0.2")
	u.say(func(q dns.Question, tcp bool) *dns.Msg {
		m := new(dns.Msg)
		if m.Truncated = !tcp; tcp {
			for i := range 100 {
				m.Answer = append(m.Answer, records(q, fmt.Sprintf("%s 60 IN A 192.0.2.%d", q.Name, i)).Answer...)
			}
		}
		return m
	})
	for _, tc := range []struct {
		network string
		size    uint16
		least   int
		most    int
	}{{"udp", 0, 10, 31}, {"udp", 1232, 40, 80}, {"udp", 4096, 40, 80}, {"tcp", 0, 100, 100}} {
		m := ask(t, tc.network, "long.example.", "A", func(m *dns.Msg) {
			if tc.size > 0 {
				m.SetEdns0(tc.size, false)
			}
		})
		if n := len(m.Answer); n < tc.least || n > tc.most || m.Truncated != (n < 100) || (m.IsEdns0() != nil) != (tc.size > 0) {
			t.Errorf("%s, %d: %d records, truncated %v, EDNS %v", tc.network, tc.size, n, m.Truncated, m.IsEdns0())
		}
	}
}

func TestWhatIsNotAnswered(t *testing.T) {
	u := serveUpstream(t, "127.0.0.2")
	start(t, zone, "127.0.0.2")
	for what, tc := range map[string]struct {
		change func(*dns.Msg)
		want   int
	}{
		"transfer":      {func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }, dns.RcodeRefused},
		"everything":    {func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeANY }, dns.RcodeRefused},
		"other class":   {func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, dns.RcodeRefused},
		"update":        {func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, dns.RcodeNotImplemented},
		"two questions": {func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, dns.RcodeFormatError},
		"no question":   {func(m *dns.Msg) { m.Question = nil }, dns.RcodeFormatError},
		"other EDNS":    {func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }, dns.RcodeBadVers},
	} {
		for _, network := range []string{"udp", "tcp"} {
			if m, err := try(network, "example.org.", "A", tc.change); err != nil || m.Rcode != tc.want {
				t.Errorf("%s by %s: %v, %v, want %s", what, network, m, err, dns.RcodeToString[tc.want])
			}
		}
	}
	if n := u.asked.Load(); n != 0 {
		t.Errorf("others were asked %d times", n)
	}
	// Garbage and answers get none, or two servers could talk for ever.
	c, err := net.Dial("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	answer := new(dns.Msg)
	answer.SetQuestion(web, dns.TypeA)
	answer.Response = true
	packed, err := answer.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range [][]byte{[]byte("x"), make([]byte, 11), slices.Concat(make([]byte, 4), []byte{0xff, 0xff}, make([]byte, 20)), packed} {
		if _, err := c.Write(message); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1000)); err == nil {
		t.Errorf("%d bytes came back", n)
	}
	says(t, web, "A", "NOERROR; "+web+" A 10.118.7.7")
}

// TestCircle: a name server of the host's that asks us in turn.
func TestCircle(t *testing.T) {
	u := serveUpstream(t, "127.0.0.2")
	start(t, zone, "127.0.0.1", "127.0.0.2") // our own address is not asked at all
	u.say(func(q dns.Question, _ bool) *dns.Msg {
		m, err := try("udp", q.Name, dns.TypeToString[q.Qtype], nil)
		if err != nil {
			return nil
		}
		return code(m.Rcode)
	})
	begin := time.Now()
	says(t, "circle.example.", "A", "SERVFAIL")
	if n := u.asked.Load(); n > 3 || time.Since(begin) > 6*time.Second {
		t.Errorf("one question made %d, and took %s", n, time.Since(begin))
	}
}

// TestOneClientIsNoBurden: one that asks without end for what nobody answers
// keeps nobody from being answered.
func TestOneClientIsNoBurden(t *testing.T) {
	u := serveUpstream(t, "127.0.0.2")
	start(t, zone, "127.0.0.2")
	u.say(func(q dns.Question, _ bool) *dns.Msg {
		if strings.HasPrefix(q.Name, "slow") {
			return nil
		}
		return records(q, q.Name+" 60 IN A 192.0.2.7")
	})
	flood, err := net.Dial("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer flood.Close()
	for i := range 5000 {
		m := new(dns.Msg)
		m.SetQuestion(fmt.Sprintf("slow%d.example.", i), dns.TypeA)
		packed, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := flood.Write(packed); err != nil {
			t.Fatal(err)
		}
	}
	// What the flood made the kernel drop is asked again, as clients do.
	other := &dns.Client{Timeout: time.Second, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP("127.0.0.9")}}}
	for _, name := range []string{web, "quick.example."} {
		eventually(t, func() error {
			m := new(dns.Msg)
			m.SetQuestion(name, dns.TypeA)
			r, _, err := other.Exchange(m, at)
			if err == nil && r.Rcode != dns.RcodeSuccess {
				t.Fatalf("%s: %v", name, r)
			}
			return err
		})
	}
	// Connections that say nothing are bounded as well.
	var conns []net.Conn
	for range 300 {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	last := conns[len(conns)-1]
	if err := last.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := last.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one client has %d connections", len(conns))
	}
	otherTCP := &dns.Client{Net: "tcp", Timeout: 10 * time.Second, Dialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.9")}}}
	m := new(dns.Msg)
	m.SetQuestion(web, dns.TypeA)
	if r, _, err := otherTCP.Exchange(m, at); err != nil || len(r.Answer) != 1 {
		t.Errorf("by TCP beside %d connections: %v, %v", len(conns), r, err)
	}
}

// TestZoneIsReadAgain: what changed is answered at once, and a zone that can't
// be read changes nothing.
func TestZoneIsReadAgain(t *testing.T) {
	l := start(t, "")
	says(t, web, "A", "SERVFAIL") // what is not known is not denied
	l.write("zone", zone)
	saysSoon(t, web, "A", "NOERROR; "+web+" A 10.118.7.7")
	l.write("zone", strings.ReplaceAll(zone, "10.118.7.7", "10.118.7.8"))
	begin := time.Now()
	saysSoon(t, web, "A", "NOERROR; "+web+" A 10.118.7.8")
	if took := time.Since(begin); took > time.Second {
		t.Errorf("it took %s", took)
	}
	l.write("zone", "rubbish")
	eventually(t, func() error {
		says(t, web, "A", "NOERROR; "+web+" A 10.118.7.8")
		if told := l.warnings(); len(told) == 0 || !strings.Contains(told[len(told)-1], "read the zone") {
			return fmt.Errorf("told %q", told)
		}
		return nil
	})
	for range 10 {
		time.Sleep(25 * time.Millisecond)
		says(t, web, "A", "NOERROR; "+web+" A 10.118.7.8")
	}
	if told := l.warnings(); len(told) > 3 { // of no zone at first, no resolv.conf, and this
		t.Errorf("told %q", told)
	}
	l.write("zone", zone)
	saysSoon(t, web, "A", "NOERROR; "+web+" A 10.118.7.7")
}

// TestBadRecords: one that can't be read is told and costs no other name.
func TestBadRecords(t *testing.T) {
	first, rest, _ := strings.Cut(zone, "\n")
	l := start(t, first+"\n_"+strings.Repeat("a", 63)+"._tcp."+web+" 5 IN SRV 0 100 80 "+web+"\nrubbish\n"+rest)
	says(t, web, "A", "NOERROR; "+web+" A 10.118.7.7")
	says(t, "a.many.default.svc.cluster.local.", "A", "NOERROR; a.many.default.svc.cluster.local. A 10.117.0.1")
	said := func() (n int) {
		for _, text := range l.warnings() {
			if strings.Contains(text, "read the zone: 2 of 15 records can't be read and are left out, the first is line 2: ") {
				n++
			}
		}
		return n
	}
	if said() != 1 {
		t.Errorf("told %q", l.warnings())
	}
	l.write("zone", first+"\n_"+strings.Repeat("a", 63)+"._tcp."+web+" 5 IN SRV 0 100 80 "+web+"\nrubbish\n"+strings.ReplaceAll(rest, "10.118.7.7", "10.118.7.8"))
	saysSoon(t, web, "A", "NOERROR; "+web+" A 10.118.7.8")
	if said() != 1 {
		t.Errorf("told of the same again: %q", l.warnings())
	}
}

// TestWithoutZone: names of others are answered all the same, and nobody is
// asked for what may be ours.
func TestWithoutZone(t *testing.T) {
	u := serveUpstream(t, "127.0.0.2")
	l := start(t, "", "127.0.0.2")
	says(t, "example.org.", "A", "NOERROR; example.org. A 192.0.2.7")
	for _, name := range []string{web, "CLUSTER.local.", "7.7.118.10.in-addr.arpa."} {
		says(t, name, "A", "SERVFAIL")
	}
	if n := u.asked.Load(); n != 1 {
		t.Errorf("others were asked %d times, want once", n)
	}
	l.write("zone", "rubbish")
	eventually(t, func() error {
		says(t, web, "A", "SERVFAIL")
		if told := strings.Join(l.warnings(), "\n"); !strings.Contains(told, "no SOA record") {
			return fmt.Errorf("told %q", told)
		}
		return nil
	})
	says(t, "example.net.", "A", "NOERROR; example.net. A 192.0.2.7")
}

// TestUnderWay: what was asked before the end is answered.
func TestUnderWay(t *testing.T) {
	u := serveUpstream(t, "127.0.0.2")
	l := start(t, zone, "127.0.0.2")
	asked := make(chan struct{}, 1)
	u.say(func(q dns.Question, _ bool) *dns.Msg {
		asked <- struct{}{}
		time.Sleep(300 * time.Millisecond)
		return records(q, q.Name+" 60 IN A 192.0.2.7")
	})
	answer := make(chan string, 1)
	go func() {
		m, err := try("udp", "slow.example.", "A", nil)
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- said(m)
	}()
	<-asked
	go func() { _ = l.stop() }()
	if got := <-answer; got != "NOERROR; slow.example. A 192.0.2.7" {
		t.Errorf("answer %q", got)
	}
}
