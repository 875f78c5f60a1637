package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// nftGroup is the multicast group of changes of nftables.
const nftGroup = 7 // NFNLGRP_NFTABLES

// hostGroups are those of links, addresses, routes and forwarding.
func hostGroups() []uint {
	return []uint{
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF,
	}
}

// hear hands every message of the kernel to sort, and nil when some may have
// been missed.
func (n *Network) hear(ctx context.Context, protocol int, sort func(*syscall.NetlinkMessage), groups ...uint) error {
	for {
		err := hearOnce(ctx, protocol, sort, groups...)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, unix.ENOBUFS) {
			n.cfg.Report(Event{Message: fmt.Sprintf("changes of the host's network are not noticed at the moment: %v; it is tried again", err)})
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
		}
	}
}

func hearOnce(ctx context.Context, protocol int, sort func(*syscall.NetlinkMessage), groups ...uint) error {
	s, err := nl.Subscribe(protocol, groups...)
	if err != nil {
		return fmt.Errorf("subscribe to netlink: %w", err)
	}
	stop := context.AfterFunc(ctx, s.Close)
	defer func() {
		if stop() {
			s.Close()
		}
	}()
	sort(nil)
	for {
		messages, _, err := s.Receive()
		if err != nil {
			return fmt.Errorf("receive from netlink: %w", err)
		}
		for i := range messages {
			sort(&messages[i])
		}
	}
}

// tell leaves a sign; one is enough.
func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sortRules tells changes of our table from those of others, whose elements
// don't matter.
func (n *Network) sortRules(ours, foreign chan<- struct{}) func(*syscall.NetlinkMessage) {
	return func(m *syscall.NetlinkMessage) {
		if m == nil {
			tell(ours)
			tell(foreign)
			return
		}
		name := tableOf(m.Data)
		switch kind := m.Header.Type & 0xff; {
		case name == "":
		case name == n.rules.name:
			tell(ours)
		case slices.Contains([]uint16{unix.NFT_MSG_NEWCHAIN, unix.NFT_MSG_DELCHAIN, unix.NFT_MSG_NEWRULE, unix.NFT_MSG_DELRULE}, kind) && !ourName(name):
			tell(foreign)
		}
	}
}

// tableOf returns the table that a message of nftables is about: the first
// attribute, of number 1, of all kinds but generations.
func tableOf(data []byte) string {
	return strings.TrimRight(string(attribute(data, nl.SizeofNfgenmsg, unix.NFTA_TABLE_NAME)), "\x00")
}

// ourName tells of the tables of all podsteads.
func ourName(table string) bool { return table == "podstead" || strings.HasPrefix(table, "podstead-") }

// sortHost tells what pods may have lost (links, addresses and routes that
// went, links and forwarding that changed) from what else the warnings depend
// on: the host's own links and routes, which come and go with its addresses.
func (n *Network) sortHost(lost, other chan<- struct{}) func(*syscall.NetlinkMessage) {
	return func(m *syscall.NetlinkMessage) {
		if m == nil {
			tell(lost)
			tell(other)
			return
		}
		switch kind := m.Header.Type; kind {
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			if ofPod(m.Data) {
				tell(lost)
			} else {
				tell(other)
			}
		case unix.RTM_DELADDR:
			tell(lost)
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			if n.isWay(m.Data) || likeOurs(m.Data) {
				if kind == unix.RTM_DELROUTE {
					tell(lost)
				}
			} else {
				tell(other)
			}
		case unix.RTM_NEWNETCONF:
			tell(lost)
		}
	}
}

// ofPod tells of links that have the name or the group of pods' links.
func ofPod(data []byte) bool {
	name := attribute(data, unix.SizeofIfInfomsg, unix.IFLA_IFNAME)
	group := attribute(data, unix.SizeofIfInfomsg, unix.IFLA_GROUP)
	return isLinkName(strings.TrimRight(string(name), "\x00")) || len(group) == 4 && binary.NativeEndian.Uint32(group) == linkGroup
}

// likeOurs tells of routes as those to pods are: set by a program, to a single
// address.
func likeOurs(data []byte) bool {
	if len(data) < unix.SizeofRtMsg {
		return false
	}
	bits := uint8(32)
	if data[0] == unix.AF_INET6 {
		bits = 128
	}
	return data[1] == bits && data[5] == unix.RTPROT_STATIC
}

// isWay tells of routes to the ranges of Services.
func (n *Network) isWay(data []byte) bool {
	dst, ok := netip.AddrFromSlice(attribute(data, unix.SizeofRtMsg, unix.RTA_DST))
	return ok && data[5] == unix.RTPROT_STATIC && slices.Contains(n.ways.ranges, netip.PrefixFrom(dst, int(data[1])))
}

// attribute returns an attribute of a message of the kernel after its header,
// nil if there is none.
func attribute(data []byte, header int, number uint16) []byte {
	if len(data) < header {
		return nil
	}
	attrs, err := nl.ParseRouteAttr(data[header:])
	if err != nil {
		return nil
	}
	for _, a := range attrs {
		if a.Attr.Type == number {
			return a.Value
		}
	}
	return nil
}

// generation is the number of transactions that nftables made in the host's
// namespace.
func generation() (uint32, error) {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, 0)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
	answers, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return 0, fmt.Errorf("ask nftables for its generation: %w", err)
	}
	for _, a := range answers {
		if len(a) < nl.SizeofNfgenmsg {
			continue
		}
		attrs, err := nl.ParseRouteAttr(a[nl.SizeofNfgenmsg:])
		if err != nil {
			return 0, fmt.Errorf("read the generation of nftables: %w", err)
		}
		for _, attr := range attrs {
			if attr.Attr.Type == unix.NFTA_GEN_ID && len(attr.Value) == 4 {
				return binary.BigEndian.Uint32(attr.Value), nil
			}
		}
	}
	return 0, errors.New("nftables tells no generation")
}
