package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/network/names/handover"
)

// sockets are what questions come through, for each address one of UDP and
// one of TCP.
type sockets struct {
	udp []*net.UDPConn
	tcp []*net.TCPListener
}

func (s *sockets) close() {
	for _, c := range s.udp {
		_ = c.Close()
	}
	for _, l := range s.tcp {
		_ = l.Close()
	}
}

// handed are the sockets that were handed over, by name, as
// systemd does it (sd_listen_fds(3)).
func handed() map[string]*os.File {
	files := map[string]*os.File{}
	if pid := os.Getenv("LISTEN_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return files
	}
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	for fd := 3; fd < 3+n; fd++ {
		unix.CloseOnExec(fd)
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		if err != nil {
			continue
		}
		name, err := unix.Getsockname(fd)
		if err != nil {
			continue
		}
		if at := addressOf(name); at.IsValid() {
			files[handover.SocketName(map[int]string{unix.SOCK_DGRAM: "udp", unix.SOCK_STREAM: "tcp"}[kind], at)] = os.NewFile(uintptr(fd), at.String())
		}
	}
	return files
}

func addressOf(name unix.Sockaddr) netip.AddrPort {
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// open takes the sockets that were handed over and makes those that were not.
// It tells which it made, for whoever is to keep them; what was handed over
// and is not needed is closed.
func open(ctx context.Context, listen []netip.AddrPort, handed map[string]*os.File) (_ *sockets, fresh map[string]syscall.Conn, err error) {
	s := &sockets{}
	fresh = map[string]syscall.Conn{}
	defer func() {
		taken := s.all()
		for name, f := range handed {
			_ = f.Close()
			if taken[name] == nil && err == nil {
				err = tell("FDSTOREREMOVE=1\nFDNAME=" + name)
			}
		}
		if err != nil {
			s.close()
		}
	}()
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		// An address that the host does not have yet comes.
		return errors.Join(c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) }), failed)
	}}
	for _, at := range listen {
		var packets net.PacketConn
		if f := handed[handover.SocketName("udp", at)]; f != nil {
			packets, err = net.FilePacketConn(f)
		} else if packets, err = config.ListenPacket(ctx, "udp", at.String()); err == nil {
			fresh[handover.SocketName("udp", at)] = packets.(*net.UDPConn)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("listen on %s by UDP: %w", at, err)
		}
		conn := packets.(*net.UDPConn)
		s.udp = append(s.udp, conn)
		_ = conn.SetReadBuffer(1 << 20) // As much of it as the host allows.
		var l net.Listener
		if f := handed[handover.SocketName("tcp", at)]; f != nil {
			l, err = net.FileListener(f)
		} else if l, err = config.Listen(ctx, "tcp", at.String()); err == nil {
			fresh[handover.SocketName("tcp", at)] = l.(*net.TCPListener)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("listen on %s by TCP: %w", at, err)
		}
		s.tcp = append(s.tcp, l.(*net.TCPListener))
	}
	return s, fresh, nil
}

// all are the sockets by name.
func (s *sockets) all() map[string]syscall.Conn {
	conns := map[string]syscall.Conn{}
	for _, c := range s.udp {
		conns[handover.SocketName("udp", c.LocalAddr().(*net.UDPAddr).AddrPort())] = c
	}
	for _, l := range s.tcp {
		conns[handover.SocketName("tcp", l.Addr().(*net.TCPAddr).AddrPort())] = l
	}
	return conns
}

// tell sends a message to who supervises us, if anybody does, with sockets to
// keep for the next of us.
func tell(message string, conns ...syscall.Conn) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("notify %s: %w", path, err)
	}
	defer unix.Close(socket)
	return withDescriptors(conns, nil, func(fds []int) error {
		var rights []byte
		if len(fds) > 0 {
			rights = unix.UnixRights(fds...)
		}
		if err := unix.Sendmsg(socket, []byte(message), rights, &unix.SockaddrUnix{Name: path}, 0); err != nil {
			return fmt.Errorf("notify %s: %w", path, err)
		}
		return nil
	})
}

// withDescriptors calls f with the descriptors of sockets, which stay open
// meanwhile.
func withDescriptors(conns []syscall.Conn, fds []int, f func([]int) error) error {
	if len(conns) == 0 {
		return f(fds)
	}
	raw, err := conns[0].SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = withDescriptors(conns[1:], append(fds, int(fd)), f) })
	return errors.Join(err, failed)
}

// store hands sockets to who supervises us, one by one under a name of its
// own, so that those which are not needed any more can be told apart.
func store(conns map[string]syscall.Conn) error {
	var errs []error
	for name, c := range conns {
		errs = append(errs, tell("FDSTORE=1\nFDNAME="+name, c))
	}
	return errors.Join(errs...)
}
