package server

import (
	"container/list"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Bounds of the cache.
const (
	maxEntries = 10_000
	maxBytes   = 4 << 20
	// maxPositive and maxNegative bound how long an answer is believed,
	// whatever it says itself.
	maxPositive = time.Hour
	maxNegative = 5 * time.Minute
	// maxStale is how long an answer is of use after its time while nobody
	// gives another (RFC 8767), and staleTTL what its clients are told.
	maxStale = time.Hour
	staleTTL = 30
)

// question is what an answer depends on.
type question struct {
	name  string // in lower case
	qtype uint16
	// dnssec and unchecked are the bits DO and CD.
	dnssec, unchecked bool
}

// cache keeps answers of others. The ones that were not asked for the longest
// time make room for new ones.
type cache struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[question]*list.Element
	recent  *list.List // of *entry, the most recent one first
	bytes   int
}

type entry struct {
	question
	packed         []byte
	stored, expiry time.Time
}

func newCache(now func() time.Time) *cache {
	return &cache{now: now, entries: map[question]*list.Element{}, recent: list.New()}
}

// get returns an answer with what is left of its time; with stale one whose
// time is over as well.
func (c *cache) get(q question, stale bool) *dns.Msg {
	c.mu.Lock()
	element := c.entries[q]
	if element == nil {
		c.mu.Unlock()
		return nil
	}
	e := element.Value.(*entry)
	c.recent.MoveToFront(element)
	c.mu.Unlock()
	now := c.now()
	expired := !now.Before(e.expiry)
	if expired && (!stale || now.Sub(e.expiry) > maxStale) {
		return nil
	}
	m := new(dns.Msg)
	if m.Unpack(e.packed) != nil {
		return nil
	}
	age := uint32(now.Sub(e.stored) / time.Second)
	eachTTL(m, func(ttl uint32) uint32 {
		if expired {
			return staleTTL
		}
		return max(ttl, age) - age
	})
	return m
}

// put keeps an answer for as long as it says.
func (c *cache) put(q question, m *dns.Msg) {
	life := lifetime(m)
	if life <= 0 {
		return
	}
	packed, err := m.Pack()
	if err != nil {
		return
	}
	now := c.now()
	e := &entry{question: q, packed: packed, stored: now, expiry: now.Add(life)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.entries[q]; old != nil {
		c.drop(old)
	}
	c.entries[q] = c.recent.PushFront(e)
	c.bytes += len(packed)
	for c.recent.Len() > maxEntries || c.bytes > maxBytes {
		c.drop(c.recent.Back())
	}
}

func (c *cache) drop(element *list.Element) {
	e := element.Value.(*entry)
	delete(c.entries, e.question)
	c.recent.Remove(element)
	c.bytes -= len(e.packed)
}

// lifetime is how long an answer may be kept: the least of its records, or
// what its SOA says of names and types that there are not (RFC 2308). Others
// than those are not kept.
func lifetime(m *dns.Msg) time.Duration {
	if m.Truncated || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return 0
	}
	if m.Rcode == dns.RcodeNameError || len(m.Answer) == 0 {
		for _, rr := range m.Ns {
			if soa, is := rr.(*dns.SOA); is {
				return min(seconds(min(soa.Minttl, soa.Hdr.Ttl)), maxNegative)
			}
		}
		return 0
	}
	least := uint32(maxPositive / time.Second)
	for _, rr := range m.Answer {
		least = min(least, rr.Header().Ttl)
	}
	return seconds(least)
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

func eachTTL(m *dns.Msg, change func(uint32) uint32) {
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT {
				h.Ttl = change(h.Ttl)
			}
		}
	}
}
