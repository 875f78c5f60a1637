// Package sandbox makes what the containers of a pod share besides network,
// cgroup and volumes: pinned IPC and UTS namespaces, a tmpfs for /dev/shm and
// a small one for the files that podstead makes for the pod.
package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/internal/mounts"
	"github.com/podstead/podstead/internal/nspin"
	"github.com/podstead/podstead/pod"
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
}

// Sandboxes makes, finds and removes sandboxes. Its methods may be called at
// the same time for different pods.
type Sandboxes struct {
	dir    string
	bootID string
	now    func() pod.Stamp
}

// New changes nothing on the host.
func New(cfg Config) (*Sandboxes, error) {
	if !filepath.IsAbs(cfg.RunDir) {
		return nil, fmt.Errorf("sandboxes: run directory %q: want an absolute path", cfg.RunDir)
	}
	if cfg.BootID == "" {
		return nil, errors.New("sandboxes: the boot id is empty: want the content of /proc/sys/kernel/random/boot_id")
	}
	return &Sandboxes{dir: filepath.Join(cfg.RunDir, "pods"), bootID: cfg.BootID, now: cfg.Now}, nil
}

// Prepare makes the sandbox of an instance or finds it made. One that is not
// whole, or of another boot or instance, is taken away and made anew with a
// new ID.
func (s *Sandboxes) Prepare(ctx context.Context, i pod.Instance, uid types.UID, p *corev1.Pod, net pod.Attachment) (pod.Sandbox, error) {
	dir, err := s.path(uid)
	if err != nil {
		return pod.Sandbox{}, err
	}
	have, err := s.look(uid)
	if err != nil {
		return pod.Sandbox{}, err
	}
	if have.Ready && have.Instance == i && have.NetNS == net.NetNS {
		have.IPs = net.IPs
		return have, nil
	}
	if err := mounts.RemoveAll(ctx, dir); err != nil {
		return pod.Sandbox{}, fmt.Errorf("sandbox of pod %s: clear what is half-made: %w", uid, err)
	}
	made, err := s.make(ctx, dir, plan(i, uid, p, net))
	if err != nil {
		return pod.Sandbox{}, fmt.Errorf("sandbox of pod %s: %w", uid, err)
	}
	return made, nil
}

// plan describes the sandbox that a pod needs, with paths relative to its
// folder.
func plan(i pod.Instance, uid types.UID, p *corev1.Pod, net pod.Attachment) pod.Sandbox {
	s := pod.Sandbox{Instance: i, UID: uid, NetNS: net.NetNS, IPs: net.IPs, FilesDir: "files"}
	if !p.Spec.HostIPC {
		s.IPCNS, s.ShmDir = "ns/ipc", "shm"
	}
	// On the host's network the host's name is used too: they go together in
	// Kubernetes.
	if !p.Spec.HostNetwork {
		s.UTSNS, s.Hostname = "ns/uts", Hostname(p)
	}
	return s
}

func (s *Sandboxes) make(ctx context.Context, dir string, b pod.Sandbox) (_ pod.Sandbox, err error) {
	if err := errors.Join(ctx.Err(), os.MkdirAll(dir, 0o700)); err != nil {
		return b, err
	}
	if b.Hostname == "" {
		name, err := os.Hostname()
		if err != nil {
			return b, fmt.Errorf("ask the host's name: %w", err)
		}
		b.Hostname = name
	}
	b = below(dir, b)
	if err := pinNamespaces(b); err != nil {
		return b, err
	}
	if err := mountFolders(b); err != nil {
		return b, err
	}
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return b, fmt.Errorf("make an id: %w", err)
	}
	b.ID, b.Ready, b.Created = hex.EncodeToString(id), true, s.now()
	r := recordOf(b, s.bootID)
	if b.NetNS != "" {
		if r.NetInode, err = nspin.Inode(b.NetNS); err != nil {
			return b, err
		}
	}
	return b, writeRecord(dir, r)
}

// below makes the relative paths of a plan absolute.
func below(dir string, b pod.Sandbox) pod.Sandbox {
	for _, p := range []*string{&b.IPCNS, &b.UTSNS, &b.ShmDir, &b.FilesDir} {
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
	if r.BootID != s.bootID {
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
