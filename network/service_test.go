package network_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/network"
	"github.com/podstead/podstead/pod"
)

// Addresses and ports of the Service of most tests.
const (
	cluster4, cluster6 = "10.118.7.7", "fd5b:3c1e:9a27:118::77"
	servicePort        = 8000
	nodePort           = 30080
)

// service is TCP and UDP at one port with endpoints at port 80.
func service(endpoints ...string) pod.Service {
	s := pod.Service{Key: pod.Key{Namespace: "default", Name: "web"}, ClusterIPs: []string{cluster4, cluster6}, HostIPs: []string{host4, host6, "127.0.0.1"}}
	for _, proto := range []corev1.Protocol{"TCP", "UDP"} {
		p := pod.ServicePort{Name: "web-" + strings.ToLower(string(proto)), Protocol: proto, Port: servicePort, NodePort: nodePort}
		for _, ip := range endpoints {
			p.Endpoints = append(p.Endpoints, pod.Endpoint{IP: ip, Port: 80})
		}
		s.Ports = append(s.Ports, p)
	}
	return s
}

// with is a configuration of pods and Services.
func with(pods []node, services ...pod.Service) pod.NetworkConfig {
	var c pod.NetworkConfig
	for _, n := range pods {
		c.Pods = append(c.Pods, pod.PodNetwork{UID: n.uid, IPs: []string{n.v4, n.v6}})
	}
	c.Services = services
	return c
}

func (l *lab) offer(pods []node, services ...pod.Service) {
	l.Helper()
	if err := l.Set(l.Context(), with(pods, services...)); err != nil {
		l.Fatal(err)
	}
}

// TestServiceReachability is the table of docs/services.md: from where a
// Service answers, and whom its pod sees.
func TestServiceReachability(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	l.offer([]node{a, b}, service(a.v4, a.v6))
	const own4, own6 = "10.118.0.10", "fd5b:3c1e:9a27:118::a"
	for _, proto := range []string{"tcp", "udp"} {
		for _, tc := range []struct {
			what, from, to string
			seen           string
		}{
			{"pod to cluster IP", b.path, at(cluster4, servicePort), b.v4},
			{"pod to cluster IP, IPv6", b.path, at(cluster6, servicePort), b.v6},
			{"pod to its own Service", a.path, at(cluster4, servicePort), "169.254.1.1"},
			{"pod to its own Service, IPv6", a.path, at(cluster6, servicePort), "fe80::1"},
			{"host to cluster IP", host, at(cluster4, servicePort), own4},
			{"host to cluster IP, IPv6", host, at(cluster6, servicePort), own6},
			{"outside to load balancer", l.outside, at(host4, servicePort), outside4},
			{"outside to load balancer, IPv6", l.outside, at(host6, servicePort), outside6},
			{"host to load balancer", host, at(host4, servicePort), host4},
			{"host to load balancer on loopback", host, at("127.0.0.1", servicePort), "169.254.1.1"},
			{"pod to load balancer", b.path, at(host4, servicePort), b.v4},
			{"pod to its own load balancer, IPv6", a.path, at(host6, servicePort), "fe80::1"},
			{"outside to node port", l.outside, at(host4, nodePort), outside4},
			{"outside to node port, IPv6", l.outside, at(host6, nodePort), outside6},
			{"host to node port", host, at(host4, nodePort), host4},
			{"host to node port, IPv6", host, at(host6, nodePort), host6},
			{"host to node port on loopback", host, at("127.0.0.1", nodePort), "169.254.1.1"},
			{"pod to node port", b.path, at(host4, nodePort), b.v4},
			{"pod to node port, IPv6", b.path, at(host6, nodePort), b.v6},
			{"pod to node port of its gateway", b.path, at("169.254.1.1", nodePort), b.v4},
			{"pod to its own node port", a.path, at(host4, nodePort), "169.254.1.1"},
			{"pod to its own node port, IPv6", a.path, at(host6, nodePort), "fe80::1"},
		} {
			t.Run(proto+" "+tc.what, func(t *testing.T) {
				if from := reaches(t, tc.from, proto, tc.to, "a"); from != tc.seen {
					t.Errorf("the pod saw %s, want %s", from, tc.seen)
				}
			})
		}
		silent(t, b.path, proto, at("127.0.0.1", nodePort))
		silent(t, b.path, proto, at("127.0.0.1", servicePort))
		refusesAtOnce(t, host, proto, at("::1", servicePort))
	}
}

// refusesAtOnce fails the test unless a connection is refused within a second.
func refusesAtOnce(t *testing.T, path, proto, address string) {
	t.Helper()
	start, wait := time.Now(), patience
	if proto == "udp" {
		wait = silence
	}
	got, err := ask(path, proto, address, wait)
	for proto == "udp" && errors.Is(err, os.ErrDeadlineExceeded) && time.Since(start) < 2*patience {
		start = time.Now() // The kernel tells one sender about once a second.
		got, err = ask(path, proto, address, wait)
	}
	// What the kernel does not even send is not permitted.
	forbidden := proto == "udp" && errors.Is(err, syscall.EPERM)
	if took := time.Since(start); !errors.Is(err, syscall.ECONNREFUSED) && !forbidden || took > time.Second {
		t.Errorf("%s %s: %q, %v after %s, want connection refused at once", proto, address, got, err, took)
	}
}

// TestServiceRefusesAtOnce: whoever asks for what nobody serves hears so, even
// where a firewall of the host drops without a word.
func TestServiceRefusesAtOnce(t *testing.T) {
	l := newLab(t, network.Config{})
	nft(t, `table inet strict {
		chain in { type filter hook input priority 0
		policy drop
		ct state established,related accept
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
		}
		chain through { type filter hook forward priority 0
		policy drop
		}
	}`)
	a := l.pod("a")
	empty, half := service(), service(a.v4)
	half.Key.Name, half.ClusterIPs, half.HostIPs = "half", []string{"10.118.7.8", "fd5b:3c1e:9a27:118::78"}, nil
	for i := range half.Ports {
		half.Ports[i].NodePort = 30081
	}
	l.offer([]node{a}, empty, half)
	for _, proto := range []string{"tcp", "udp"} {
		for what, to := range map[string]string{
			"cluster IP": at(cluster4, servicePort), "cluster IP, IPv6": at(cluster6, servicePort),
			"unknown port": at(cluster4, 9999), "unknown port, IPv6": at(cluster6, 9999),
			"address of no Service": at("10.118.200.1", 80), "address of no Service, IPv6": at("fd5b:3c1e:9a27:118::1234", 80),
			"no endpoint of this family": at("fd5b:3c1e:9a27:118::78", servicePort),
			"node port":                  at(host4, nodePort), "node port, IPv6": at(host6, nodePort),
			"node port, no endpoint of this family": at(host6, 30081),
			"load balancer":                         at(host4, servicePort), "load balancer, IPv6": at(host6, servicePort),
		} {
			t.Run(proto+" pod to "+what, func(t *testing.T) { refusesAtOnce(t, a.path, proto, to) })
			t.Run(proto+" host to "+what, func(t *testing.T) { refusesAtOnce(t, host, proto, to) })
			if strings.HasPrefix(to, host4) || strings.HasPrefix(to, "["+host6) {
				t.Run(proto+" outside to "+what, func(t *testing.T) { refusesAtOnce(t, l.outside, proto, to) })
			}
		}
		refusesAtOnce(t, host, proto, at("127.0.0.1", nodePort))
		refusesAtOnce(t, host, proto, at("::1", nodePort))
		refusesAtOnce(t, host, proto, at("::1", 30081))
	}
}

// TestRefusalsAreNotRemembered: whoever was refused is led to what serves later,
// though it asks from the same port.
func TestRefusalsAreNotRemembered(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	pods := []node{a, b}
	type way struct{ path, to string }
	var ways []way
	for _, to := range []string{at(host4, nodePort), at(host6, nodePort), at(host4, servicePort), at(host6, servicePort)} {
		ways = append(ways, way{host, to}, way{b.path, to}, way{l.outside, to})
	}
	for _, to := range []string{at(cluster4, servicePort), at(cluster6, servicePort)} {
		ways = append(ways, way{host, to}, way{b.path, to})
	}
	ways = append(ways, way{host, at("127.0.0.1", nodePort)}, way{host, at("127.0.0.1", servicePort)})
	dial := func(w way, from int) error {
		return try(w.path, func() error {
			d := net.Dialer{LocalAddr: &net.TCPAddr{Port: from}, Timeout: patience}
			c, err := d.Dial("tcp", w.to)
			if err == nil {
				err = c.Close()
			}
			return err
		})
	}
	l.offer(pods, service())
	for i, w := range ways {
		if err := dial(w, 20000+i); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s from %s without endpoints: %v, want it refused", w.to, w.path, err)
		}
	}
	l.offer(pods, service(a.v4, a.v6))
	for i, w := range ways {
		if err := dial(w, 20000+i); err != nil {
			t.Errorf("%s from %s with an endpoint: %v", w.to, w.path, err)
		}
	}
}

// TestClusterIPIsNoHost: it answers no ping, and a program of the host that
// listens on all addresses is not behind it.
func TestClusterIPIsNoHost(t *testing.T) {
	l := newLab(t, network.Config{})
	a := l.pod("a")
	serve(t, host, ":9100", "host")
	l.open(map[node][]pod.PortMapping{a: both("", 9101, 80)})
	serve(t, a.path, ":80", "a")
	c := with([]node{a}, service(a.v4, a.v6))
	c.Pods[0].Ports = both("", 9101, 80)
	if err := l.Set(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{a.path, host} {
		for _, ip := range []string{cluster4, cluster6, "10.118.0.10", "fd5b:3c1e:9a27:118::a"} {
			for _, port := range []int{9100, 9101, nodePort, 22} {
				refusesAtOnce(t, from, "tcp", at(ip, port))
			}
			if err := ping(from, ip); err == nil {
				t.Errorf("%s answers a ping", ip)
			}
		}
	}
	if err := ping(a.path, host4); err != nil {
		t.Errorf("the host answers no ping: %v", err)
	}
	if err := ping(a.path, host6); err != nil {
		t.Errorf("the host answers no ping by IPv6: %v", err)
	}
}

// ping sends an echo request and waits for the answer.
func ping(path, ip string) error {
	proto, request, reply := "ip4:icmp", byte(8), byte(0)
	if isV6(ip) {
		proto, request, reply = "ip6:ipv6-icmp", 128, 129
	}
	return try(path, func() error {
		c, err := net.Dial(proto, ip)
		if err != nil {
			return err
		}
		defer c.Close()
		message := []byte{request, 0, 0, 0, 0x12, 0x34, 0, 1}
		if !isV6(ip) { // the kernel does it for IPv6
			sum := ^(uint16(request)<<8 + 0x1234 + 1)
			message[2], message[3] = byte(sum>>8), byte(sum)
		}
		if _, err := c.Write(message); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		for buf := make([]byte, 1500); ; {
			k, _, err := c.(*net.IPConn).ReadFrom(buf)
			if err != nil {
				return err
			}
			if k >= 8 && buf[0] == reply && buf[4] == 0x12 && buf[5] == 0x34 {
				return nil
			}
		}
	})
}

// TestPolicyPlace: rules there are about what is forwarded, after addresses of
// Services became those of pods; the host's probes pass whatever they say.
func TestPolicyPlace(t *testing.T) {
	l := newLab(t, network.Config{})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	l.offer([]node{a, b}, service(a.v4, a.v6))
	nft(t, "add rule "+strings.Join(ourTable(t), " ")+" network-policy ip daddr "+a.v4+" drop")
	silent(t, b.path, "tcp", at(cluster4, servicePort))
	silent(t, b.path, "tcp", at(a.v4, 80))
	silent(t, l.outside, "tcp", at(host4, nodePort))
	reaches(t, host, "tcp", at(a.v4, 80), "a")
	reaches(t, host, "tcp", at(cluster4, servicePort), "a")
	reaches(t, b.path, "tcp", at(cluster6, servicePort), "a")
}

func TestSetLeavesOutWhatItCannotUseOfServices(t *testing.T) {
	l := newLab(t, network.Config{})
	a := l.pod("a")
	serve(t, a.path, ":80", "a")
	bad := service(a.v4, "nobody")
	bad.ClusterIPs, bad.HostIPs = []string{outside4, "here", cluster4}, []string{"there", host4}
	second := service(a.v6)
	second.Key.Name, second.HostIPs = "second", []string{host4, host6}
	err := l.Set(t.Context(), with([]node{a}, bad, second))
	for _, want := range []string{"Service default/web: cluster IP 192.0.2.2 is in none of the ranges of Services (10.118.0.0/16, fd5b:3c1e:9a27:118::/112)", `"here" is no IP`, `"nobody" is no IP`, `"there" is no IP`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Set = %v, want %s named", err, want)
		}
	}
	reaches(t, host, "tcp", at(cluster4, servicePort), "a") // the first that has it
	reaches(t, host, "tcp", at(cluster6, servicePort), "a")
	reaches(t, l.outside, "tcp", at(host4, nodePort), "a")
	serve(t, l.outside, ":8000", "outside")
	reaches(t, host, "tcp", at(outside4, servicePort), "outside") // nobody's address is taken
	thief := service(a.v4)
	thief.ClusterIPs, thief.HostIPs = []string{host4}, nil
	if err := l.Set(t.Context(), with([]node{a}, thief)); err == nil || !strings.Contains(err.Error(), host4) {
		t.Errorf("Set = %v, want %s named", err, host4)
	}
	silent(t, l.outside, "tcp", at(host4, servicePort))
}

// TestServicesLeadToNothingThatIsGuarded: a manifest must not open to pods and
// to the outside what they can't reach themselves.
func TestServicesLeadToNothingThatIsGuarded(t *testing.T) {
	l := newLab(t, network.Config{})
	a := l.pod("a")
	got := make(chan string, 100)
	for _, ip := range []string{"127.0.0.1", "::1"} {
		record(t, host, at(ip, 80), got)
	}
	forbidden := []string{"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fd00:ec2::254", "169.254.1.1", "fe80::1", "0.0.0.0", "::", "224.0.0.1"}
	err := l.Set(t.Context(), with([]node{a}, service(forbidden...)))
	for _, ip := range forbidden {
		if err == nil || !strings.Contains(err.Error(), "endpoint "+ip+" is on the host's loopback or") {
			t.Errorf("Set = %v, want %s named", err, ip)
		}
	}
	for from, to := range map[string]string{a.path: cluster4, l.outside: host4, host: cluster4} {
		for _, proto := range []string{"tcp", "udp"} {
			refusesAtOnce(t, from, proto, at(to, servicePort))
		}
	}
	record(t, a.path, ":7777", got)
	send(t, host, "", at(a.v4, 7777), "good")
	onlyArrives(t, got, "good")
}

func TestFlushedServicesComeBack(t *testing.T) {
	l := newLab(t, network.Config{})
	a := l.pod("a")
	serve(t, a.path, ":80", "a")
	l.offer([]node{a}, service(a.v4, a.v6))
	l.run()
	damages := []func(){
		func() { nft(t, "flush ruleset") },
		func() { nft(t, "flush map "+strings.Join(ourTable(t), " ")+" services4") },
		func() { run(t, "ip", "addr", "del", "10.118.0.10/32", "dev", "lo") },
		func() { run(t, "ip", "route", "del", "10.118.0.0/16") },
		func() {
			run(t, "ip", "-6", "route", "del", "local", "fd5b:3c1e:9a27:118::/112", "dev", "lo", "table", "local")
		},
	}
	quickest := time.Hour
	for i, damage := range slices.Concat(damages, damages) {
		damage()
		start := time.Now()
		eventually(t, 4*patience, func() error {
			for _, ip := range []string{cluster4, cluster6} {
				if got, err := ask(host, "tcp", at(ip, servicePort), silence); err != nil || !strings.HasPrefix(got, "a ") {
					return fmt.Errorf("damage %d: %q, %v", i, got, err)
				}
			}
			return nil
		})
		quickest = min(quickest, time.Since(start))
	}
	if quickest > time.Second {
		t.Errorf("it took %s at best", quickest)
	}
}

func TestForwarderServesNodePorts(t *testing.T) {
	l := newLab(t, network.Config{LoopbackForwarder: true})
	a, b := l.pod("a"), l.pod("b")
	serve(t, a.path, ":80", "a")
	serve(t, b.path, ":80", "b")
	l.run()
	for _, ip := range []string{a.v4, b.v6} {
		l.offer([]node{a, b}, service(ip))
		want := map[string]string{a.v4: "a", b.v6: "b"}[ip]
		eventually(t, patience, func() error {
			got, err := ask(host, "tcp", at("::1", nodePort), patience)
			if err == nil && !strings.HasPrefix(got, want+" ") {
				err = fmt.Errorf("%q answers, want %s", got, want)
			}
			return err
		})
	}
	refusesAtOnce(t, host, "udp", at("::1", nodePort))
}
