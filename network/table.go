package network

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"

	"sigs.k8s.io/knftables"
)

// table is our nftables table. Nothing else of the host's rules is touched.
type table struct {
	name string
	mu   sync.Mutex
	nft  knftables.Interface
	// present tells that the table is there, by us or by an earlier podstead.
	present bool
	// applied is what was set last, nil before; seen is how nft lists it.
	applied *ruleset
	seen    string
}

func newTable(name string) *table { return &table{name: name} }

// tableName is podstead for the podstead of the host, and another one for any
// other that runs beside it.
func tableName(runDir, owner string) string {
	if runDir == "/run/podstead" {
		return "podstead"
	}
	return "podstead-" + owner
}

// connect needs the program nft and permission to use it.
func (t *table) connect() error {
	if t.nft != nil {
		return nil
	}
	nft, err := knftables.New(knftables.InetFamily, t.name)
	if err != nil {
		return fmt.Errorf("use nftables (is nft 1.0.1 or later installed?): %w", err)
	}
	t.nft = nft
	return nil
}

// ensure makes the table unless it is there: that of an earlier podstead
// stays as it is until the first set.
func (t *table) ensure(ctx context.Context, base *ruleset) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.present {
		return nil
	}
	if err := t.connect(); err != nil {
		return err
	}
	if _, err := t.list(ctx); err == nil {
		t.present = true
		return nil
	}
	if err := t.whole(ctx, base); err != nil {
		return err
	}
	t.present = true
	return nil
}

// set makes the table be as wanted: whole the first time and when somebody
// changed it, else by difference; in one transaction either way.
func (t *table) set(ctx context.Context, want *ruleset) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.connect(); err != nil {
		return err
	}
	if t.applied != nil {
		if t.applied.equal(want) {
			return nil
		}
		done, err := t.alone(ctx, func() bool { return t.unchanged(ctx) && t.difference(ctx, want) == nil })
		if err != nil {
			return err
		}
		if done {
			t.applied = want
			return nil
		}
	}
	return t.put(ctx, want)
}

// attempts is how often the table is set whole until nobody else changes
// rules meanwhile.
const attempts = 5

// put sets the table whole.
func (t *table) put(ctx context.Context, want *ruleset) error {
	for range attempts {
		var failed error
		done, err := t.alone(ctx, func() bool {
			failed = t.whole(ctx, want)
			return failed == nil
		})
		if failed != nil || err != nil {
			return errors.Join(failed, err)
		}
		t.present, t.applied = true, want
		if done {
			return nil
		}
	}
	// Others change their rules all the time. What they could have done to
	// ours meanwhile is taken for ours until the next change.
	return nil
}

// alone makes one change and remembers how nft lists the table after it. It
// tells whether the change was made and nobody else changed anything between
// its begin and the listing: each transaction counts the kernel's generation
// up by one.
func (t *table) alone(ctx context.Context, change func() bool) (bool, error) {
	before, err := generation()
	if err != nil || !change() {
		return false, err
	}
	seen, listErr := t.list(ctx)
	after, err := generation()
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return false, err
	}
	t.seen = seen
	return listErr == nil && after == before+1, nil
}

func (t *table) unchanged(ctx context.Context) bool {
	now, err := t.list(ctx)
	return err == nil && now == t.seen
}

func (t *table) whole(ctx context.Context, want *ruleset) error {
	tx := t.nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	tx.Add(&knftables.Table{})
	for _, o := range want.objects {
		tx.Add(o)
	}
	for _, key := range want.order {
		tx.Add(want.elements[key])
	}
	if err := t.nft.Run(ctx, tx); err != nil {
		return fmt.Errorf("set nftables table inet %s: %w", t.name, err)
	}
	return nil
}

func (t *table) difference(ctx context.Context, want *ruleset) error {
	tx := t.nft.NewTransaction()
	for _, key := range t.applied.order {
		if e := t.applied.elements[key]; !want.has(key, e) {
			tx.Delete(e)
		}
	}
	for _, key := range want.order {
		if e := want.elements[key]; !t.applied.has(key, e) {
			tx.Add(e)
		}
	}
	if tx.NumOperations() == 0 {
		return nil
	}
	return t.nft.Run(ctx, tx)
}

// repair sets the table whole again if it is not as it was set last. It tells
// whether it had to.
func (t *table) repair(ctx context.Context) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.applied == nil {
		// Nothing was set yet, so nobody knows what is missing; Ensure looks again.
		t.present = false
		return false, nil
	}
	if t.unchanged(ctx) {
		return false, nil
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return true, t.put(ctx, t.applied)
}

// remove deletes the table.
func (t *table) remove(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch err := t.connect(); {
	case errors.Is(err, exec.ErrNotFound):
		return nil // Without nft there was never a table.
	case err != nil:
		return err
	}
	tx := t.nft.NewTransaction()
	tx.Add(&knftables.Table{})
	tx.Delete(&knftables.Table{})
	if err := t.nft.Run(ctx, tx); err != nil {
		return fmt.Errorf("delete nftables table inet %s: %w", t.name, err)
	}
	t.present, t.applied, t.seen = false, nil, ""
	return nil
}

// list is the table as nft shows it, without counters.
func (t *table) list(ctx context.Context) (string, error) {
	return nftOutput(ctx, "-s", "list", "table", "inet", t.name)
}

func nftOutput(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "nft", args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("nft %v: %w: %s", args, err, exit.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("nft %v: %w", args, err)
	}
	return string(out), nil
}
