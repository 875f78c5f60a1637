package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"
)

// Bounds of asking others.
const (
	// patience is how long all tries together may take: less than the five
	// seconds after which most clients ask again.
	patience = 4500 * time.Millisecond
	// tryTime is how long one server may take.
	tryTime = 2 * time.Second
	// stagger is how long a server is waited for before another one, or the
	// same, is asked too.
	stagger = 600 * time.Millisecond
	// rounds is how often each server is asked at most.
	rounds = 3
	// maxFlights is how many questions are asked of others at the same time,
	// and maxFlightsOf how many for one client.
	maxFlights   = 1000
	maxFlightsOf = 200
	// udpSize is what passes everywhere without fragments.
	udpSize = 1232
)

var (
	errNoServers = errors.New("the host's resolv.conf names no server that could be asked")
	errBusy      = errors.New("too many questions are being asked")
)

// forwarder asks the host's name servers.
type forwarder struct {
	servers *watched[[]string]
	cache   *cache

	flights singleflight.Group
	running atomic.Int64
	// preferred is the number of the server that answered last.
	preferred atomic.Int64

	mu sync.Mutex
	of map[netip.Addr]int
}

func newForwarder(servers *watched[[]string]) *forwarder {
	return &forwarder{servers: servers, cache: newCache(time.Now), of: map[netip.Addr]int{}}
}

// cached returns an answer that is known, nil if there is none.
func (f *forwarder) cached(q question) *dns.Msg { return f.cache.get(q, false) }

// ask returns the answer of others: of several who ask the same at the same
// time one does, so that a question which comes back to us in a circle waits
// for itself and dies with it. While nobody answers, what was true lately is
// the answer.
func (f *forwarder) ask(ctx context.Context, q question, client netip.Addr) (*dns.Msg, error) {
	if !f.enter(client) {
		return nil, errBusy
	}
	defer f.leave(client)
	result := f.flights.DoChan(fmt.Sprint(q), func() (any, error) {
		// It goes on for the others when this client is gone.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		m, err := f.race(ctx, q)
		if err != nil {
			if m = f.cache.get(q, true); m == nil {
				return nil, err
			}
			return m, nil
		}
		f.cache.put(q, m)
		return m, nil
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*dns.Msg).Copy(), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *forwarder) enter(client netip.Addr) bool {
	if f.running.Add(1) > maxFlights {
		f.running.Add(-1)
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of[client] >= maxFlightsOf {
		f.running.Add(-1)
		return false
	}
	f.of[client]++
	return true
}

func (f *forwarder) leave(client netip.Addr) {
	f.running.Add(-1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of[client]--; f.of[client] == 0 {
		delete(f.of, client)
	}
}

type try struct {
	server int
	answer *dns.Msg
	err    error
}

// race asks one server after the other, the next one when one fails or takes
// too long, and takes the first answer.
func (f *forwarder) race(ctx context.Context, q question) (*dns.Msg, error) {
	servers, _ := f.servers.get()
	if len(servers) == 0 {
		return nil, errNoServers
	}
	first := int(f.preferred.Load())
	tries := make(chan try, rounds*len(servers))
	failed := make([]error, len(servers))
	begun, under := 0, 0
	next := func() {
		for ; begun < rounds*len(servers); begun++ {
			i := (first + begun) % len(servers)
			if failed[i] != nil {
				continue
			}
			begun++
			under++
			go func() {
				m, err := exchange(ctx, q, servers[i])
				tries <- try{i, m, err}
			}()
			return
		}
	}
	next()
	timer := time.NewTicker(stagger)
	defer timer.Stop()
	for {
		select {
		case t := <-tries:
			under--
			if t.err == nil {
				f.preferred.Store(int64(t.server))
				return t.answer, nil
			}
			failed[t.server] = t.err
			if next(); under == 0 {
				return nil, errors.Join(failed...)
			}
		case <-timer.C:
			next()
		case <-ctx.Done():
			return nil, errors.Join(append(failed, fmt.Errorf("no server answered: %w", ctx.Err()))...)
		}
	}
}

// exchange asks one server, by TCP if the answer is too long for UDP.
func exchange(ctx context.Context, q question, server string) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(q.name, q.qtype)
	m.CheckingDisabled = q.unchecked
	m.SetEdns0(udpSize, q.dnssec)
	client := &dns.Client{Net: "udp", UDPSize: udpSize, Timeout: tryTime}
	answer, _, err := client.ExchangeContext(ctx, m, server)
	if err == nil && answer.Truncated {
		client.Net = "tcp"
		answer, _, err = client.ExchangeContext(ctx, m, server)
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", server, err)
	}
	if len(answer.Question) != 1 || !strings.EqualFold(answer.Question[0].Name, q.name) || answer.Question[0].Qtype != q.qtype {
		return nil, fmt.Errorf("ask %s: it answered another question", server)
	}
	switch answer.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
		return answer, nil
	}
	return nil, fmt.Errorf("ask %s: it answered %s", server, dns.RcodeToString[answer.Rcode])
}
