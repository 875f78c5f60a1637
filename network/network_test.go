package network_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/internal/nspin"
	"github.com/podstead/podstead/network"
)

func start(t *testing.T) (*network.Network, string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	n, err := network.New(network.Config{RunDir: dir, HostIPs: func() ([]string, error) { return []string{"192.0.2.1"}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		uids, _ := n.List(context.Background())
		for _, uid := range uids {
			if err := n.Remove(context.Background(), uid); err != nil {
				t.Errorf("clean up: %v", err)
			}
		}
	})
	return n, dir
}

func TestEnsureFindsWhatIsMade(t *testing.T) {
	n, _ := start(t)
	var inode uint64
	for range 3 {
		a, err := n.Ensure(t.Context(), "one", &corev1.Pod{})
		if err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(a.NetNS, &st); err != nil {
			t.Fatal(err)
		}
		if inode != 0 && st.Ino != inode {
			t.Error("a pod got a second namespace")
		}
		inode = st.Ino
	}
}

func TestEnsureMendsWhatIsHalfMade(t *testing.T) {
	n, dir := start(t)
	path := filepath.Join(dir, "netns/one")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o444)); err != nil {
		t.Fatal(err)
	}
	a, err := n.Ensure(t.Context(), "one", &corev1.Pod{})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := nspin.Pinned(nspin.Net, a.NetNS); !ok || err != nil {
		t.Errorf("pinned: %v, %v", ok, err)
	}
}

func TestHostNetwork(t *testing.T) {
	n, _ := start(t)
	a, err := n.Ensure(t.Context(), "one", &corev1.Pod{Spec: corev1.PodSpec{HostNetwork: true}})
	if err != nil || a.NetNS != "" || !slices.Equal(a.IPs, []string{"192.0.2.1"}) {
		t.Errorf("attachment %+v, %v, want the host's addresses and no namespace", a, err)
	}
	if uids, _ := n.List(t.Context()); len(uids) != 0 {
		t.Errorf("namespaces of %q were made", uids)
	}
}

func TestListAndRemove(t *testing.T) {
	n, _ := start(t)
	if uids, err := n.List(t.Context()); err != nil || len(uids) != 0 {
		t.Errorf("before anything: %q, %v", uids, err)
	}
	for _, uid := range []types.UID{"b", "a"} {
		if _, err := n.Ensure(t.Context(), uid, &corev1.Pod{}); err != nil {
			t.Fatal(err)
		}
	}
	if uids, err := n.List(t.Context()); err != nil || !slices.Equal(uids, []types.UID{"a", "b"}) {
		t.Errorf("List = %q, %v, want a, b", uids, err)
	}
	if err := errors.Join(n.Remove(t.Context(), "a"), n.Remove(t.Context(), "a")); err != nil {
		t.Error(err)
	}
	if uids, err := n.List(t.Context()); err != nil || !slices.Equal(uids, []types.UID{"b"}) {
		t.Errorf("List = %q, %v, want b", uids, err)
	}
	for _, uid := range []types.UID{"", "..", ".", "../x", "a/b"} {
		if err := n.Remove(t.Context(), uid); err == nil {
			t.Errorf("Remove(%q) was carried out", uid)
		}
	}
}

func TestHostIPs(t *testing.T) {
	ips, err := network.HostIPs()
	if err != nil {
		t.Fatal(err)
	}
	if len(ips) > 2 {
		t.Errorf("%q, want at most one of each family", ips)
	}
	for _, text := range ips {
		if ip := net.ParseIP(text); ip == nil || !ip.IsGlobalUnicast() {
			t.Errorf("%q is no address that others could use", text)
		}
	}
}
