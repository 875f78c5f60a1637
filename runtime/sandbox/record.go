package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
)

// recordName is the file that is written last: with it a sandbox is whole.
const recordName = "sandbox.json"

// record is what is stored of a sandbox. It lies on a file system that a
// reboot clears; BootID tells when it does not.
type record struct {
	ID        string    `json:"id"`
	UID       types.UID `json:"uid"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Instance  int       `json:"instance"`
	BootID    string    `json:"bootID"`
	NetNS     string    `json:"netNS,omitempty"`
	// NetInode tells the pod's network namespace from a later one at the same
	// path.
	NetInode uint64   `json:"netInode,omitempty"`
	IPCNS    string   `json:"ipcNS,omitempty"`
	UTSNS    string   `json:"utsNS,omitempty"`
	ShmDir   string   `json:"shmDir,omitempty"`
	FilesDir string   `json:"filesDir"`
	EtcDir   string   `json:"etcDir,omitempty"`
	Notes    []string `json:"notes,omitempty"`
	Hostname string   `json:"hostname"`
	IPs      []string `json:"ips,omitempty"`
	// Created is of the boot of BootID.
	Created pod.Stamp `json:"created"`
}

func recordOf(b pod.Sandbox, bootID string) record {
	return record{
		ID: b.ID, UID: b.UID, Namespace: b.Instance.Namespace, Name: b.Instance.Name, Instance: b.Instance.Number,
		BootID: bootID, NetNS: b.NetNS, IPCNS: b.IPCNS, UTSNS: b.UTSNS,
		ShmDir: b.ShmDir, FilesDir: b.FilesDir, EtcDir: b.EtcDir, Notes: b.Notes,
		Hostname: b.Hostname, IPs: b.IPs, Created: b.Created,
	}
}

func (r record) sandbox() pod.Sandbox {
	return pod.Sandbox{
		Instance: pod.Instance{Key: pod.Key{Namespace: r.Namespace, Name: r.Name}, Number: r.Instance},
		UID:      r.UID, ID: r.ID, NetNS: r.NetNS, IPCNS: r.IPCNS, UTSNS: r.UTSNS,
		ShmDir: r.ShmDir, FilesDir: r.FilesDir, EtcDir: r.EtcDir, Notes: r.Notes,
		Hostname: r.Hostname, IPs: r.IPs, Created: r.Created,
	}
}

// writeRecord makes the record appear whole or not at all. It need not
// survive a power cut: the sandbox does not either.
func writeRecord(dir string, r record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", recordName, err)
	}
	path := filepath.Join(dir, recordName)
	if err := renameio.WriteFile(path, data, 0o600, renameio.WithTempDir(dir)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// readRecord returns the zero record when there is none or it makes no sense.
// That it can't be read is an error: nothing may be concluded from it.
func readRecord(dir string) (record, error) {
	data, err := os.ReadFile(filepath.Join(dir, recordName))
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, nil
	}
	if err != nil {
		return record{}, fmt.Errorf("read %s: %w", recordName, err)
	}
	var r record
	if json.Unmarshal(data, &r) != nil {
		return record{}, nil
	}
	return r, nil
}

func removeRecord(dir string) error {
	err := os.Remove(filepath.Join(dir, recordName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete %s: %w", recordName, err)
	}
	return nil
}
