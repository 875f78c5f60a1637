// Package network gives pods their network namespaces. A pod's namespace is
// pinned by a bind mount, so that it needs no process, survives the daemon
// and can be joined by path.
package network

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/internal/nspin"
	"github.com/podstead/podstead/pod"
)

// Config says where namespaces are pinned.
type Config struct {
	// RunDir is the daemon's folder that a reboot clears; namespaces are
	// pinned in its folder netns.
	RunDir string
	// HostIPs returns the addresses of pods on the host's network, primary
	// first; the package's HostIPs if nil.
	HostIPs func() ([]string, error)
}

// Network makes, finds and removes the network namespaces of pods. Its
// methods may be called at the same time for different pods.
type Network struct {
	dir     string
	hostIPs func() ([]string, error)
}

// New changes nothing on the host.
func New(cfg Config) (*Network, error) {
	if !filepath.IsAbs(cfg.RunDir) {
		return nil, fmt.Errorf("network: run directory %q: want an absolute path", cfg.RunDir)
	}
	if cfg.HostIPs == nil {
		cfg.HostIPs = HostIPs
	}
	return &Network{dir: filepath.Join(cfg.RunDir, "netns"), hostIPs: cfg.HostIPs}, nil
}

// Ensure makes the pod's network or finds it made. A pod on the host's
// network has no namespace and the host's addresses; any other has loopback
// only.
func (n *Network) Ensure(ctx context.Context, uid types.UID, p *corev1.Pod) (pod.Attachment, error) {
	if err := ctx.Err(); err != nil {
		return pod.Attachment{}, err
	}
	if p.Spec.HostNetwork {
		ips, err := n.hostIPs()
		if err != nil {
			return pod.Attachment{}, fmt.Errorf("network of pod %s: %w", uid, err)
		}
		return pod.Attachment{IPs: ips}, nil
	}
	path, err := n.path(uid)
	if err != nil {
		return pod.Attachment{}, err
	}
	if err := ensureNamespace(path); err != nil {
		return pod.Attachment{}, fmt.Errorf("network of pod %s: %w", uid, err)
	}
	return pod.Attachment{NetNS: path}, nil
}

// ensureNamespace pins a namespace at path unless one is. Loopback is up
// before a namespace is pinned, so what is pinned is whole.
func ensureNamespace(path string) error {
	pinned, err := nspin.Pinned(nspin.Net, path)
	if err != nil || pinned {
		return err
	}
	if err := nspin.Unpin(path); err != nil {
		return err
	}
	return nspin.Pin(map[nspin.Kind]string{nspin.Net: path}, loopbackUp)
}

// Remove takes the pod's namespace away. A pod without one is no error.
// Processes that are still in it keep it alive, out of reach.
func (n *Network) Remove(_ context.Context, uid types.UID) error {
	path, err := n.path(uid)
	if err != nil {
		return err
	}
	if err := nspin.Unpin(path); err != nil {
		return fmt.Errorf("network of pod %s: %w", uid, err)
	}
	return nil
}

// List returns the UIDs of all pods that have a namespace here, half-made
// ones too, sorted.
func (n *Network) List(context.Context) ([]types.UID, error) {
	entries, err := os.ReadDir(n.dir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	uids := make([]types.UID, 0, len(entries))
	for _, e := range entries {
		uids = append(uids, types.UID(e.Name()))
	}
	slices.Sort(uids)
	return uids, nil
}

func (n *Network) path(uid types.UID) (string, error) {
	if uid == "" || uid == "." || uid == ".." || strings.ContainsAny(string(uid), "/\x00") {
		return "", fmt.Errorf("network of pod %q: want a UID that can be a file name", uid)
	}
	return filepath.Join(n.dir, string(uid)), nil
}
