// Package network connects pods. A pod has a namespace of its own, pinned by
// a bind mount, so that it needs no process, survives the daemon and can be
// joined by path; a point-to-point link to the host, without a bridge; and an
// address of each family that the host routes to that link. What the host
// does for pods beyond routing (ports, masquerade, what pods may not reach)
// is one nftables table, set whole.
//
// The kernel is what is true: links, routes and namespaces say which pods
// there are and which addresses are in use. Beside each pinned namespace only
// its pod's addresses are stored, for when its link or its routes are gone.
package network

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/internal/nspin"
	"github.com/podstead/podstead/pod"
)

// Config says where namespaces are pinned and how pods are connected.
type Config struct {
	// RunDir is the daemon's folder that a reboot clears; namespaces are
	// pinned in its folder netns, and the addresses of their pods are in its
	// folder netns-addresses. Networks of different run directories on
	// one host keep apart: each has its own links and its own table.
	RunDir string
	// PodCIDRs are the ranges of pods' addresses, at most one of each family;
	// DefaultPodCIDRs if empty.
	PodCIDRs []netip.Prefix
	// ServiceCIDRs are the ranges of Services' addresses, at most one of each
	// family, apart from those of pods; DefaultServiceCIDRs if empty.
	ServiceCIDRs []netip.Prefix
	// NamesPort is the port on which a name server of the host listens at each
	// address that NameServers returns; it is led to from port 53 of these, and
	// pods and the host alone reach it. 0 for none.
	NamesPort uint16
	// NoMasquerade lets pods' own addresses leave the host; otherwise others
	// see the host's.
	NoMasquerade bool
	// AllowMetadata lets pods reach the metadata services of clouds at
	// 169.254.169.254 and fd00:ec2::254.
	AllowMetadata bool
	// LoopbackForwarder serves TCP ports of the host on [::1] too, through a
	// forwarder in this process; otherwise they are refused there.
	LoopbackForwarder bool
	// CgroupRoot is the folder of all pods in each cgroup hierarchy, by which
	// Listeners knows pods' processes; /podstead if empty.
	CgroupRoot string
	// HostIPs returns the addresses of pods on the host's network, primary
	// first; the package's HostIPs if nil.
	HostIPs func() ([]string, error)
	// Report is told by Run of what others did to the network and of what
	// could not be mended. It must not block. It may be nil.
	Report func(Event)
	// Warned is told by Run that Warnings are others now. It must not block.
	// It may be nil.
	Warned func()
}

// Event is something that happened to the network without our doing.
type Event struct {
	// UID is the pod that it is about; empty for all.
	UID types.UID
	// CutOff tells that the pod's link is gone: Ensure makes it again. It is
	// told again, after a second and then ever less often, until it is made.
	CutOff bool
	// Message says what was found and what is done now; empty for what is told
	// again.
	Message string
}

// Network makes, finds and removes the networks of pods. Its methods may be
// called at the same time for different pods.
type Network struct {
	cfg   Config
	dir   string
	owner string
	addrs *addresses
	rules *table
	ways  *serviceRanges
	// wanted is what Set was last called with, for Run.
	wanted *latest
	warn   warnings
	// setting lets one Set at a time through.
	setting sync.Mutex
	// preset guards making: how many calls make the network of each pod, which
	// need the table though no pod has an address yet.
	preset sync.Mutex
	making map[types.UID]int
}

// New changes nothing on the host.
func New(cfg Config) (*Network, error) {
	if !filepath.IsAbs(cfg.RunDir) {
		return nil, fmt.Errorf("network: run directory %q: want an absolute path", cfg.RunDir)
	}
	if len(cfg.PodCIDRs) == 0 {
		cfg.PodCIDRs = DefaultPodCIDRs()
	}
	if len(cfg.ServiceCIDRs) == 0 {
		cfg.ServiceCIDRs = DefaultServiceCIDRs(cfg.PodCIDRs)
	}
	if err := errors.Join(checkRanges(cfg.PodCIDRs), checkServiceRanges(cfg.ServiceCIDRs, cfg.PodCIDRs)); err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	if cfg.HostIPs == nil {
		cfg.HostIPs = HostIPs
	}
	if cfg.CgroupRoot == "" {
		cfg.CgroupRoot = "/podstead"
	}
	if cfg.Report == nil {
		cfg.Report = func(Event) {}
	}
	if cfg.Warned == nil {
		cfg.Warned = func() {}
	}
	owner := digest(cfg.RunDir)[:8]
	dir := filepath.Join(cfg.RunDir, "netns")
	return &Network{
		cfg: cfg, dir: dir, owner: owner,
		addrs: newAddresses(cfg.PodCIDRs, owner, records{dir, filepath.Join(cfg.RunDir, "netns-addresses")}), rules: newTable(tableName(cfg.RunDir, owner)),
		ways:   &serviceRanges{ranges: cfg.ServiceCIDRs, file: filepath.Join(cfg.RunDir, "service-ranges")},
		wanted: newLatest(), making: map[types.UID]int{},
	}, nil
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// Ensure makes the pod's network or finds it made and mends what is missing.
// A pod on the host's network has no namespace and the host's addresses.
// *pod.Refused with the reason NetworkNotReady says that no address can be
// given now, and with SysctlForbidden that the kernel did not take a net.*
// sysctl of the pod.
func (n *Network) Ensure(ctx context.Context, uid types.UID, p *corev1.Pod) (pod.Attachment, error) {
	if err := ctx.Err(); err != nil {
		return pod.Attachment{}, err
	}
	if p.Spec.HostNetwork {
		ips, err := n.cfg.HostIPs()
		if err != nil {
			return pod.Attachment{}, fmt.Errorf("network of pod %s: %w", uid, err)
		}
		return pod.Attachment{IPs: ips}, nil
	}
	path, err := n.path(uid)
	if err != nil {
		return pod.Attachment{}, err
	}
	ips, err := n.ensure(ctx, newWire(n.owner, uid, path), p)
	if err != nil {
		return pod.Attachment{}, fmt.Errorf("network of pod %s: %w", uid, err)
	}
	return pod.Attachment{NetNS: path, IPs: ips}, nil
}

// ensure: the table comes before the first link, so that no pod is ever
// without what keeps it from the host's loopback.
func (n *Network) ensure(ctx context.Context, w wire, p *corev1.Pod) ([]string, error) {
	six := ipv6Enabled()
	if err := n.prepareHost(ctx, w.uid, six); err != nil {
		return nil, err
	}
	defer n.made(w.uid)
	if err := n.addrs.start(); err != nil {
		return nil, err
	}
	if err := ensureNamespace(w.path, sysctls(p)); err != nil {
		return nil, err
	}
	link, err := w.ensureLink()
	if err != nil {
		return nil, err
	}
	if err := w.hostSide(link, six); err != nil {
		return nil, err
	}
	// A link that is made again has to carry what Set gave the one before.
	wanted, _ := n.wanted.last()
	if err := n.openLoopback(wanted, w.uid); err != nil {
		return nil, err
	}
	addrs, err := n.addrs.claim(w.uid, link.Attrs().Index, six)
	if err != nil {
		return nil, err
	}
	if err := w.podSide(link, addrs); err != nil {
		return nil, err
	}
	ips := make([]string, len(addrs))
	for i, a := range addrs {
		ips[i] = a.String()
	}
	return ips, nil
}

// prepareHost makes the host ready for its first pod. Each that succeeds is
// followed by made.
func (n *Network) prepareHost(ctx context.Context, uid types.UID, six bool) error {
	n.preset.Lock()
	defer n.preset.Unlock()
	// What keeps Services from having addresses is told by Set and Warnings, and
	// holds no pod back.
	inUse, _ := n.ways.use()
	if err := n.rules.ensure(ctx, n.render(pod.NetworkConfig{}, inUse, nil)); err != nil {
		return err
	}
	if err := forward(six); err != nil {
		return err
	}
	n.making[uid]++
	return nil
}

func (n *Network) made(uid types.UID) {
	n.preset.Lock()
	defer n.preset.Unlock()
	if n.making[uid]--; n.making[uid] == 0 {
		delete(n.making, uid)
	}
}

// beingMade are the pods whose network Ensure works on.
func (n *Network) beingMade() map[types.UID]int {
	n.preset.Lock()
	defer n.preset.Unlock()
	return maps.Clone(n.making)
}

// tidy deletes the table when there is no pod that needs it. It tells whether
// there was none.
func (n *Network) tidy(ctx context.Context) (bool, error) {
	n.preset.Lock()
	defer n.preset.Unlock()
	if held, err := n.addrs.holders(); err != nil || len(held) > 0 || len(n.making) > 0 {
		return false, err
	}
	return true, errors.Join(n.rules.remove(ctx), n.ways.leave())
}

// tidyAfterLast deletes the table after the last pod, unless Services need it.
func (n *Network) tidyAfterLast(ctx context.Context) error {
	n.setting.Lock()
	defer n.setting.Unlock()
	if wanted, _ := n.wanted.last(); len(wanted.Services) > 0 {
		return nil
	}
	_, err := n.tidy(ctx)
	return err
}

// ensureNamespace pins a namespace at path unless one is. Loopback is up and
// sysctls are set before a namespace is pinned, so what is pinned is whole.
func ensureNamespace(path string, sysctls []corev1.Sysctl) error {
	pinned, err := nspin.Pinned(nspin.Net, path)
	if err != nil || pinned {
		return err
	}
	if err := nspin.Unpin(path); err != nil {
		return err
	}
	return nspin.Pin(map[nspin.Kind]string{nspin.Net: path}, func() error {
		if err := loopbackUp(); err != nil {
			return err
		}
		return setSysctls(sysctls)
	})
}

// Remove takes the pod's link, routes and namespace away and frees its
// addresses when they are gone; with the last pod, and if there are no
// Services, our table. A pod without
// any is no error. Processes that are still in the namespace keep it alive,
// out of reach.
func (n *Network) Remove(ctx context.Context, uid types.UID) error {
	path, err := n.path(uid)
	if err != nil {
		return err
	}
	w := newWire(n.owner, uid, path)
	if err := n.addrs.leaving(uid); err != nil {
		return fmt.Errorf("network of pod %s: %w", uid, err)
	}
	if err := w.removeLink(); err != nil {
		return fmt.Errorf("network of pod %s: %w", uid, err)
	}
	if err := nspin.Unpin(path); err != nil {
		return fmt.Errorf("network of pod %s: %w", uid, err)
	}
	last, err := n.addrs.release(uid)
	if err == nil && last {
		err = n.tidyAfterLast(ctx)
	}
	if err != nil {
		return fmt.Errorf("network of pod %s: %w", uid, err)
	}
	return nil
}

// List returns the UIDs of all pods that have a namespace or a link here,
// half-made ones too, sorted.
func (n *Network) List(context.Context) ([]types.UID, error) {
	entries, err := os.ReadDir(n.dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	links, err := ownLinks(n.owner)
	if err != nil {
		return nil, err
	}
	uids := make([]types.UID, 0, len(entries)+len(links))
	for _, e := range entries {
		uids = append(uids, types.UID(e.Name()))
	}
	for _, uid := range links {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	return slices.Compact(uids), nil
}

func (n *Network) path(uid types.UID) (string, error) {
	if uid == "" || uid == "." || uid == ".." || strings.ContainsAny(string(uid), "/\x00") {
		return "", fmt.Errorf("network of pod %q: want a UID that can be a file name", uid)
	}
	return filepath.Join(n.dir, string(uid)), nil
}
