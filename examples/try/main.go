// Command try keeps the pods of examples/ with everything in one private
// folder, shows them as a live table, and leaves nothing behind when it is
// interrupted. It is what "make run" runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/podstead/podstead/test/images"
)

// folder holds everything of a run; only root may write there or above, as
// podstead asks of a source of privileged manifests.
const folder = "/var/lib/podstead-try"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "try:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("containers, namespaces and cgroups need root: run it as root")
	}
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	unlock, err := prepareFolder()
	if err != nil {
		return err
	}
	defer unlock()
	t := try{bin: bin, socket: filepath.Join(folder, "podstead.sock"), manifests: filepath.Join(folder, "manifests")}
	fmt.Println("building the images of the examples")
	if err := buildImages(ctx); err != nil {
		return err
	}
	if err := t.copyExamples(); err != nil {
		return err
	}
	daemon, err := t.start()
	if err != nil {
		return err
	}
	shown := t.show(ctx, daemon.ended)
	fmt.Println("\nstopping the pods of the examples")
	if err := daemon.stop(); err != nil {
		return fmt.Errorf("%w\n%s\neverything of it is in %s", err, daemon.lastWords(), folder)
	}
	return errors.Join(shown, removeFolder())
}

// prepareFolder makes the private folder and takes it for this process; what
// an interrupted run left there is taken over by podstead.
func prepareFolder() (unlock func(), err error) {
	for _, dir := range []string{folder, filepath.Join(folder, "manifests"), filepath.Join(folder, "images")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	lock, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("another try is running in %s: %w", folder, err)
	}
	return func() { lock.Close() }, nil
}

// buildImages writes two versions of the demo image into the folder that
// podstead imports images from.
func buildImages(ctx context.Context) error {
	for _, version := range []string{"1", "2"} {
		img, err := images.FromGo(ctx, "github.com/podstead/podstead/examples/demo", images.Options{
			Config: v1.Config{Env: []string{"VERSION=" + version}},
		})
		if err != nil {
			return err
		}
		path := filepath.Join(folder, "images", "demo-"+version+".tar")
		if err := images.WriteOCI(path, "localhost/podstead/demo:"+version, img); err != nil {
			return err
		}
	}
	return nil
}

// try is one run.
type try struct{ bin, socket, manifests string }

func (t try) copyExamples() error {
	files, err := filepath.Glob("examples/*.yaml")
	if err != nil {
		return err
	}
	for _, from := range files {
		content, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		to := filepath.Join(t.manifests, filepath.Base(from))
		if _, err := os.Stat(to); err == nil {
			continue // it was edited in a run that was killed
		}
		if err := os.WriteFile(to+".part", content, 0o600); err != nil {
			return err
		}
		if err := os.Rename(to+".part", to); err != nil {
			return err
		}
	}
	return nil
}

// daemon is the running podstead.
type daemon struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error
}

func (t try) start() (*daemon, error) {
	config := filepath.Join(folder, "config.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, configuration, folder, t.bin), 0o600); err != nil {
		return nil, err
	}
	d := &daemon{log: filepath.Join(folder, "podstead.log"), ended: make(chan struct{})}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	d.cmd = exec.Command(filepath.Join(t.bin, "podstead"), "run", "--config", config)
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
	return d, nil
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
func (d *daemon) stop() error {
	select {
	case <-d.ended:
		return fmt.Errorf("podstead ended by itself: %w", d.err)
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
runtime:
  mode: own
  address: %[1]s/containerd.sock
  containerd: %[2]s/containerd
  logger: %[2]s/podstead-logger
  pause: %[2]s/podstead-pause
  root: %[1]s/containerd
  state: %[1]s/containerd-run
sources:
- name: examples
  directory:
    path: %[1]s/manifests
onExit: drain
`

// removeFolder deletes what is left of a run that ended well.
func removeFolder() error {
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	fmt.Println("nothing is left of it")
	return nil
}
