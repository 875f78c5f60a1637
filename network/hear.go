package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// nftGroup is the multicast group of changes of nftables.
const nftGroup = 7 // NFNLGRP_NFTABLES

// hostGroups are those of links, routes and forwarding.
func hostGroups() []uint {
	return []uint{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF}
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
	if len(data) < nl.SizeofNfgenmsg {
		return ""
	}
	attrs, err := nl.ParseRouteAttr(data[nl.SizeofNfgenmsg:])
	if err != nil {
		return ""
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.NFTA_TABLE_NAME {
			return strings.TrimRight(string(a.Value), "\x00")
		}
	}
	return ""
}

// ourName tells of the tables of all podsteads.
func ourName(table string) bool { return table == "podstead" || strings.HasPrefix(table, "podstead-") }

// sortHost picks out links and routes that went, and changes of forwarding.
func (n *Network) sortHost(changed chan<- struct{}) func(*syscall.NetlinkMessage) {
	return func(m *syscall.NetlinkMessage) {
		switch {
		case m == nil, m.Header.Type == unix.RTM_DELLINK, m.Header.Type == unix.RTM_NEWNETCONF, m.Header.Type == unix.RTM_DELROUTE && ofHost(m.Data):
			tell(changed)
		}
	}
}

// ofHost tells of routes to a single address, as pods have them.
func ofHost(data []byte) bool { return len(data) >= unix.SizeofRtMsg && data[1] >= 32 }

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
