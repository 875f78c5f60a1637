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

// Bounds of connections.
const (
	maxConns   = 256
	maxConnsOf = 32
	// idleTime is how long a connection may say nothing.
	idleTime = 5 * time.Second
)

// serveTCP answers what comes by TCP until ctx ends. Connections that are open
// then end when what they asked is answered.
func (s *Server) serveTCP(ctx context.Context, listener *net.TCPListener, under *sync.WaitGroup) error {
	stop := context.AfterFunc(ctx, func() { _ = listener.SetDeadline(time.Now()) })
	defer stop()
	conns := crowd{of: map[netip.Addr]int{}}
	for {
		conn, err := listener.AcceptTCP()
		switch {
		case ctx.Err() != nil && err != nil:
			return ctx.Err()
		case errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case err != nil: // Too many files are open, say.
			time.Sleep(lookAgain)
			continue
		}
		client := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		if !conns.enter(client) {
			_ = conn.Close()
			continue
		}
		under.Go(func() {
			defer conns.leave(client)
			s.converse(ctx, conn, client)
		})
	}
}

// converse answers the questions of a connection, one after the other.
func (s *Server) converse(ctx context.Context, conn *net.TCPConn, client netip.Addr) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })
	defer stop()
	defer conn.Close()
	for c := (&dns.Conn{Conn: conn}); ctx.Err() == nil; {
		if conn.SetReadDeadline(time.Now().Add(idleTime)) != nil || ctx.Err() != nil {
			return
		}
		m, err := c.ReadMsg()
		if err != nil {
			return
		}
		r := s.handle(m, client)
		if r == nil {
			return
		}
		if r.now == nil {
			r.now = r.later(context.WithoutCancel(ctx))
		}
		if conn.SetWriteDeadline(time.Now().Add(idleTime)) != nil || c.WriteMsg(r.now) != nil {
			return
		}
	}
}

// crowd bounds how many connections there are, and how many of one client.
type crowd struct {
	mu  sync.Mutex
	all int
	of  map[netip.Addr]int
}

func (c *crowd) enter(client netip.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= maxConns || c.of[client] >= maxConnsOf {
		return false
	}
	c.all++
	c.of[client]++
	return true
}

func (c *crowd) leave(client netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
	if c.of[client]--; c.of[client] == 0 {
		delete(c.of, client)
	}
}
