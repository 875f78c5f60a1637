package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/internal/filelock"
)

// Names in the state folder.
const (
	imagesFolder   = "images"
	sourcesFolder  = "sources"
	volumesFolder  = "volumes"
	pauseFolder    = "pause"
	seccompFolder  = "seccomp"
	historyFile    = "history"
	runtimeFile    = "runtime"
	goodImagesFile = "good-images"
	recordsFolder  = "workloads"
	servicesFile   = "services"
	nodeFile       = "node"     // in the run folder
	verdictsFile   = "verdicts" // in the run folder
	lockFile       = "lock"
	machineIDFile  = "/etc/machine-id"
)

// stateNames and runNames are all that podstead makes in its folders, beside
// what is configured to lie there.
var (
	stateNames = []string{
		imagesFolder, sourcesFolder, volumesFolder, pauseFolder, seccompFolder, historyFile, runtimeFile, goodImagesFile, recordsFolder, servicesFile, lockFile, "node-id",
		"containerd.toml", "containerd.log", "containerd.log.1",
	}
	runNames = []string{nodeFile, verdictsFile, "containerd.pid", "pods", "netns", "netns-addresses", "service-ranges", "runtime", "runc"}
)

// makeFolders makes what podstead keeps things in, for root only; logs may be
// read by collectors.
func makeFolders(c *config.Configuration) error {
	private := []string{c.StateDir, c.RunDir}
	for _, name := range []string{sourcesFolder, recordsFolder, pauseFolder, seccompFolder} {
		private = append(private, filepath.Join(c.StateDir, name))
	}
	for _, dir := range private {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	for _, dir := range []string{c.LogDir, c.ContainerLogsDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make folder of logs: %w", err)
		}
	}
	return nil
}

// errLocked says that a podstead runs.
var errLocked = errors.New("another podstead works")

// lock makes sure that one podstead works on a state folder. The kernel
// gives the lock back when the process ends.
func lock(stateDir string) (unlock func(), err error) {
	path := filepath.Join(stateDir, lockFile)
	unlock, err = filelock.Own(path)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("%w on %s already (it holds %s)", errLocked, stateDir, path)
	}
	return unlock, err
}

// pauseRootfs makes the root folder of pause containers, with nothing in it
// but the pause program, and returns its path. It is below the state folder
// since nothing may be run from /run on many hosts.
func pauseRootfs(c *config.Configuration) (string, error) {
	dir := filepath.Join(c.StateDir, pauseFolder)
	program, err := os.ReadFile(c.Runtime.Pause)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the pause program is missing: %w (set runtime.pause)", err)
	}
	if err != nil {
		return "", fmt.Errorf("read the pause program: %w", err)
	}
	target := filepath.Join(dir, "podstead-pause")
	// A program that runs can't be written, but replaced.
	if there, err := os.ReadFile(target); err == nil && string(there) == string(program) {
		return dir, os.Chmod(dir, 0o755)
	}
	if err := renameio.WriteFile(target, program, 0o755); err != nil {
		return "", fmt.Errorf("copy the pause program: %w", err)
	}
	return dir, os.Chmod(dir, 0o755)
}
