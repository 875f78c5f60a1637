package runtime

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/leases"
)

// leaseTime is how long something that is not tidied up stays.
const leaseTime = 24 * time.Hour

// pullLease begins the ids of leases that outlive podstead: the next pull of
// the same image goes on with what they keep.
const pullLease = "podstead-pull-"

// lease keeps what is made in a context until done is called. What a process
// that was killed, or a containerd that was down by then, left is deleted by
// sweepLeases, and expires should nobody do so.
func (r *Runtime) lease(ctx context.Context) (_ context.Context, done func(), err error) {
	return r.leaseAs(ctx, "podstead-"+rand.Text())
}

// leaseForPull is lease for the pull of an image.
func (r *Runtime) leaseForPull(ctx context.Context, image string) (_ context.Context, done func(), err error) {
	sum := sha256.Sum256([]byte(image))
	return r.leaseAs(ctx, pullLease+hex.EncodeToString(sum[:8]))
}

func (r *Runtime) leaseAs(ctx context.Context, id string) (_ context.Context, done func(), err error) {
	r.holdLease(id, true)
	_, err = r.client.LeasesService().Create(ctx, leases.WithID(id), leases.WithExpiration(leaseTime),
		leases.WithLabels(map[string]string{labelNode: r.cfg.NodeID}))
	if err != nil && !isAlreadyExists(err) {
		r.holdLease(id, false)
		return ctx, nil, err
	}
	return leases.WithLease(ctx, id), func() {
		// One that can't be deleted now is swept later.
		_ = atEnd(ctx, func(ctx context.Context) error {
			return r.client.LeasesService().Delete(ctx, leases.Lease{ID: id})
		})
		r.holdLease(id, false)
	}, nil
}

func (r *Runtime) holdLease(id string, held bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if held {
		r.leases[id] = true
	} else {
		delete(r.leases, id)
	}
}

func (r *Runtime) leaseHeld(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leases[id]
}

// sweepLeases deletes the leases of ours that nobody holds, and what only
// they kept.
func (r *Runtime) sweepLeases(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(r.scope(ctx), cleanupTimeout)
	defer cancel()
	all, err := r.client.LeasesService().List(ctx, fmt.Sprintf("labels.%q==%s", labelNode, strconv.Quote(r.cfg.NodeID)))
	if err != nil {
		return failed("list leases of node", r.cfg.NodeID, err)
	}
	for _, l := range all {
		if r.leaseHeld(l.ID) || strings.HasPrefix(l.ID, pullLease) {
			continue
		}
		if err := r.client.LeasesService().Delete(ctx, l, leases.SynchronousDelete); err != nil && !isNotFound(err) {
			return failed("delete lease", l.ID, err)
		}
	}
	return nil
}
