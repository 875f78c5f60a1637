package network

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// unhurried is the least time between two looks at foreign rules.
const unhurried = 5 * time.Second

// warnings are what people should know of this host, as of the last look.
type warnings struct {
	mu    sync.Mutex
	texts []string
}

// put tells whether the texts are others than before.
func (w *warnings) put(texts []string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := !slices.Equal(w.texts, texts)
	w.texts = texts
	return changed
}

// Warnings returns what keeps pods from being reached as they should, each
// with its remedy, as Run saw it last: foreign rules that drop what is
// forwarded, ranges that overlap the host's routes, no IPv6.
func (n *Network) Warnings() []string {
	n.warn.mu.Lock()
	defer n.warn.mu.Unlock()
	return slices.Clone(n.warn.texts)
}

func (n *Network) keepWarnings(ctx context.Context, changed <-chan struct{}) error {
	for {
		texts := n.look(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if n.warn.put(texts) {
			n.cfg.Warned()
		}
		// Not more often than every few seconds, however busy others are.
		if err := pause(ctx, nil, unhurried); err != nil {
			return err
		}
		if err := pause(ctx, changed, anyway); err != nil {
			return err
		}
	}
}

func (n *Network) look(ctx context.Context) []string {
	var texts []string
	six := ipv6Enabled()
	for _, r := range n.cfg.PodCIDRs {
		if r.Addr().Is6() && !six {
			texts = append(texts, fmt.Sprintf("IPv6 is switched off on this host (net.ipv6.conf.all.disable_ipv6): pods get no address of %s", r))
			continue
		}
		if err := overlap(r.Masked(), forPods(), false); err != nil {
			texts = append(texts, err.Error())
		}
	}
	for _, r := range n.ways.ranges {
		if err := overlap(r, forServices(), slices.Contains(n.ways.current(), r)); err != nil && (six || r.Addr().Is4()) {
			texts = append(texts, err.Error())
		}
	}
	blocks, err := foreignBlocks(ctx, n.cfg.PodCIDRs)
	if err != nil {
		blocks = append(blocks, fmt.Sprintf("it can't be told whether foreign rules block pods: %v", err))
	}
	return append(texts, blocks...)
}
