package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/podstead/podstead/test/harness"
)

var linkRows = []row{{"RemovedLinkIsMadeAgain", linkIsMadeAgain}}

// linkIsMadeAgain takes a pod's link away: the pod is connected again, under
// the same addresses, and its container goes on.
func linkIsMadeAgain(t *testing.T, h *harness.Host) {
	p := runs(h, "unplugged", simple("unplugged", script("/bin/busybox httpd -p 8000 -h /"), "", ""))
	address := netip.AddrPortFrom(netip.MustParseAddr(p.Status.PodIP), 8000).String()
	answers := func() error {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return err
		}
		return c.Close()
	}
	h.Eventually(patience, answers)
	link := linkOf(t, p.Status.PodIP)
	if err := netlink.LinkDel(link); err != nil {
		t.Fatal(err)
	}
	h.Eventually(patience, func() error {
		now, err := h.Pod("default/unplugged")
		if err != nil {
			return err
		}
		c := now.Status.ContainerStatuses[0]
		if now.UID != p.UID || c.RestartCount != 0 || c.ContainerID != containerID(p) || fmt.Sprint(now.Status.PodIPs) != fmt.Sprint(p.Status.PodIPs) {
			t.Fatalf("it is pod %s with %v, %+v, want the same as before: %s, %v", now.UID, now.Status.PodIPs, c, p.UID, p.Status.PodIPs)
		}
		return answers()
	})
	told(h, []string{"NetworkChanged", "pod default/unplugged: ", "removed the link " + link.Attrs().Name}, "events", "--for", "pod/unplugged")
}

// linkOf is the link of the host that an address alone is routed to.
func linkOf(t *testing.T, ip string) netlink.Link {
	t.Helper()
	routes, err := netlink.RouteGet(net.ParseIP(ip))
	if err != nil || len(routes) == 0 {
		t.Fatal(errors.Join(err, fmt.Errorf("no route to %s", ip)))
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		t.Fatal(err)
	}
	return link
}
