package daemon

import (
	"context"
	"fmt"
	"path/filepath"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/cmd/podstead/internal/state"
)

// usedRuntime is which containerd our containers are in.
type usedRuntime struct {
	Mode      string `json:"mode"`
	Address   string `json:"address"`
	Namespace string `json:"namespace"`
}

func (u usedRuntime) String() string {
	return fmt.Sprintf("mode %s, address %s, namespace %s", u.Mode, u.Address, u.Namespace)
}

// refuseNewRuntime refuses to use another containerd while pods live in the
// one before: each would get a second copy. Pods are known by their cgroups,
// so nothing has to answer.
func (d *daemon) refuseNewRuntime(cfg *config.Configuration) error {
	file := state.NewFile[usedRuntime](filepath.Join(cfg.StateDir, runtimeFile))
	wanted := usedRuntime{cfg.Runtime.Mode, cfg.Runtime.Address, cfg.Runtime.Namespace}
	used, known, err := file.Load()
	if err != nil {
		d.log.Warn("it is not known any more which containerd was used", zap.Error(err))
	}
	if known && used != wanted {
		live, err := d.cgroups.List(context.Background())
		if err != nil {
			return fmt.Errorf("look for living pods: %w", err)
		}
		if len(live) > 0 {
			return fmt.Errorf("runtime: got %s, but %d pods live in the containerd of %s: stop them first (run once with the old values and onExit: drain), or set the old values again",
				wanted, len(live), used)
		}
	}
	if err := file.Save(wanted); err != nil {
		return fmt.Errorf("keep which containerd is used: %w", err)
	}
	return nil
}

// refuseNewNode refuses to go on as another node while pods of the one before
// live: containers are known by the node's id, so these would never be found
// again, and each pod would get a second copy. The id is derived from the state
// folder; the note lies in the run folder, which a reboot clears as it ends all
// containers.
func refuseNewNode(runDir, id string, living func(context.Context) ([]types.UID, error)) error {
	file := state.NewFile[string](filepath.Join(runDir, nodeFile))
	// One that is damaged is made anew: there is nothing else to compare with.
	used, known, _ := file.Load()
	if known && used != id {
		live, err := living(context.Background())
		if err != nil {
			return fmt.Errorf("look for living pods: %w", err)
		}
		if len(live) > 0 {
			return fmt.Errorf("stateDir: this is node %s, but %d pods of node %s live, which had another state folder: set the old stateDir again, or stop them first (run once with the old values and onExit: drain)",
				id, len(live), used)
		}
	}
	if err := file.Save(id); err != nil {
		return fmt.Errorf("note which node runs: %w", err)
	}
	return nil
}
