package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// peer is who opened a connection, as the kernel noted it at that moment.
type peer struct {
	uid    uint32
	groups []uint32
	err    error
}

type peerKey struct{}

// withPeer keeps the connection's peer for the requests that come over it.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, peerOf(c))
}

// authorize lets root, and the members of the configured group, through. The
// modes of socket and folder say the same; this holds when someone loosened
// them.
func (s *Server) authorize(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := r.Context().Value(peerKey{}).(peer)
		switch {
		case !ok || p.err != nil:
			writeError(w, forbidden(fmt.Sprintf("the API can't tell who asks: %v", p.err)))
		case p.uid == 0, s.cfg.GroupID != 0 && slices.Contains(p.groups, uint32(s.cfg.GroupID)):
			next.ServeHTTP(w, r)
		case s.cfg.GroupID != 0:
			writeError(w, forbidden(fmt.Sprintf("user %d may not use podstead: only root and group %d may", p.uid, s.cfg.GroupID)))
		default:
			writeError(w, forbidden(fmt.Sprintf("user %d may not use podstead: only root may (socketGroup in the configuration admits a group)", p.uid)))
		}
	})
}

func forbidden(message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusForbidden,
		Reason: metav1.StatusReasonForbidden, Message: message,
	}}
}

func peerOf(c net.Conn) peer {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return peer{err: fmt.Errorf("a connection by %s has no credentials", c.LocalAddr().Network())}
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return peer{err: err}
	}
	var p peer
	err = raw.Control(func(fd uintptr) { p = peerOfSocket(int(fd)) })
	return peer{uid: p.uid, groups: p.groups, err: errors.Join(p.err, err)}
}

func peerOfSocket(fd int) peer {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return peer{err: fmt.Errorf("read the peer's credentials: %w", err)}
	}
	groups, err := peerGroups(fd)
	if err != nil {
		return peer{err: fmt.Errorf("read the peer's groups: %w", err)}
	}
	return peer{uid: cred.Uid, groups: append(groups, cred.Gid)}
}

// peerGroups reads the supplementary groups. The kernel says how many there
// are when the buffer is too small.
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 64)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4], nil
		case errno == unix.ERANGE && int(size/4) > len(groups):
			groups = make([]uint32, size/4)
		default:
			return nil, errno
		}
	}
}
