package network

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/podstead/podstead/internal/nspin"
)

// link makes a link with addresses in the present namespace.
func link(name string, addresses ...string) error {
	l := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "p"}
	if err := errors.Join(netlink.LinkAdd(l), netlink.LinkSetUp(l)); err != nil {
		return err
	}
	for _, a := range addresses {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			return err
		}
		addr.Flags = 0x02 // IFA_F_NODAD: usable at once
		if err := netlink.AddrAdd(l, addr); err != nil {
			return err
		}
	}
	return nil
}

func defaultRoute(name string, metric int) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{
		LinkIndex: l.Attrs().Index, Priority: metric, Scope: netlink.SCOPE_LINK,
		Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)},
	})
}

func TestHostIPsPreferTheDefaultRoute(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, tc := range []struct {
		name  string
		setup func() error
		want  []string
	}{
		{"nothing but loopback", loopbackUp, nil},
		{"no default route", func() error {
			return errors.Join(link("d0", "10.0.0.1/24", "fd00::1/64"), link("d1", "10.0.1.1/24"))
		}, []string{"10.0.0.1", "fd00::1"}},
		{"the default route's link", func() error {
			return errors.Join(link("d0", "10.0.0.1/24"), link("d1", "10.0.1.1/24"), defaultRoute("d1", 0))
		}, []string{"10.0.1.1"}},
		{"the best of two default routes", func() error {
			return errors.Join(link("d0", "10.0.0.1/24"), link("d1", "10.0.1.1/24"), defaultRoute("d0", 200), defaultRoute("d1", 100))
		}, []string{"10.0.1.1"}},
		{"link-local does not count", func() error { return link("d0", "169.254.1.1/16") }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			pin := filepath.Join(t.TempDir(), "ns")
			t.Cleanup(func() { _ = nspin.Unpin(pin) })
			err := nspin.Pin(map[nspin.Kind]string{nspin.Net: pin}, func() (err error) {
				if err := tc.setup(); err != nil {
					return err
				}
				got, err = HostIPs()
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("HostIPs = %q, want %q", got, tc.want)
			}
		})
	}
}
