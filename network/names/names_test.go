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
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/network/names"
)

// TestNamesAreServed: what is set is answered at once, from a pod.
func TestNamesAreServed(t *testing.T) {
	l := newLab(t)
	keeper, pid := l.podstead(l.config())
	l.says(web, webIP)
	l.says(elsewhere, "192.0.2.7")
	if err := keeper.Set(zone("10.118.7.8")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // what Set promises
	m, err := l.ask(web, 5*time.Second)
	if err != nil || len(m.Answer) != 1 || !strings.HasSuffix(m.Answer[0].String(), "10.118.7.8") {
		t.Errorf("after Set: %v, %v", m, err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Name:\tpodstead-names\n", "Uid:\t65534\t65534\t65534\t65534\n", "Gid:\t65534\t65534\t65534\t65534\n", "Groups:\t \n", "CapPrm:\t0000000000000000\n", "NoNewPrivs:\t1\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the server has not %q:\n%s", want, status)
		}
	}
}

// unharmed runs something under load, and fails the test if any question was
// lost or failed. Nothing may take a second; since the machine of a test may
// be busy, that counts if it is so each time.
func (l *lab) unharmed(what string, disturb func(try int)) {
	l.Helper()
	for try := 0; ; try++ {
		b := l.burden()
		time.Sleep(500 * time.Millisecond)
		disturb(try)
		time.Sleep(500 * time.Millisecond)
		result := b.finish()
		l.Logf("%s: %s", what, result)
		if b.lost+b.failed > 0 || b.asked < 20 {
			l.Fatalf("%s: %s", what, result)
		}
		if b.slowest < time.Second {
			return
		}
		if try == 4 {
			l.Fatalf("%s: each time something took a second; now %s", what, result)
		}
	}
}

// TestRestartOfPodstead: the server goes on, and so does one whose podstead
// was away for longer.
func TestRestartOfPodstead(t *testing.T) {
	l := newLab(t)
	_, pid := l.podstead(l.config())
	l.says(web, webIP)
	l.unharmed("restart of podstead", func(int) {
		l.stop()
		time.Sleep(time.Second)
		if _, now := l.podstead(l.config()); now != pid {
			t.Errorf("the server is process %d now, was %d", now, pid)
		}
	})
}

// TestUpgrade: a server whose program was replaced hands over to a new one.
func TestUpgrade(t *testing.T) {
	l := newLab(t)
	_, pid := l.podstead(l.config())
	l.says(web, webIP)
	l.unharmed("upgrade", func(int) {
		l.stop()
		l.copyBinary(l.binary)
		_, now := l.podstead(l.config())
		if now == pid {
			t.Error("the server before the upgrade goes on")
		}
		pid = now
	})
	if n := servers(t, l); n != 1 {
		t.Errorf("there are %d servers", n)
	}
}

// servers counts the servers of a lab.
func servers(t *testing.T, l *lab) int {
	t.Helper()
	n := 0
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if args, err := os.ReadFile("/proc/" + e.Name() + "/cmdline"); err == nil && strings.Contains(string(args), filepath.Join(l.dir, "names")) {
			n++
		}
	}
	return n
}

// TestServerIsKilled: another one is started at once, and answers what was
// asked meanwhile. What the dead one had begun to answer is lost.
func TestServerIsKilled(t *testing.T) {
	l := newLab(t)
	_, pid := l.podstead(l.config())
	l.says(web, webIP)
	for try := 0; ; try++ {
		b := l.burden()
		time.Sleep(300 * time.Millisecond)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		pid = l.running(pid)
		time.Sleep(300 * time.Millisecond)
		result := b.finish()
		t.Log(result)
		if b.failed > 0 || b.lost > 10 {
			t.Fatal(result)
		}
		if b.lost < 10 {
			break
		}
		if try == 4 {
			t.Fatal(result)
		}
	}
	// Also one that dies while there is no podstead, when the next one comes.
	l.stop()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.podstead(l.config())
	l.says(web, webIP)
}

// TestServerMoves: other addresses after a restart are served by another one.
func TestServerMoves(t *testing.T) {
	l := newLab(t)
	l.podstead(l.config())
	l.says(web, webIP)
	cfg := l.config()
	cfg.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.3:53")}
	l.podstead(cfg)
	eventually(t, func() error {
		m := new(dns.Msg)
		m.SetQuestion(web, dns.TypeA)
		r, _, err := (&dns.Client{Timeout: time.Second}).Exchange(m, "127.0.0.3:53")
		if err == nil && len(r.Answer) != 1 {
			err = fmt.Errorf("answer %v", r)
		}
		return err
	})
	if n := servers(t, l); n != 1 {
		t.Errorf("there are %d servers", n)
	}
}

// TestStop: the server ends when nobody needs names any more, and leaves its
// port to others.
func TestStop(t *testing.T) {
	l := newLab(t)
	keeper, _ := l.podstead(l.config())
	l.says(web, webIP)
	l.stop()
	if err := keeper.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := servers(t, l); n != 0 {
		t.Errorf("there are %d servers", n)
	}
	c, err := net.ListenPacket("udp", l.listen[0].String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

// TestTroubleIsTold: a program that can't be started, until it can.
func TestTroubleIsTold(t *testing.T) {
	l := newLab(t)
	built := l.binary + ".put aside"
	if err := os.Rename(l.binary, built); err != nil {
		t.Fatal(err)
	}
	keeper := names.New(l.config())
	if err := keeper.Set(zone(webIP)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- keeper.Run(ctx) }()
	defer func() {
		cancel()
		if err := errors.Join(<-done, keeper.Stop(context.Background())); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	for s := range l.statuses {
		if s.Err != nil {
			if !strings.Contains(s.Err.Error(), "podstead-names: no such file") || s.PID != 0 {
				t.Errorf("status %+v", s)
			}
			break
		}
	}
	if err := os.Rename(built, l.binary); err != nil {
		t.Fatal(err)
	}
	l.running(0)
	l.says(web, webIP)
}

// TestOthersSayNothing: what another process writes to the socket does not
// count, whoever it is.
func TestOthersSayNothing(t *testing.T) {
	l := newLab(t)
	_, pid := l.podstead(l.config())
	l.says(web, webIP)
	stranger, err := net.ListenPacket("udp", "127.0.0.4:530")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	f, err := stranger.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	for _, name := range []string{"udp-10.118.0.10.530", "tcp-10.118.0.10.530"} {
		for _, message := range []string{"FDSTOREREMOVE=1\nFDNAME=" + name, "FDSTORE=1\nFDNAME=" + name} {
			to := &unix.SockaddrUnix{Name: filepath.Join(l.dir, "names", "notify.sock")}
			if err := unix.Sendmsg(socket, []byte(message), unix.UnixRights(int(f.Fd())), to, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.running(pid)
	l.says(web, webIP)
}

// TestBelowAServiceManager: it keeps the sockets while there is no server, as
// systemd does, and what was asked meanwhile is answered by the next one.
func TestBelowAServiceManager(t *testing.T) {
	l := newLab(t)
	cfg := l.config()
	cfg.Supervised = true
	keeper := names.New(cfg)
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(l.dir, "manager"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	var stored []*os.File
	start := func() *exec.Cmd {
		cmd := exec.Command(l.binary, "--dir", cfg.Dir)
		cmd.ExtraFiles, cmd.Stderr = stored, os.Stderr
		cmd.Env = []string{fmt.Sprintf("LISTEN_FDS=%d", len(stored)), "NOTIFY_SOCKET=" + filepath.Join(l.dir, "manager")}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		return cmd
	}
	hear := func() (status string) {
		t.Helper()
		if err := manager.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		for buf, control := make([]byte, 1000), make([]byte, 1000); ; {
			n, k, _, _, err := manager.ReadMsgUnix(buf, control)
			if err != nil {
				t.Fatal(err)
			}
			if ready, status, _ := strings.Cut(string(buf[:n]), "\nSTATUS="); ready == "READY=1" {
				return status
			}
			messages, err := unix.ParseSocketControlMessage(control[:k])
			if err != nil || len(messages) != 1 || !strings.HasPrefix(string(buf[:n]), "FDSTORE=1\nFDNAME=") {
				t.Fatalf("heard %q with %d messages, %v", buf[:n], len(messages), err)
			}
			fds, err := unix.ParseUnixRights(&messages[0])
			if err != nil {
				t.Fatal(err)
			}
			for _, fd := range fds {
				stored = append(stored, os.NewFile(uintptr(fd), "stored"))
			}
		}
	}
	first := start()
	// A boot does not wait for it while podstead says nothing.
	if status := hear(); !strings.Contains(status, "waits for podstead") || len(stored) > 0 {
		t.Errorf("it is ready before podstead says anything: %q, %d sockets", status, len(stored))
	}
	if err := keeper.Set(zone(webIP)); err != nil {
		t.Fatal(err)
	}
	if status := hear(); status != "answers pods" {
		t.Errorf("it says %q, want that it answers", status)
	}
	if len(stored) != 2*len(l.listen) {
		t.Fatalf("%d sockets were handed over, want %d", len(stored), 2*len(l.listen))
	}
	l.says(web, webIP)
	if err := errors.Join(first.Process.Kill(), ignoreExit(first.Wait())); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		m, err := l.ask(web, time.Minute)
		if err == nil && len(m.Answer) != 1 {
			err = fmt.Errorf("answer %v", m)
		}
		answered <- err
	}()
	time.Sleep(300 * time.Millisecond)
	start()
	hear()
	if err := <-answered; err != nil {
		t.Errorf("what was asked while there was no server: %v", err)
	}
	if len(stored) != 2*len(l.listen) {
		t.Errorf("there are %d sockets now", len(stored))
	}
}

func ignoreExit(err error) error {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil
	}
	return err
}
