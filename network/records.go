package network

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/internal/nspin"
)

// records tell which addresses the pod of each pinned namespace has, when the
// kernel does not any more: its link is gone, or its routes.
type records struct {
	// pins is the folder of pinned namespaces, dir that of the records.
	pins, dir string
}

// put writes the addresses of a pod, one a line, in one step.
func (r records) put(uid types.UID, addrs []netip.Addr) error {
	var text strings.Builder
	for _, a := range addrs {
		fmt.Fprintln(&text, a)
	}
	path := filepath.Join(r.dir, string(uid))
	if now, err := os.ReadFile(path); err == nil && string(now) == text.String() {
		return nil
	}
	err := os.MkdirAll(r.dir, 0o755)
	if err == nil {
		err = renameio.WriteFile(path, []byte(text.String()), 0o644, renameio.WithTempDir(r.dir))
	}
	if err != nil {
		return fmt.Errorf("note the addresses: %w", err)
	}
	return nil
}

func (r records) remove(uid types.UID) error {
	if err := os.Remove(filepath.Join(r.dir, string(uid))); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the note of the addresses: %w", err)
	}
	return nil
}

// pinned returns the recorded addresses of every pinned namespace, none for
// one without a record. Records of others are left from a crash: they go.
func (r records) pinned() (map[types.UID][]netip.Addr, error) {
	entries, err := os.ReadDir(r.pins)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	all := map[types.UID][]netip.Addr{}
	for _, e := range entries {
		pinned, err := nspin.Pinned(nspin.Net, filepath.Join(r.pins, e.Name()))
		if err != nil {
			return nil, err
		}
		if pinned {
			all[types.UID(e.Name())] = r.get(e.Name())
		}
	}
	noted, err := os.ReadDir(r.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the notes of addresses: %w", err)
	}
	for _, e := range noted {
		if _, ok := all[types.UID(e.Name())]; !ok {
			if err := r.remove(types.UID(e.Name())); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// get returns what a record has of addresses.
func (r records) get(name string) []netip.Addr {
	text, _ := os.ReadFile(filepath.Join(r.dir, name)) // none is fine
	var addrs []netip.Addr
	for _, word := range strings.Fields(string(text)) {
		if a, err := netip.ParseAddr(word); err == nil {
			addrs = append(addrs, a)
		}
	}
	return addrs
}
