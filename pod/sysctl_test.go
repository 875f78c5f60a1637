package pod_test

import (
	"testing"

	"github.com/podstead/podstead/pod"
)

func TestSysctlName(t *testing.T) {
	for name, want := range map[string]string{
		"":                                 "",
		"vm":                               "vm",
		"kernel.shm_rmid_forced":           "kernel.shm_rmid_forced",
		"kernel/shm_rmid_forced":           "kernel.shm_rmid_forced",
		"net/ipv4/conf/eno2.100/rp_filter": "net.ipv4.conf.eno2/100.rp_filter",
		"net.ipv4.conf.eno2/100.rp_filter": "net.ipv4.conf.eno2/100.rp_filter",
	} {
		if got := pod.SysctlName(name); got != want {
			t.Errorf("SysctlName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestSysctlPath(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.tcp_syncookies":          "net/ipv4/tcp_syncookies",
		"net/ipv4/tcp_syncookies":          "net/ipv4/tcp_syncookies",
		"net.ipv4.conf.eno2/100.rp_filter": "net/ipv4/conf/eno2.100/rp_filter",
	} {
		if got := pod.SysctlPath(name); got != want {
			t.Errorf("SysctlPath(%q) = %q, want %q", name, got, want)
		}
	}
}
