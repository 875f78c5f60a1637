package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/podstead/podstead/internal/filelock"
	"github.com/podstead/podstead/test/images"
)

const module = "github.com/podstead/podstead"

// binEnv names a folder of programs that are tested instead of newly built
// ones.
const binEnv = "PODSTEAD_BIN"

// Binaries returns the folder with podstead, podstead-logger, podstead-pause,
// podstead-names, containerd and containerd-shim-runc-v2. They are built from this module
// unless PODSTEAD_BIN names a folder.
var Binaries = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv(binEnv); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := images.BuildDir(context.Background())
	if err != nil {
		return "", err
	}
	unlock, err := filelock.Take(filepath.Join(dir, "lock"), syscall.LOCK_EX)
	if err != nil {
		return "", err
	}
	defer unlock()
	ours := []string{module + "/cmd/podstead", module + "/cmd/podstead-logger", module + "/cmd/podstead-pause", module + "/cmd/podstead-names"}
	if err := images.Track(context.Background(), ours...); err != nil {
		return "", err
	}
	if err := build(dir, []string{"-tags", "grpcnotrace"}, ours...); err != nil {
		return "", err
	}
	const containerd = "github.com/containerd/containerd/v2/cmd/"
	tags := []string{"-tags", "no_cri,no_btrfs,no_zfs,no_devmapper"}
	return dir, build(dir, tags, containerd+"containerd", containerd+"containerd-shim-runc-v2")
})

func build(dir string, flags []string, packages ...string) error {
	args := append([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", dir + "/"}, flags...)
	cmd := exec.Command("go", append(args, packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %v: %w: %s", packages, err, text)
	}
	return nil
}
