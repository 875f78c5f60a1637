package volumes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// Usage measures what the pod's own volumes take, in bytes of disk or memory,
// by name. Files with several links count once; what is mounted in a volume
// does not count. It reads every folder, however deep, so it takes time on
// large volumes, and stops when ctx ends. A volume that can't be measured has
// what was measured and is named in the error; ErrTooLarge tells of one whose
// folders are too many to be remembered.
func (v *Volumes) Usage(ctx context.Context, uid types.UID) (map[string]int64, error) {
	dir, err := v.podDir(uid)
	if err != nil {
		return nil, err
	}
	usage := map[string]int64{}
	parent := filepath.Join(dir, volumesFolder)
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return usage, nil
	}
	if err != nil {
		return nil, fmt.Errorf("measure volumes of pod %s: %w", uid, err)
	}
	var failed []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		m := meter{seen: map[uint64]bool{}}
		if err := m.volume(ctx, filepath.Join(parent, e.Name())); err != nil {
			failed = append(failed, fmt.Errorf("measure volume %q of pod %s: %w", e.Name(), uid, err))
		}
		usage[e.Name()] = m.bytes
	}
	return usage, errors.Join(failed...)
}
