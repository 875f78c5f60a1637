package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/runtime/containerd"
)

// ErrNoOwnContainerd tells that the configuration names another's containerd.
var ErrNoOwnContainerd = errors.New("runtime.mode is external: podstead's own containerd is not wanted")

// Containerd makes the process podstead's own containerd, for a unit that
// supervises it, or with check only tells whether that is wanted. It is
// ErrNoOwnContainerd in mode external. Where the configuration can't be used,
// which errs is told, containerd runs with its own configuration of last time:
// what runs must be reachable whatever somebody wrote meanwhile.
func Containerd(ctx context.Context, file string, check bool, errs io.Writer) error {
	cfg, err := load(file)
	_, bad := errors.AsType[*config.Error](err)
	again := bad && exists(ownContainerd(config.Defaults()).ConfigFile)
	switch {
	case again:
		cfg = config.Defaults()
	case err != nil:
		return err
	case cfg.Runtime.Mode != config.ModeOwn:
		return ErrNoOwnContainerd
	}
	own := ownContainerd(cfg)
	if check {
		return nil
	}
	if again {
		fmt.Fprintf(errs, "%v\ncontainerd goes on with %s\n", err, own.ConfigFile)
		return containerd.ExecAgain(own)
	}
	return containerd.Exec(ctx, own)
}

// ownContainerd says how podstead's own containerd is run.
func ownContainerd(cfg *config.Configuration) containerd.Config {
	r := cfg.Runtime
	return containerd.Config{
		Binary: r.Containerd, Root: r.Root, State: r.State, Socket: r.Address,
		ConfigFile: filepath.Join(cfg.StateDir, "containerd.toml"), PIDFile: filepath.Join(cfg.RunDir, "containerd.pid"),
		LogFile: filepath.Join(cfg.StateDir, "containerd.log"), ShimDir: filepath.Dir(r.Containerd),
	}
}
