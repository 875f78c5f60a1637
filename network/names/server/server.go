// Package server answers pods' questions for names: from a zone file that
// somebody else keeps up to date, and with the help of the host's own name
// servers for all other names.
package server

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Server answers questions.
type Server struct {
	// own are the names below which nobody else is asked, which is what counts
	// as long as there is no zone; none if that is not known.
	own     []string
	zone    *watched[*zone]
	forward *forwarder
}

// reply is an answer that is known, or later what is to be done for one.
type reply struct {
	now   *dns.Msg
	later func(context.Context) *dns.Msg
}

// handle answers a message; nil for one that deserves no answer. client is
// who sent it.
func (s *Server) handle(m *dns.Msg, client netip.Addr) *reply {
	if m.Response {
		return nil
	}
	r := new(dns.Msg)
	r.SetReply(m)
	r.RecursionAvailable = true
	if refusal := refuse(m); refusal != dns.RcodeSuccess {
		r.Rcode = refusal
		return s.ready(m, r)
	}
	if local(r) {
		return s.ready(m, r)
	}
	z, known := s.zone.get()
	q := m.Question[0]
	if !known && s.mayBeOwn(q.Name) {
		r.Rcode = dns.RcodeServerFailure // what can't be known is not denied
		return s.ready(m, r)
	}
	if !known || z.apexOf(strings.ToLower(q.Name)) == nil {
		return s.recurse(m, r, q.Name, client)
	}
	if elsewhere := z.answer(r); elsewhere != "" && m.RecursionDesired {
		return s.recurse(m, r, elsewhere, client)
	}
	return s.ready(m, r)
}

// mayBeOwn tells of names that the zone may have.
func (s *Server) mayBeOwn(name string) bool {
	return len(s.own) == 0 || slices.ContainsFunc(s.own, func(apex string) bool { return dns.IsSubDomain(apex, name) })
}

// refuse returns the code for what is not answered at all.
func refuse(m *dns.Msg) int {
	switch {
	case m.Opcode != dns.OpcodeQuery:
		return dns.RcodeNotImplemented
	case len(m.Question) != 1:
		return dns.RcodeFormatError
	case m.Question[0].Qclass != dns.ClassINET:
		return dns.RcodeRefused
	}
	switch m.Question[0].Qtype {
	case dns.TypeAXFR, dns.TypeIXFR, dns.TypeANY:
		return dns.RcodeRefused
	}
	if o := m.IsEdns0(); o != nil && o.Version() != 0 {
		return dns.RcodeBadVers
	}
	return dns.RcodeSuccess
}

// local answers for localhost, which is never asked of others (RFC 6761).
func local(r *dns.Msg) bool {
	q := r.Question[0]
	if name := strings.ToLower(q.Name); name != "localhost." && !strings.HasSuffix(name, ".localhost.") {
		return false
	}
	header := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: 3600}
	switch q.Qtype {
	case dns.TypeA:
		r.Answer = []dns.RR{&dns.A{Hdr: header, A: netip.MustParseAddr("127.0.0.1").AsSlice()}}
	case dns.TypeAAAA:
		r.Answer = []dns.RR{&dns.AAAA{Hdr: header, AAAA: netip.IPv6Loopback().AsSlice()}}
	}
	return true
}

// recurse adds what others say of a name.
func (s *Server) recurse(m, r *dns.Msg, name string, client netip.Addr) *reply {
	if !m.RecursionDesired {
		r.Rcode = dns.RcodeRefused
		return s.ready(m, r)
	}
	q := question{name: strings.ToLower(name), qtype: r.Question[0].Qtype, unchecked: m.CheckingDisabled}
	if o := m.IsEdns0(); o != nil {
		q.dnssec = o.Do()
	}
	if known := s.forward.cached(q); known != nil {
		return s.ready(m, merge(m, r, known, name))
	}
	return &reply{later: func(ctx context.Context) *dns.Msg {
		answer, err := s.forward.ask(ctx, q, client)
		if err != nil {
			r.Answer, r.Rcode = nil, dns.RcodeServerFailure
			return s.ready(m, r).now
		}
		return s.ready(m, merge(m, r, answer, name)).now
	}}
}

// merge adds the answer of others to what is there already.
func merge(m, r, answer *dns.Msg, asked string) *dns.Msg {
	r.Rcode = answer.Rcode
	r.Authoritative = false
	o := m.IsEdns0()
	r.AuthenticatedData = answer.AuthenticatedData && (m.AuthenticatedData || o != nil && o.Do()) && len(r.Answer) == 0
	for _, rr := range answer.Answer {
		if strings.EqualFold(rr.Header().Name, asked) {
			rr.Header().Name = asked // in the case in which it was asked for
		}
		r.Answer = append(r.Answer, rr)
	}
	r.Ns = answer.Ns
	for _, rr := range answer.Extra {
		if rr.Header().Rrtype != dns.TypeOPT {
			r.Extra = append(r.Extra, rr)
		}
	}
	return r
}

// ready completes an answer with what the client's own message asks for.
func (s *Server) ready(m, r *dns.Msg) *reply {
	if o := m.IsEdns0(); o != nil {
		r.SetEdns0(udpSize, o.Do())
		if r.Rcode == dns.RcodeBadVers {
			r.IsEdns0().SetVersion(0)
		}
	}
	r.Compress = true
	return &reply{now: r}
}

// size is how long an answer by UDP may be.
func size(m *dns.Msg) int {
	if o := m.IsEdns0(); o != nil {
		return int(max(dns.MinMsgSize, min(o.UDPSize(), udpSize)))
	}
	return dns.MinMsgSize
}
