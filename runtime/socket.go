package runtime

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

// shimSockets is where root's shims listen, whatever containerd's folders are.
const shimSockets = "/run/containerd/s"

// A shim ends by itself once its last task was deleted; this is how long it
// gets, and how often it is looked at.
const (
	shimEnd   = time.Second
	shimPause = 5 * time.Millisecond
)

// removeSocket removes the socket of a pod's shim together with the pod's last
// container. The shim itself leaves it there: it looks for one named after the
// container, but that of a shared shim is named after the group. A socket at
// which a shim still listens stays.
func (r *Runtime) removeSocket(ctx context.Context, id string, uid types.UID) error {
	path := r.socketPath(uid)
	if _, err := os.Lstat(path); err != nil {
		return ignoreMissing(err)
	}
	siblings, err := r.client.ContainerService().List(ctx, fmt.Sprintf("labels.%q==%s", labelUID, strconv.Quote(string(uid))))
	if err != nil {
		return failed("list the containers of pod", string(uid), err)
	}
	for _, c := range siblings {
		if c.ID != id {
			return nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, shimEnd)
	defer cancel()
	for listens(path) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(shimPause):
		}
	}
	return ignoreMissing(os.Remove(path))
}

// socketPath is the name that the shim of a group gives to its socket.
func (r *Runtime) socketPath(uid types.UID) string {
	address := strings.TrimPrefix(r.cfg.Address, "unix://")
	sum := sha256.Sum256([]byte(filepath.Join(address, r.cfg.Namespace, string(uid))))
	return filepath.Join(shimSockets, hex.EncodeToString(sum[:]))
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
