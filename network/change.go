package network

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/knftables"
)

// whole deletes the table and makes it anew, in one transaction. Clients stay
// with their endpoints, unless the kernel does not take them.
func (t *table) whole(ctx context.Context, want *ruleset) error {
	clients, err := t.clients(ctx, want)
	if err != nil {
		return err
	}
	err = t.anew(ctx, want, clients)
	if err != nil && len(clients) > 0 && ctx.Err() == nil {
		err = t.anew(ctx, want, nil)
	}
	if err != nil {
		return fmt.Errorf("set nftables table inet %s: %w", t.name, err)
	}
	return nil
}

func (t *table) anew(ctx context.Context, want *ruleset, clients []*knftables.Element) error {
	tx := t.nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	tx.Add(&knftables.Table{})
	fill(tx, want, &ruleset{})
	for _, e := range clients {
		tx.Add(e)
	}
	return t.nft.Run(ctx, tx)
}

// difference changes the table from what it is to what is wanted, in one
// transaction. What others refer to is added before and deleted after them.
func (t *table) difference(ctx context.Context, want *ruleset) error {
	tx := t.nft.NewTransaction()
	has := t.applied
	for _, key := range has.order {
		if e := has.elements[key]; !want.has(key, e) {
			tx.Delete(e)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(has.chains)) {
		if !want.hasChain(name, has.chains[name]) {
			tx.Flush(&knftables.Chain{Name: name})
		}
	}
	fill(tx, want, has)
	for _, name := range slices.Sorted(maps.Keys(has.chains)) {
		if want.chains[name] == nil {
			tx.Delete(&knftables.Chain{Name: name})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(has.sets)) {
		if want.sets[name] == nil {
			tx.Delete(has.sets[name])
		}
	}
	if tx.NumOperations() == 0 {
		return nil
	}
	return t.nft.Run(ctx, tx)
}

// fill adds what a table is to have and does not have yet. A chain that is to
// have other rules was flushed.
func fill(tx *knftables.Transaction, want, has *ruleset) {
	for _, name := range slices.Sorted(maps.Keys(want.sets)) {
		if has.sets[name] == nil {
			tx.Add(want.sets[name])
		}
	}
	chains := slices.Sorted(maps.Keys(want.chains))
	for _, name := range chains {
		if has.chains[name] == nil {
			tx.Add(want.chains[name].chain)
		}
	}
	for _, name := range chains {
		c := want.chains[name]
		if has.hasChain(name, c) {
			continue
		}
		for _, rule := range c.rules {
			tx.Add(&knftables.Rule{Chain: name, Rule: rule})
		}
	}
	for _, key := range want.order {
		if e := want.elements[key]; !has.has(key, e) {
			tx.Add(e)
		}
	}
}

func (r *ruleset) hasChain(name string, c *chainRules) bool {
	own := r.chains[name]
	return own != nil && slices.Equal(own.rules, c.rules)
}
