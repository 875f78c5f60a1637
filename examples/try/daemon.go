package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/podstead/podstead/api"
)

// daemon is the running podstead.
type daemon struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error
}

const (
	configFile = folder + "/config.yaml"
	pidFile    = folder + "/podstead.pid"
)

func (t try) start() (*daemon, error) {
	if err := os.WriteFile(configFile, fmt.Appendf(nil, configuration, folder, t.bin), 0o600); err != nil {
		return nil, err
	}
	d := &daemon{log: filepath.Join(folder, "podstead.log"), ended: make(chan struct{})}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	d.cmd = exec.Command(filepath.Join(t.bin, "podstead"), "run", "--config", configFile)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	// The terminal's Ctrl-C is for us: podstead is told in good order.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	started := make(chan error)
	go func() {
		defer close(d.ended)
		d.err = runBound(d.cmd, started)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return d, os.WriteFile(pidFile, fmt.Appendln(nil, d.cmd.Process.Pid), 0o600)
}

// runBound starts a program, tells how that went, and waits for its end. The
// program is killed when this process is, so that the next try finds nobody at
// work in the folder. The kernel binds it to the thread that starts it.
func runBound(cmd *exec.Cmd, started chan<- error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	err := cmd.Start()
	started <- err
	if err != nil {
		return err
	}
	return cmd.Wait()
}

// stop drains podstead and waits for its end.
func (d *daemon) stop(client *api.Client) error {
	d.awaitAnswer(client)
	select {
	case <-d.ended:
		return fmt.Errorf("podstead ended by itself: %s", d.end())
	default:
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-d.ended:
		return d.err
	case <-time.After(2 * time.Minute):
		return errors.New("podstead did not stop within two minutes")
	}
}

// awaitAnswer waits until podstead answers, since one that was just started
// does not obey signals yet: it would end and leave its pods. It waits for
// half a minute at most.
func (d *daemon) awaitAnswer(client *api.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		if _, err := client.Pods(ctx, api.ListOptions{}); err == nil {
			return
		}
		select {
		case <-d.ended:
			return
		case <-ctx.Done():
			return
		case <-time.After(redraw):
		}
	}
}

// end tells how it ended, once it did.
func (d *daemon) end() string {
	if d.err == nil {
		return "exit status 0"
	}
	return d.err.Error()
}

func (d *daemon) lastWords() string {
	content, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return string(content[max(0, len(content)-2000):])
}

// configuration keeps all of podstead below %[1]s; its programs are in %[2]s.
const configuration = `apiVersion: podstead.dev/v1alpha1
kind: Configuration
nodeName: try
stateDir: %[1]s/state
runDir: %[1]s/run
logDir: %[1]s/logs/pods
containerLogsDir: %[1]s/logs/containers
socket: %[1]s/podstead.sock
imagesDir: %[1]s/images
cgroupRoot: /podstead-try
network: # not the ranges of a podstead that this server may have already
  podCIDRs: [10.119.0.0/24, "fd5b:3c1e:9a27:119::/64"]
  serviceCIDRs: [10.119.1.0/24, "fd5b:3c1e:9a27:11a::/112"]
runtime:
  mode: own
  address: %[1]s/containerd.sock
  containerd: %[2]s/containerd
  logger: %[2]s/podstead-logger
  pause: %[2]s/podstead-pause
  names: %[2]s/podstead-names
  root: %[1]s/containerd
  state: %[1]s/containerd-run
sources:
- name: examples
  directory:
    path: %[1]s/manifests
onExit: drain
`
