package network

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"sigs.k8s.io/knftables"
)

// affinityPrefix begins the names of what one Service alone has: chains, and
// the sets of clients that stay with an endpoint.
const affinityPrefix = "affinity/"

// stick keeps clients with their endpoints: each endpoint has a set of the
// clients that it served, which the kernel fills and empties.
func (s serviceRules) stick(e entry) {
	key := e.service.Key
	chain := fmt.Sprintf("%s%s/%s/%d/%s/%s", affinityPrefix, key.Namespace, key.Name, e.port.Port, protocol(e.port.Protocol), e.family.protocol)
	entered := false
	for _, ip := range append(e.clusterIPs, e.hostIPs...) {
		entered = s.enter(e, services, chain, protocol(e.port.Protocol), ip.String(), port(e.port.Port)) || entered
	}
	if e.port.NodePort != 0 {
		entered = s.enter(e, nodePorts, chain, protocol(e.port.Protocol), port(e.port.NodePort)) || entered
	}
	if !entered {
		return
	}
	var known, drawn []string
	for i, to := range e.endpoints {
		name := chain + "/" + identifier(to)
		s.set(name, e.family.address, knftables.DynamicFlag, knftables.TimeoutFlag)
		s.chains[name] = &chainRules{chain: &knftables.Chain{Name: name}, rules: []string{
			fmt.Sprintf("update @%s { %s saddr timeout %ds }", name, e.family.word, int(e.service.Affinity.Seconds())),
			fmt.Sprintf("meta l4proto %s dnat %s to %s", protocol(e.port.Protocol), e.family.word, to),
		}}
		known = append(known, fmt.Sprintf("%s saddr @%s goto %[2]s", e.family.word, name))
		drawn = append(drawn, fmt.Sprintf("%d : goto %s", i, name))
	}
	s.chains[chain] = &chainRules{chain: &knftables.Chain{Name: chain}, rules: append(known,
		fmt.Sprintf("numgen random mod %d vmap { %s }", len(drawn), strings.Join(drawn, ", ")))}
}

// identifier writes an endpoint as nftables takes it in a name: it knows no
// colons there.
func identifier(to netip.AddrPort) string {
	return fmt.Sprintf("%s/%d", strings.ReplaceAll(to.Addr().String(), ":", "."), to.Port())
}

// clients are those that stay with endpoints now, as elements that can be
// added to a table that is set whole: they have what is left of their time.
func (t *table) clients(ctx context.Context, want *ruleset) ([]*knftables.Element, error) {
	any := false
	for name := range want.sets {
		any = any || strings.HasPrefix(name, affinityPrefix)
	}
	if !any {
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
		if o.Set == nil || !strings.HasPrefix(o.Set.Name, affinityPrefix) || want.sets[o.Set.Name] == nil {
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
