package names_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/network/names"
	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/test/harness"
)

func TestMain(m *testing.M) { harness.MainOfRules(m) }

const (
	// serverPort is where the server answers, nameServer where pods ask it.
	serverPort = 530
	nameServer = "10.118.0.10:53"
	web        = "web.default.svc.cluster.local."
	webIP      = "10.118.7.7"
	elsewhere  = "example.org."
)

// build builds the server once.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "podstead-names")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "podstead-names")
	cmd := exec.Command("go", "build", "-o", path, "github.com/podstead/podstead/cmd/podstead-names")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// lab is a host with a pod and an upstream name server.
type lab struct {
	*testing.T
	dir, binary string
	resolvConf  string
	pod         string // the path of its namespace
	listen      []netip.AddrPort
	statuses    chan names.Status
	stop        func()
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{T: t, dir: t.TempDir(), statuses: make(chan names.Status, 1000)}
	built, err := build()
	if err != nil {
		t.Fatal(err)
	}
	l.binary = filepath.Join(l.dir, "podstead-names")
	l.copyBinary(built)
	for _, server := range network.NameServers(network.DefaultServiceCIDRs(network.DefaultPodCIDRs())) {
		l.listen = append(l.listen, netip.AddrPortFrom(server, serverPort))
	}
	n, err := network.New(network.Config{RunDir: filepath.Join(l.dir, "run"), NamesPort: serverPort})
	if err != nil {
		t.Fatal(err)
	}
	a, err := n.Ensure(t.Context(), "a", &corev1.Pod{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(n.Remove(context.Background(), "a"), n.RemoveAll(context.Background())); err != nil {
			t.Error(err)
		}
	})
	l.pod = a.NetNS
	if err := n.Set(t.Context(), pod.NetworkConfig{Pods: []pod.PodNetwork{{UID: "a", IPs: a.IPs}}}); err != nil {
		t.Fatal(err)
	}
	l.upstream()
	return l
}

// copyBinary replaces the server's program by another file.
func (l *lab) copyBinary(from string) {
	l.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = errors.Join(os.WriteFile(l.binary+".new", content, 0o755), os.Rename(l.binary+".new", l.binary))
	}
	if err != nil {
		l.Fatal(err)
	}
}

// upstream is the host's own name server, which answers after a while.
func (l *lab) upstream() {
	l.Helper()
	dir, err := os.MkdirTemp("", "resolv") // not below the test's own folder, which only root may enter
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { _ = os.RemoveAll(dir) })
	l.resolvConf = filepath.Join(dir, "resolv.conf")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(l.resolvConf, []byte("nameserver 127.0.0.2\n"), 0o644)); err != nil {
		l.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", "127.0.0.2:53")
	if err != nil {
		l.Fatal(err)
	}
	ready := make(chan struct{})
	s := &dns.Server{PacketConn: packets, NotifyStartedFunc: func() { close(ready) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		time.Sleep(20 * time.Millisecond)
		r := new(dns.Msg)
		r.SetReply(m)
		r.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(192, 0, 2, 7)}}
		_ = w.WriteMsg(r)
	})}
	go func() { _ = s.ActivateAndServe() }()
	<-ready
	l.Cleanup(func() { _ = s.Shutdown() })
}

func (l *lab) config() names.Config {
	return names.Config{
		Dir: filepath.Join(l.dir, "names"), Binary: l.binary, Listen: l.listen, ResolvConf: l.resolvConf,
		Ranges: append(network.DefaultPodCIDRs(), network.DefaultServiceCIDRs(network.DefaultPodCIDRs())...),
		Report: func(s names.Status) { l.statuses <- s },
	}
}

func zone(ip string) pod.Zone {
	return pod.Zone{Services: []pod.NamedService{{Key: pod.Key{Namespace: "default", Name: "web"}, IPs: []string{ip}}}}
}

// podstead runs what podstead does for names until the next one does, or the
// test ends. It returns the PID of the server.
func (l *lab) podstead(cfg names.Config) (keeper *names.Keeper, pid int) {
	l.Helper()
	if l.stop != nil {
		l.stop()
	} else {
		l.Cleanup(func() {
			l.stop()
			if err := names.New(l.config()).Stop(context.Background()); err != nil {
				l.Error(err)
			}
		})
	}
	for len(l.statuses) > 0 {
		<-l.statuses
	}
	keeper = names.New(cfg)
	if err := keeper.Set(zone(webIP)); err != nil {
		l.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- keeper.Run(ctx) }()
	l.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			l.Errorf("Run ended with %v", err)
		}
	})
	return keeper, l.running(0)
}

// running waits for a server that is not the one before, and returns its PID.
func (l *lab) running(before int) int {
	l.Helper()
	for deadline := time.After(time.Minute); ; {
		select {
		case s := <-l.statuses:
			if s.PID != 0 && s.PID != before && s.Err == nil {
				return s.PID
			}
		case <-deadline:
			l.Fatal("there is no server")
		}
	}
}

// ask asks from the pod, once.
func (l *lab) ask(name string, wait time.Duration) (*dns.Msg, error) {
	var answer *dns.Msg
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		ns, err := os.Open(l.pod)
		if err == nil {
			err = errors.Join(unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET), ns.Close())
		}
		if err == nil {
			m := new(dns.Msg)
			m.SetQuestion(name, dns.TypeA)
			answer, _, err = (&dns.Client{Timeout: wait}).Exchange(m, nameServer)
		}
		done <- err
	}()
	err := <-done
	return answer, err
}

func (l *lab) says(name, want string) {
	l.Helper()
	eventually(l.T, func() error {
		m, err := l.ask(name, time.Second)
		if err != nil {
			return err
		}
		if m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 || !strings.HasSuffix(m.Answer[0].String(), "\t"+want) {
			return fmt.Errorf("%s: %v, want %s", name, m, want)
		}
		return nil
	})
}

func eventually(t *testing.T, condition func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// load is what became of questions that were asked a hundred times a second,
// by turns for a Service and for another name.
type load struct {
	mu                  sync.Mutex
	asked, lost, failed int
	slowest             time.Duration
	under               sync.WaitGroup
	end                 chan struct{}
	ticking             sync.WaitGroup
}

func (l *lab) burden() *load {
	b := &load{end: make(chan struct{})}
	b.ticking.Go(func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-b.end:
				return
			case <-ticker.C:
			}
			name := []string{web, fmt.Sprintf("n%d.%s", i, elsewhere)}[i%2]
			b.under.Go(func() {
				begin := time.Now()
				m, err := l.ask(name, 5*time.Second)
				b.mu.Lock()
				defer b.mu.Unlock()
				b.asked++
				b.slowest = max(b.slowest, time.Since(begin))
				switch {
				case err != nil:
					b.lost++
				case m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1:
					b.failed++
				}
			})
		}
	})
	return b
}

// finish ends the load and tells what became of it.
func (b *load) finish() string {
	close(b.end)
	b.ticking.Wait()
	b.under.Wait()
	return fmt.Sprintf("%d asked, %d lost, %d failed, the slowest took %s", b.asked, b.lost, b.failed, b.slowest)
}
