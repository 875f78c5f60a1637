package server

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/miekg/dns"
)

// zone is what the server knows by itself. Nobody changes it.
type zone struct {
	// apexes are the SOA records, by name: nothing below these names is asked
	// of anybody else.
	apexes map[string]*dns.SOA
	// records are by name, in lower case.
	records map[string][]dns.RR
	// above are names that exist because there are names below them.
	above map[string]bool
}

// parseZone reads records in the format of master files (RFC 1035), one a
// line. Each has its whole name. A line that is none is left out, and bad tells
// of the first of these; without a SOA record it is no zone.
func parseZone(r io.Reader) (z *zone, bad, err error) {
	z = &zone{apexes: map[string]*dns.SOA{}, records: map[string][]dns.RR{}, above: map[string]bool{}}
	lines, number, left := bufio.NewScanner(r), 0, 0
	for lines.Scan() {
		number++
		if failed := z.add(lines.Text()); failed != nil {
			if left++; left == 1 {
				bad = fmt.Errorf("line %d: %w", number, failed)
			}
		}
	}
	if left > 0 {
		bad = fmt.Errorf("read the zone: %d of %d records can't be read and are left out, the first is %w", left, number, bad)
	}
	if err := lines.Err(); err != nil {
		return nil, bad, fmt.Errorf("read the zone: %w", err)
	}
	if len(z.apexes) == 0 {
		return nil, bad, fmt.Errorf("read the zone: it has no SOA record")
	}
	z.findAbove()
	return z, bad, nil
}

// add reads a line. Each has a parser of its own, since one that has met what
// it can't read reads nothing more.
func (z *zone) add(line string) error {
	parser := dns.NewZoneParser(strings.NewReader(line), ".", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		name := strings.ToLower(rr.Header().Name)
		if soa, is := rr.(*dns.SOA); is {
			z.apexes[name] = soa
		}
		z.records[name] = append(z.records[name], rr)
	}
	return parser.Err()
}

func (z *zone) findAbove() {
	for name := range z.records {
		for {
			_, parent, more := strings.Cut(name, ".")
			if !more || parent == "" || z.apexOf(parent) == nil {
				break
			}
			name = parent
			z.above[name] = true
		}
	}
}

// apexOf returns the SOA of the zone that a name in lower case is in, nil if
// it is in none.
func (z *zone) apexOf(name string) *dns.SOA {
	for {
		if soa := z.apexes[name]; soa != nil {
			return soa
		}
		_, parent, more := strings.Cut(name, ".")
		if !more || parent == "" {
			return nil
		}
		name = parent
	}
}

// maxAliases is how many aliases are followed.
const maxAliases = 8

// answer fills in what the zone says to the question of a message that it is
// about. It returns the name that an alias leads to outside of the zone.
func (z *zone) answer(m *dns.Msg) (elsewhere string) {
	m.Authoritative = true
	q := m.Question[0]
	asked, name := q.Name, strings.ToLower(q.Name)
	found := 0
	for range maxAliases {
		found = len(m.Answer)
		alias := z.match(m, name, asked, q.Qtype)
		if alias == nil {
			break
		}
		asked, name = alias.Target, strings.ToLower(alias.Target)
		if z.apexOf(name) == nil {
			return alias.Target
		}
	}
	if len(m.Answer) == found {
		if len(z.records[name]) == 0 && !z.above[name] {
			m.Rcode = dns.RcodeNameError
		}
		m.Ns = []dns.RR{z.apexOf(name)}
	}
	rand.Shuffle(len(m.Answer), func(i, j int) { // among equals nobody is the first
		if m.Answer[i].Header().Rrtype == q.Qtype && m.Answer[j].Header().Rrtype == q.Qtype {
			m.Answer[i], m.Answer[j] = m.Answer[j], m.Answer[i]
		}
	})
	z.addresses(m)
	return ""
}

// match adds the records of a name and type, or the alias that the name is.
func (z *zone) match(m *dns.Msg, name, asked string, qtype uint16) (alias *dns.CNAME) {
	for _, rr := range z.records[name] {
		c, isAlias := rr.(*dns.CNAME)
		if rr.Header().Rrtype != qtype && !isAlias {
			continue
		}
		rr = dns.Copy(rr)
		rr.Header().Name = asked // in the case in which it was asked for
		m.Answer = append(m.Answer, rr)
		if isAlias && qtype != dns.TypeCNAME {
			alias = c
		}
	}
	return alias
}

// addresses adds those of the servers that were answered.
func (z *zone) addresses(m *dns.Msg) {
	for _, rr := range m.Answer {
		srv, is := rr.(*dns.SRV)
		if !is {
			continue
		}
		for _, of := range z.records[strings.ToLower(srv.Target)] {
			if t := of.Header().Rrtype; t == dns.TypeA || t == dns.TypeAAAA {
				m.Extra = append(m.Extra, of)
			}
		}
	}
}
