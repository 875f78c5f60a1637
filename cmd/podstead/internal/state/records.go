package state

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/podstead/podstead/agent/plan/workload"
	"github.com/podstead/podstead/pod"
)

// Records keeps what is stored of workloads, each in a file of its own below
// one folder, which is made with the first of them. Its methods may be called
// from any goroutine, Save by one at a time for each workload.
type Records struct{ dir string }

// NewRecords returns the records in a folder.
func NewRecords(dir string) *Records { return &Records{dir: dir} }

// recordSuffix is how the names of whole records end.
const recordSuffix = ".json"

// Load returns all that were saved. Damaged ones are put aside, the others are
// returned with an error that names them.
func (r *Records) Load() ([]*workload.Record, error) {
	entries, err := os.ReadDir(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	var records []*workload.Record
	var damage []error
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), recordSuffix) || strings.HasPrefix(e.Name(), ".") {
			continue // put aside, or never finished
		}
		record, ok, err := NewFile[*workload.Record](filepath.Join(r.dir, e.Name())).Load()
		if err != nil {
			damage = append(damage, err)
		}
		if ok && record != nil {
			records = append(records, record)
		}
	}
	return records, errors.Join(damage...)
}

// Save replaces the record of a workload durably, or deletes it if record is
// nil.
func (r *Records) Save(key pod.ObjectKey, record *workload.Record) error {
	path := filepath.Join(r.dir, recordName(key))
	if record == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete %s: %w", path, withoutPath(err))
		}
		return syncDir(r.dir)
	}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return NewFile[*workload.Record](path).Save(record)
}

// maxRecordName leaves room for the endings of files that are put aside or
// being written.
const maxRecordName = 180

// recordName names the file of a workload: names of the API hold no "_". A
// long one is cut and told apart by its sum.
func recordName(key pod.ObjectKey) string {
	name := fmt.Sprintf("%s_%s_%s", key.Kind, key.Namespace, key.Name)
	if len(name) > maxRecordName {
		name = fmt.Sprintf("%s_%x", name[:maxRecordName-33], sha256.Sum256([]byte(name)))[:maxRecordName]
	}
	return name + recordSuffix
}
