package network

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"sigs.k8s.io/knftables"
)

// clientsSuffix ends the names of the sets of clients that stay with an
// endpoint, which the kernel fills and empties.
const clientsSuffix = "/clients"

func ofClients(set string) bool { return strings.HasSuffix(set, clientsSuffix) }

// stick keeps clients with the endpoint that served them before.
func (s serviceRules) stick(e *entry) {
	var known, drawn []string
	for i, to := range e.endpoints {
		chain := e.chain() + "/" + identifier(to)
		clients := chain + clientsSuffix
		s.set(clients, e.family.address, knftables.DynamicFlag, knftables.TimeoutFlag)
		s.add(chain, fmt.Sprintf("update @%s { %s saddr timeout %ds }", clients, e.family.word, int(e.service.Affinity.Seconds())), e.lead(to))
		known = append(known, fmt.Sprintf("%s saddr @%s goto %s", e.family.word, clients, chain))
		drawn = append(drawn, fmt.Sprintf("%d : goto %s", i, chain))
	}
	s.add(e.chain(), append(known, fmt.Sprintf("numgen random mod %d vmap { %s }", len(drawn), strings.Join(drawn, ", ")))...)
}

// identifier writes an endpoint as nftables takes it in a name: it knows no
// colons there.
func identifier(to netip.AddrPort) string {
	return fmt.Sprintf("%s/%d", strings.ReplaceAll(to.Addr().String(), ":", "."), to.Port())
}

// clients are those that stay with endpoints now, as elements that can be
// added to a table that is set whole: they have what is left of their time.
func (t *table) clients(ctx context.Context, want *ruleset) ([]*knftables.Element, error) {
	some := false
	for name := range want.sets {
		some = some || ofClients(name)
	}
	if !some {
		return nil, nil
	}
	out, err := nftOutput(ctx, "-j", "list", "table", "inet", t.name)
	if err != nil {
		return nil, nil // There is no table yet.
	}
	var listed struct {
		Nftables []struct {
			Set *struct {
				Name string            `json:"name"`
				Elem []json.RawMessage `json:"elem"`
			} `json:"set"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal([]byte(out), &listed); err != nil {
		return nil, fmt.Errorf("read the clients of Services: %w", err)
	}
	var all []*knftables.Element
	for _, o := range listed.Nftables {
		if o.Set == nil || !ofClients(o.Set.Name) || want.sets[o.Set.Name] == nil {
			continue
		}
		for _, raw := range o.Set.Elem {
			if e := client(o.Set.Name, raw); e != nil {
				all = append(all, e)
			}
		}
	}
	return all, nil
}

// client reads an element with its times. They are written after the key,
// where nftables wants them and knftables has no field for them.
func client(set string, raw json.RawMessage) *knftables.Element {
	var e struct {
		Elem struct {
			Val              string `json:"val"`
			Timeout, Expires int64
		} `json:"elem"`
	}
	if json.Unmarshal(raw, &e) != nil || e.Elem.Val == "" || e.Elem.Timeout == 0 {
		return nil
	}
	// The timeout is that of the first connection, and may have been another.
	times := fmt.Sprintf(" timeout %ds expires %ds", max(e.Elem.Timeout, e.Elem.Expires), max(e.Elem.Expires, 1))
	return &knftables.Element{Set: set, Key: []string{e.Elem.Val + times}}
}
