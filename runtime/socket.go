package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

// ShimSockets is where root's shims listen, whatever containerd's folders are.
const ShimSockets = "/run/containerd/s"

// A shim ends by itself once its last task was deleted; this is how long it
// gets, and how often it is looked at.
const (
	shimEnd   = time.Second
	shimPause = 5 * time.Millisecond
)

// removeSocket removes the socket of a pod's shim together with the pod's last
// container. The shim itself leaves it there: it looks for one named after the
// container, but that of a shared shim is named after the group.
func (r *Runtime) removeSocket(ctx context.Context, id string, uid types.UID) error {
	if _, err := os.Lstat(r.socketPath(uid)); err != nil {
		return ignoreMissing(err)
	}
	siblings, err := r.siblings(ctx, uid)
	if err != nil {
		return err
	}
	for _, c := range siblings {
		if c.ID != id {
			return nil
		}
	}
	r.noteShim(uid, false)
	return r.endShim(ctx, uid)
}

// Forget ends the shim of a pod of which no container is recorded any more:
// containerd's records were lost, and its next start forgot the shim, which
// holds on to the pod's files.
func (r *Runtime) Forget(ctx context.Context, uid types.UID) error {
	return r.removeSocket(r.scope(ctx), "", uid)
}

// socketPath is the name that the shim of a group gives to its socket.
func (r *Runtime) socketPath(uid types.UID) string {
	address := strings.TrimPrefix(r.cfg.Address, "unix://")
	sum := sha256.Sum256([]byte(filepath.Join(address, r.cfg.Namespace, string(uid))))
	return filepath.Join(ShimSockets, hex.EncodeToString(sum[:]))
}

// listens tells whether a process accepts connections at a socket. Only a
// refusal is taken for a no.
func listens(path string) bool {
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
		return true
	}
	return !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.ENOENT)
}
