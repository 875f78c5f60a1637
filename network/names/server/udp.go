package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// maxQuery is the longest message that is read by UDP.
const maxQuery = 4096

// serveUDP answers what comes by UDP until ctx ends. What is not read then
// stays in the socket, for whoever holds it.
func (s *Server) serveUDP(ctx context.Context, conn *net.UDPConn, under *sync.WaitGroup) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })
	defer stop()
	for buf := make([]byte, maxQuery); ; {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				s.datagram(ctx, conn, from, buf[:n], under)
			}
			return ctx.Err()
		case errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case err == nil:
			s.datagram(ctx, conn, from, buf[:n], under)
		default: // Whatever it is, it may pass.
			time.Sleep(lookAgain)
		}
	}
}

// datagram answers one message, later if others have to be asked.
func (s *Server) datagram(ctx context.Context, conn *net.UDPConn, from netip.AddrPort, packed []byte, under *sync.WaitGroup) {
	m := new(dns.Msg)
	if m.Unpack(packed) != nil {
		return
	}
	r := s.handle(m, from.Addr().Unmap())
	if r == nil {
		return
	}
	if r.now != nil {
		send(conn, from, r.now, size(m))
		return
	}
	under.Go(func() { send(conn, from, r.later(context.WithoutCancel(ctx)), size(m)) })
}

func send(conn *net.UDPConn, to netip.AddrPort, m *dns.Msg, size int) {
	m.Truncate(size)
	packed, err := m.Pack()
	if err != nil {
		return
	}
	_, _ = conn.WriteToUDPAddrPort(packed, to) // It is gone, or asks again.
}
