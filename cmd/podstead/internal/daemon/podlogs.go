package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/pod"
	"github.com/podstead/podstead/runtime/logs"
)

// podLogs deletes the logs of runs and pods that are gone.
type podLogs struct {
	dir string
	// links is the folder of the links to them.
	links string
}

// keptLogs are the newest run and the one before it, which people ask for as
// the previous one.
const keptLogs = 2

// Prune deletes the logs of older runs.
func (l podLogs) Prune(_ context.Context, path string) error {
	return logs.Prune(filepath.Dir(path), keptLogs)
}

// List returns the pods of every folder NAMESPACE_NAME_UID.
func (l podLogs) List(context.Context) (map[types.UID]pod.Key, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	found := map[types.UID]pod.Key{}
	for _, e := range entries {
		if parts := strings.Split(e.Name(), "_"); e.IsDir() && len(parts) == 3 {
			found[types.UID(parts[2])] = pod.Key{Namespace: parts[0], Name: parts[1]}
		}
	}
	return found, nil
}

// Remove deletes the folder of one instance, and first the links into it.
func (l podLogs) Remove(_ context.Context, i pod.Instance, uid types.UID) error {
	dir := filepath.Join(l.dir, fmt.Sprintf("%s_%s_%s", i.Namespace, i.Name, uid))
	links, err := filepath.Glob(filepath.Join(l.links, i.Name+"_"+i.Namespace+"_*.log"))
	if err != nil {
		return fmt.Errorf("look for links to logs: %w", err)
	}
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, dir+"/") {
			if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove the link to a log: %w", err)
			}
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove logs: %w", err)
	}
	return nil
}
