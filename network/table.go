package network

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
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
	// applied is what was set last, nil before. left is the kernel's generation
	// after that, or a later one at which the table was still so. seen is how
	// nft lists it, nil while nobody looked since.
	applied *ruleset
	left    uint32
	seen    *listing
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
	if _, err := nftOutput(ctx, "-t", "list", "table", "inet", t.name); err == nil {
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
		done, err := t.change(ctx, want)
		if err != nil {
			return err
		}
		if done {
			return nil
		}
	}
	return t.put(ctx, want)
}

// change sets the difference, and tells whether it could: the table was as it
// was set last, and nobody changed rules meanwhile. Each transaction counts
// the kernel's generation up by one.
func (t *table) change(ctx context.Context, want *ruleset) (bool, error) {
	same, err := t.unchanged(ctx)
	if err != nil || !same {
		return false, err
	}
	before := t.left
	if t.difference(ctx, want) != nil {
		return false, ctx.Err()
	}
	t.applied, t.seen = want, nil
	after, err := generation()
	t.left = after
	return err == nil && after == before+1, err
}

// attempts is how often the table is set whole until nobody else changes
// rules meanwhile.
const attempts = 5

// put sets the table whole.
func (t *table) put(ctx context.Context, want *ruleset) error {
	t.seen = nil
	for range attempts {
		before, err := generation()
		if err != nil {
			return err
		}
		if err := t.whole(ctx, want); err != nil {
			return err
		}
		t.present, t.applied = true, want
		if t.left, err = generation(); err != nil {
			return err
		}
		if t.left == before+1 {
			return nil
		}
	}
	// Others change their rules all the time. What they could have done to
	// ours meanwhile is taken for ours until the next change.
	return nil
}

// unchanged tells whether the table is as it was set last. It is when nobody
// made any transaction since, and otherwise when nft lists what it did before.
func (t *table) unchanged(ctx context.Context) (bool, error) {
	now, err := generation()
	if err != nil || now == t.left {
		return err == nil, err
	}
	if t.seen == nil {
		return false, nil // Nobody looked before others changed something.
	}
	seen, err := t.list(ctx)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil || *seen != *t.seen {
		return false, nil
	}
	t.left = now // What others did while it was listed shows next time.
	return true, nil
}

// look remembers how nft lists the table, unless others changed something
// since it was set, and tells whether it is as it was set last.
func (t *table) look(ctx context.Context) (bool, error) {
	same, err := t.unchanged(ctx)
	if err != nil || !same || t.seen != nil {
		return same, err
	}
	seen, err := t.list(ctx)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	now, nowErr := generation()
	if err != nil || nowErr != nil || now != t.left {
		return false, nowErr
	}
	t.seen = seen
	return true, nil
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
	same, err := t.look(ctx)
	if err != nil || same {
		return false, err
	}
	var had *listing
	if t.seen == nil {
		had, _ = t.list(ctx) // Others may have changed nothing of ours.
	}
	if err := t.put(ctx, t.applied); err != nil || had == nil {
		return true, err
	}
	if _, err := t.look(ctx); err != nil {
		return false, err
	}
	return t.seen != nil && *t.seen != *had, nil
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
	t.present, t.applied, t.seen = false, nil, nil
	return nil
}

// listing is a digest of what nft lists.
type listing [sha256.Size]byte

// list lists the table without counters, and without the clients of Services,
// which come and go.
func (t *table) list(ctx context.Context) (*listing, error) {
	out, err := nftOutput(ctx, "-s", "list", "table", "inet", t.name)
	if err != nil {
		return nil, err
	}
	digest := sha256.New()
	clients, skip := false, false
	for line := range strings.Lines(out) {
		text := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(text, "set "):
			clients = ofClients(strings.TrimSuffix(text, " {"))
		case clients && strings.HasPrefix(text, "elements = "):
			skip = true
		}
		if !skip {
			_, _ = io.WriteString(digest, line)
		}
		skip = skip && !strings.HasSuffix(text, "}")
	}
	l := listing(digest.Sum(nil))
	return &l, nil
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
