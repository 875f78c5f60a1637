package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/internal/nspin"
)

// Dial connects by TCP from inside the pod's network namespace, so that
// 127.0.0.1 and ::1 are the pod's own. It is for pods with a namespace of
// their own: a pod on the host's network has none, which is an error. Many
// may dial at the same time; each holds a thread until it is connected or
// ctx ends. The connection stays usable after the namespace was removed.
func (n *Network) Dial(ctx context.Context, uid types.UID, to netip.AddrPort) (net.Conn, error) {
	path, err := n.path(uid)
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	err = nspin.Inside(nspin.Net, path, func() error {
		// The socket is made by this very goroutine, and no name is looked
		// up, since the address is a literal.
		var d net.Dialer
		var err error
		conn, err = d.DialContext(ctx, "tcp", to.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("dial %s inside the network of pod %s: %w", to, uid, err)
	}
	return conn, nil
}
