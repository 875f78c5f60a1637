package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/podstead/podstead/network/names/handover"
	"github.com/podstead/podstead/network/names/server"
	"github.com/podstead/podstead/test/harness"
)

// The tests have a loopback of their own.
func TestMain(m *testing.M) { harness.Main(m) }

// at is where the server under test answers.
const at = "127.0.0.1:530"

const zone = `cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5
118.10.in-addr.arpa. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5
web.default.svc.cluster.local. 5 IN A 10.118.7.7
_http._tcp.web.default.svc.cluster.local. 5 IN SRV 0 100 80 web.default.svc.cluster.local.
7.7.118.10.in-addr.arpa. 5 IN PTR web.default.svc.cluster.local.
db.default.svc.cluster.local. 5 IN CNAME db.example.org.
alias.default.svc.cluster.local. 5 IN CNAME web.default.svc.cluster.local.
nowhere.default.svc.cluster.local. 5 IN CNAME none.default.svc.cluster.local.
circle.default.svc.cluster.local. 5 IN CNAME circle.default.svc.cluster.local.
many.default.svc.cluster.local. 5 IN A 10.117.0.1
many.default.svc.cluster.local. 5 IN A 10.117.0.2
many.default.svc.cluster.local. 5 IN A 10.117.0.3
a.many.default.svc.cluster.local. 5 IN A 10.117.0.1
`

// lab is a server that runs, and whoever it asks.
type lab struct {
	*testing.T
	dir  string
	stop func() error

	mu   sync.Mutex
	told []string
}

// start runs a server whose host asks the given servers.
func start(t *testing.T, zone string, upstreams ...string) *lab {
	t.Helper()
	l := &lab{T: t, dir: t.TempDir()}
	if zone != "" {
		l.write(handover.ZoneFile, zone)
	}
	l.resolvConf(upstreams...)
	settings, err := json.Marshal(handover.Settings{Listen: []netip.AddrPort{netip.MustParseAddrPort(at)}, ResolvConf: filepath.Join(l.dir, "resolv.conf"), Own: []string{"cluster.local.", "118.10.in-addr.arpa."}})
	if err != nil {
		t.Fatal(err)
	}
	l.write(handover.SettingsFile, string(settings))
	l.run()
	return l
}

func (l *lab) run() {
	l.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- server.Run(ctx, server.Config{Dir: l.dir, Warn: func(err error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.told = append(l.told, err.Error())
		}})
	}()
	l.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	l.Cleanup(func() {
		if err := l.stop(); !errors.Is(err, context.Canceled) {
			l.Errorf("Run ended with %v", err)
		}
	})
	eventually(l.T, func() error {
		c, err := net.Dial("tcp", at)
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

func (l *lab) warnings() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.told...)
}

// write replaces a file as a whole.
func (l *lab) write(name, text string) {
	l.Helper()
	path := filepath.Join(l.dir, name)
	if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o644), os.Rename(path+".new", path)); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) resolvConf(upstreams ...string) {
	l.Helper()
	text := "search example.org\noptions ndots:2\n"
	for _, ip := range upstreams {
		text += "nameserver " + ip + "\n"
	}
	l.write("resolv.conf", text)
}

// upstream is a name server of the host's, on port 53 of an address.
type upstream struct {
	asked atomic.Int64
	// answer may be changed while it runs; nil for silence.
	answer atomic.Pointer[func(q dns.Question, tcp bool) *dns.Msg]
}

func (u *upstream) say(answer func(q dns.Question, tcp bool) *dns.Msg) { u.answer.Store(&answer) }

// serveUpstream answers as u says.
func serveUpstream(t *testing.T, ip string) *upstream {
	t.Helper()
	u := &upstream{}
	u.say(func(q dns.Question, _ bool) *dns.Msg { return records(q, q.Name+" 60 IN A 192.0.2.7") })
	packets, err := net.ListenPacket("udp", ip+":53")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", ip+":53")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: packets}, {Listener: listener}} {
		s.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
			u.asked.Add(1)
			r := (*u.answer.Load())(m.Question[0], s.Listener != nil)
			if r == nil {
				return
			}
			rcode, truncated, question := r.Rcode, r.Truncated, r.Question
			r.SetReply(m)
			r.Rcode, r.Truncated = rcode, truncated
			if len(question) > 0 {
				r.Question = question
			}
			_ = w.WriteMsg(r)
		})
		ready := make(chan struct{})
		s.NotifyStartedFunc = func() { close(ready) }
		go func() { _ = s.ActivateAndServe() }()
		<-ready
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return u
}

// records is an answer with these records; those of type SOA stand for that
// there is none.
func records(q dns.Question, texts ...string) *dns.Msg {
	m := new(dns.Msg)
	for _, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		switch rr.Header().Rrtype {
		case dns.TypeSOA:
			m.Ns = append(m.Ns, rr)
		case q.Qtype, dns.TypeCNAME:
			m.Answer = append(m.Answer, rr)
		}
	}
	return m
}

func code(rcode int, texts ...string) *dns.Msg {
	m := records(dns.Question{}, texts...)
	m.Rcode = rcode
	return m
}

// ask asks the server under test and returns its answer.
func ask(t *testing.T, network, name, kind string, change func(*dns.Msg)) *dns.Msg {
	t.Helper()
	m, err := try(network, name, kind, change)
	if err != nil {
		t.Fatalf("%s %s: %v", name, kind, err)
	}
	return m
}

func try(network, name, kind string, change func(*dns.Msg)) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(name, dns.StringToType[kind])
	if change != nil {
		change(m)
	}
	c := &dns.Client{Net: network, Timeout: 10 * time.Second}
	r, _, err := c.Exchange(m, at)
	return r, err
}

// said is what an answer says: its code, its records without times, and flags.
func said(m *dns.Msg) string {
	words := []string{dns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		fields := strings.Fields(rr.String())
		words = append(words, fields[0]+" "+strings.Join(fields[3:], " "))
	}
	return strings.Join(words, "; ")
}

// says fails the test unless the server answers so.
func says(t *testing.T, name, kind, want string) *dns.Msg {
	t.Helper()
	m := ask(t, "udp", name, kind, nil)
	if got := said(m); got != want {
		t.Errorf("%s %s: %q, want %q", name, kind, got, want)
	}
	return m
}

func eventually(t *testing.T, condition func() error) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func saysSoon(t *testing.T, name, kind, want string) {
	t.Helper()
	eventually(t, func() error {
		if got := said(ask(t, "udp", name, kind, nil)); got != want {
			return fmt.Errorf("%s %s: %q, want %q", name, kind, got, want)
		}
		return nil
	})
}
