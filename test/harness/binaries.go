package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

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
	unlock, err := lock(filepath.Join(dir, "lock"), syscall.LOCK_EX)
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

// lock takes a lock on a file until unlock is called or this process ends.
func lock(path string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
