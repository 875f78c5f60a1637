package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// restartPause is how long podstead stays away after it ended.
	restartPause = time.Second
	// hastily is an end so soon after the start that another start hardly
	// helps; maxHasty such ends in a row are enough.
	hastily  = 2 * time.Second
	maxHasty = 3
)

// keeper keeps podstead running, as a service manager does.
type keeper struct {
	start func() (*daemon, error)
	say   func(string)
	pause time.Duration
}

// keep starts podstead, and again after each of its ends, until ctx ends. It
// returns the one that runs then: only a running podstead stops its pods.
func (k keeper) keep(ctx context.Context) (*daemon, error) {
	for hasty := 0; ; {
		began := time.Now()
		d, err := k.start()
		if err != nil {
			return nil, fmt.Errorf("start podstead: %w", err)
		}
		select {
		case <-ctx.Done():
			return d, nil
		case <-d.ended:
		}
		if time.Since(began) < hastily {
			hasty++
		} else {
			hasty = 0
		}
		if hasty == maxHasty {
			return nil, fmt.Errorf("podstead ended %d times in a row within %s of its start, lastly by %s\n%s\neverything of it is in %s",
				maxHasty, hastily, d.end(), d.lastWords(), folder)
		}
		k.say(fmt.Sprintf("podstead ended (%s); its containers go on, and it is started again in %s\n", d.end(), k.pause))
		select {
		case <-ctx.Done():
		case <-time.After(k.pause):
		}
	}
}
