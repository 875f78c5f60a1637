package network

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// TestWatchHostIPs adds an address to a host that has none, in a namespace of
// its own, and expects to be told.
func TestWatchHostIPs(t *testing.T) {
	runtime.LockOSThread() // the thread is thrown away with its namespace
	before, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("make a network namespace (are we root?): %v", err)
	}
	defer ns.Close()

	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan []string, 10)
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(ns); err != nil {
			ended <- err
			return
		}
		ended <- WatchHostIPs(ctx, func(ips []string) { told <- ips })
	}()
	expectIPs(t, told, nil)
	link, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(198, 51, 100, 7), Mask: net.CIDRMask(24, 32)}}
	if err := errors.Join(netlink.LinkSetUp(link), netlink.AddrAdd(link, address)); err != nil {
		t.Fatal(err)
	}
	expectIPs(t, told, []string{"198.51.100.7"})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

// expectIPs waits until the wanted addresses were told.
func expectIPs(t *testing.T, told <-chan []string, want []string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case ips := <-told:
			ips = slices.DeleteFunc(ips, func(ip string) bool { return net.ParseIP(ip).IsLinkLocalUnicast() })
			if slices.Equal(ips, want) {
				return
			}
		case <-deadline:
			t.Fatalf("never told of %v", want)
		}
	}
}
