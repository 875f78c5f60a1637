// Package sandbox makes what the containers of a pod share besides network,
// cgroup and volumes: pinned IPC and UTS namespaces, a tmpfs for /dev/shm and
// a small one for the files that podstead makes for the pod, /etc/hosts and
// /etc/resolv.conf among them.
package sandbox

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/internal/mounts"
	"github.com/podstead/podstead/internal/nspin"
	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/sandbox/names"
)

// Config says where sandboxes are.
type Config struct {
	// RunDir is the daemon's folder that a reboot clears; sandboxes are in
	// its folder pods, one folder per pod UID.
	RunDir string
	// BootID is the kernel's random boot id. Sandboxes of another boot are
	// not ready.
	BootID string
	// Now reads CLOCK_BOOTTIME and the wall clock.
	Now func() pod.Stamp
	// HostsFile, ResolvConf and UpstreamResolvConf are the host's files that
	// those of pods are made from, read when a sandbox is made; /etc/hosts,
	// /etc/resolv.conf and /run/systemd/resolve/resolv.conf. The last one is
	// looked at where the second names nobody that a pod can ask.
	HostsFile, ResolvConf, UpstreamResolvConf string
	// NameServers are the addresses at which pods find Services by name, at
	// most one of each family; without, pods have the host's name servers.
	NameServers []netip.Addr
}

func (c Config) withDefaults() Config {
	c.HostsFile = cmp.Or(c.HostsFile, "/etc/hosts")
	c.ResolvConf = cmp.Or(c.ResolvConf, "/etc/resolv.conf")
	c.UpstreamResolvConf = cmp.Or(c.UpstreamResolvConf, "/run/systemd/resolve/resolv.conf")
	return c
}

// Sandboxes makes, finds and removes sandboxes. Its methods may be called at
// the same time for different pods.
type Sandboxes struct {
	cfg Config
	dir string
}

// New changes nothing on the host.
func New(cfg Config) (*Sandboxes, error) {
	if !filepath.IsAbs(cfg.RunDir) {
		return nil, fmt.Errorf("sandboxes: run directory %q: want an absolute path", cfg.RunDir)
	}
	if cfg.BootID == "" {
		return nil, errors.New("sandboxes: the boot id is empty: want the content of /proc/sys/kernel/random/boot_id")
	}
	return &Sandboxes{cfg: cfg.withDefaults(), dir: filepath.Join(cfg.RunDir, "pods")}, nil
}

// Prepare makes the sandbox of an instance or finds it made. One that is not
// whole, or of another boot or instance, is taken away and made anew with a
// new ID. A host name that Linux would not take, or a setting of the kernel
// that it refuses, is a *pod.Refused.
func (s *Sandboxes) Prepare(ctx context.Context, i pod.Instance, uid types.UID, p *corev1.Pod, net pod.Attachment) (pod.Sandbox, error) {
	dir, err := s.path(uid)
	if err != nil {
		return pod.Sandbox{}, err
	}
	called, err := s.names(p)
	if err != nil {
		return pod.Sandbox{}, err
	}
	have, err := s.look(uid)
	if err != nil {
		return pod.Sandbox{}, err
	}
	if have.Ready && have.Instance == i && have.NetNS == net.NetNS {
		return s.readdress(dir, have, p, called, net.IPs)
	}
	if err := mounts.RemoveAll(ctx, dir); err != nil {
		return pod.Sandbox{}, fmt.Errorf("sandbox of pod %s: clear what is half-made: %w", uid, err)
	}
	made, err := s.make(ctx, dir, plan(i, uid, p, net), p, called)
	if err != nil {
		return pod.Sandbox{}, fmt.Errorf("sandbox of pod %s: %w", uid, err)
	}
	return made, nil
}

// plan describes the sandbox that a pod needs, with paths relative to its
// folder.
func plan(i pod.Instance, uid types.UID, p *corev1.Pod, net pod.Attachment) pod.Sandbox {
	s := pod.Sandbox{Instance: i, UID: uid, NetNS: net.NetNS, IPs: net.IPs, FilesDir: "files", EtcDir: "files/etc"}
	if !p.Spec.HostIPC {
		s.IPCNS, s.ShmDir = "ns/ipc", "shm"
	}
	if !p.Spec.HostNetwork {
		s.UTSNS = "ns/uts"
	}
	return s
}

// names says what a pod is called. On the host's network the host's name is
// used too: they go together in Kubernetes.
func (s *Sandboxes) names(p *corev1.Pod) (names.Names, error) {
	if !p.Spec.HostNetwork {
		return names.Of(p)
	}
	host, err := os.Hostname()
	if err != nil {
		return names.Names{}, fmt.Errorf("ask the host's name: %w", err)
	}
	return names.Names{Host: host, Kernel: host}, nil
}

func (s *Sandboxes) make(ctx context.Context, dir string, b pod.Sandbox, p *corev1.Pod, called names.Names) (_ pod.Sandbox, err error) {
	if err := errors.Join(ctx.Err(), os.MkdirAll(dir, 0o700)); err != nil {
		return b, err
	}
	b = below(dir, b)
	b.Hostname = called.Kernel
	if err := pinNamespaces(b, p); err != nil {
		return b, err
	}
	if err := mountFolders(b); err != nil {
		return b, err
	}
	if b.Notes, err = s.writeFiles(b, p, called); err != nil {
		return b, err
	}
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return b, fmt.Errorf("make an id: %w", err)
	}
	b.ID, b.Ready, b.Created = hex.EncodeToString(id), true, s.cfg.Now()
	return b, s.record(dir, b)
}

// record writes down that a sandbox is whole.
func (s *Sandboxes) record(dir string, b pod.Sandbox) (err error) {
	r := recordOf(b, s.cfg.BootID)
	if b.NetNS != "" {
		if r.NetInode, err = nspin.Inode(b.NetNS); err != nil {
			return err
		}
	}
	return writeRecord(dir, r)
}

// below makes the relative paths of a plan absolute.
func below(dir string, b pod.Sandbox) pod.Sandbox {
	for _, p := range []*string{&b.IPCNS, &b.UTSNS, &b.ShmDir, &b.FilesDir, &b.EtcDir} {
		if *p != "" {
			*p = filepath.Join(dir, *p)
		}
	}
	return b
}

// List returns every sandbox on the host, sorted by UID. One that is not
// whole is not Ready; if it can't be read it has nothing but its UID.
func (s *Sandboxes) List(ctx context.Context) ([]pod.Sandbox, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list sandboxes: %w", err)
	}
	list := make([]pod.Sandbox, 0, len(entries))
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("list sandboxes: %w", err)
		}
		b, err := s.look(types.UID(e.Name()))
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b pod.Sandbox) int { return strings.Compare(string(a.UID), string(b.UID)) })
	return list, nil
}

// look reads one sandbox and checks that all of it is there. What is not
// there is not ready.
func (s *Sandboxes) look(uid types.UID) (pod.Sandbox, error) {
	dir, err := s.path(uid)
	if err != nil {
		return pod.Sandbox{}, err
	}
	r, err := readRecord(dir)
	if err != nil {
		return pod.Sandbox{}, fmt.Errorf("sandbox of pod %s: %w", uid, err)
	}
	b := r.sandbox()
	if b.UID != uid || b.ID == "" {
		return pod.Sandbox{UID: uid}, nil
	}
	if r.BootID != s.cfg.BootID {
		return b, nil
	}
	if b.Ready, err = whole(r); err != nil {
		return pod.Sandbox{}, fmt.Errorf("sandbox of pod %s: %w", uid, err)
	}
	return b, nil
}

// Remove takes a sandbox away: mounts, pins and files. One that is not there
// is no error. A mount that is in use is an error that names it; nothing is
// lost by calling again.
func (s *Sandboxes) Remove(ctx context.Context, uid types.UID) error {
	dir, err := s.path(uid)
	if err != nil {
		return err
	}
	// The record goes first, so that a removal that is cut short leaves
	// nothing that seems whole.
	if err := removeRecord(dir); err != nil {
		return fmt.Errorf("sandbox of pod %s: %w", uid, err)
	}
	if err := mounts.RemoveAll(ctx, dir); err != nil {
		return fmt.Errorf("sandbox of pod %s: %w", uid, err)
	}
	return nil
}

func (s *Sandboxes) path(uid types.UID) (string, error) {
	if uid == "" || uid == "." || uid == ".." || strings.ContainsAny(string(uid), "/\x00") {
		return "", fmt.Errorf("sandbox of pod %q: want a UID that can be a file name", uid)
	}
	return filepath.Join(s.dir, string(uid)), nil
}
