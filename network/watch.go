package network

import (
	"context"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
)

// WatchHostIPs calls changed with the host's addresses now and whenever they
// are others, until ctx ends: a host may get its first one long after its
// boot, and another one at any time. Addresses that can't be read are read
// again at the next change.
func WatchHostIPs(ctx context.Context, changed func([]string)) error {
	updates := make(chan netlink.AddrUpdate)
	if err := netlink.AddrSubscribe(updates, ctx.Done()); err != nil {
		return fmt.Errorf("watch the host's addresses: %w", err)
	}
	var last []string
	for first := true; ; first = false {
		now, err := HostIPs()
		if err == nil && (first || !slices.Equal(now, last)) {
			last = now
			changed(now)
		}
		select {
		case _, open := <-updates:
			if !open {
				return ctx.Err()
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
