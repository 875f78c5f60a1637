package network

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/podstead/podstead/pod"
)

// Listeners returns the sockets of the host's network that listen on TCP and
// SCTP, or are bound and not connected on UDP, at one of the given ports, all
// if none are given, sorted by port. A socket that several processes hold is
// told with the one of the lowest PID; a process that went meanwhile, or that
// is in another PID namespace, has PID 0.
func (n *Network) Listeners(ctx context.Context, ports ...int32) ([]pod.Listener, error) {
	sockets, err := listening(ports)
	if err != nil {
		return nil, err
	}
	inodes := map[uint32]process{}
	for _, s := range sockets {
		if s.inode != 0 {
			inodes[s.inode] = process{}
		}
	}
	if err := findProcesses(ctx, inodes); err != nil {
		return nil, err
	}
	list := make([]pod.Listener, len(sockets))
	for i, s := range sockets {
		p := inodes[s.inode]
		list[i] = pod.Listener{HostPort: s.HostPort, PID: p.pid, Name: p.name}
		if p.pid != 0 {
			list[i].UID = podOf(p.pid, n.cfg.CgroupRoot)
		}
	}
	slices.SortFunc(list, func(a, b pod.Listener) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.IP, b.IP), cmp.Compare(a.PID, b.PID))
	})
	return list, nil
}

// socket is what holds a port.
type socket struct {
	pod.HostPort
	inode uint32
}

// States of sockets, as bits, that hold a port without a peer.
const (
	stateListen = 1 << 10 // TCP_LISTEN
	stateClose  = 1 << 7  // TCP_CLOSE, as UDP has it when not connected
)

func listening(ports []int32) ([]socket, error) {
	var all []socket
	for _, kind := range []struct {
		protocol uint8
		name     corev1.Protocol
		states   uint32
	}{{unix.IPPROTO_TCP, corev1.ProtocolTCP, stateListen}, {unix.IPPROTO_UDP, corev1.ProtocolUDP, stateClose}, {unix.IPPROTO_SCTP, corev1.ProtocolSCTP, stateListen}} {
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			answers, err := retry(func() ([][]byte, error) { return diagnose(family, kind.protocol, kind.states) })
			if err != nil && kind.name == corev1.ProtocolSCTP {
				continue // the kernel has no SCTP
			}
			if err != nil {
				return nil, fmt.Errorf("list the host's %s sockets: %w", kind.name, err)
			}
			for _, a := range answers {
				if s, ok := readSocket(a, kind.name); ok && (len(ports) == 0 || slices.Contains(ports, s.Port)) {
					all = append(all, s)
				}
			}
		}
	}
	return all, nil
}

// diagRequest is struct inet_diag_req_v2 with the rest zero: sockets of any
// address.
type diagRequest struct {
	family, protocol uint8
	states           uint32
}

const (
	sizeofDiagRequest = 56
	sizeofDiagMessage = 72
	// attrV6Only is INET_DIAG_SKV6ONLY.
	attrV6Only = 11
)

func (r *diagRequest) Len() int { return sizeofDiagRequest }

func (r *diagRequest) Serialize() []byte {
	b := make([]byte, sizeofDiagRequest)
	b[0], b[1] = r.family, r.protocol
	binary.NativeEndian.PutUint32(b[4:], r.states)
	return b
}

func diagnose(family, protocol uint8, states uint32) ([][]byte, error) {
	req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
	req.AddData(&diagRequest{family, protocol, states})
	answers, err := req.Execute(unix.NETLINK_INET_DIAG, 0)
	if errors.Is(err, netlink.ErrDumpInterrupted) || err == nil {
		return answers, err
	}
	return nil, err
}

// readSocket reads struct inet_diag_msg and its attributes.
func readSocket(b []byte, protocol corev1.Protocol) (socket, bool) {
	if len(b) < sizeofDiagMessage {
		return socket{}, false
	}
	size := 4
	if b[0] == unix.AF_INET6 {
		size = 16
	}
	ip, _ := netip.AddrFromSlice(b[8 : 8+size])
	s := socket{inode: binary.NativeEndian.Uint32(b[68:])}
	s.Protocol, s.Port = protocol, int32(binary.BigEndian.Uint16(b[4:]))
	switch {
	case ip.Is6() && ip.IsUnspecified() && !v6Only(b[sizeofDiagMessage:]):
		// All addresses of both families: the empty one.
	default:
		s.IP = ip.Unmap().String()
	}
	return s, s.Port != 0
}

func v6Only(attributes []byte) bool {
	attrs, err := nl.ParseRouteAttr(attributes)
	if err != nil {
		return false
	}
	for _, a := range attrs {
		if a.Attr.Type == attrV6Only && len(a.Value) > 0 {
			return a.Value[0] != 0
		}
	}
	return false
}
