// Command try keeps the pods of examples/ with everything in one private
// folder, shows them as a live table, and leaves nothing behind when it is
// interrupted. It is what "make run" runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/podstead/podstead/api"
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
	if err := t.prepare(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil // interrupted before anything ran
	}
	return t.run(ctx)
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

// try is one run.
type try struct{ bin, socket, manifests string }

// run keeps podstead and shows its pods until ctx ends, and then stops them.
func (t try) run(ctx context.Context) error {
	client := api.NewClient(t.socket)
	defer client.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	news := make(chan string)
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		t.show(ctx, client, news)
	}()
	k := keeper{start: t.start, pause: restartPause, say: func(text string) {
		select {
		case news <- text:
		case <-shown:
		}
	}}
	daemon, err := k.keep(ctx)
	cancel()
	<-shown
	if err != nil {
		return err
	}
	fmt.Println("\nstopping the pods of the examples")
	if err := daemon.stop(client); err != nil {
		return fmt.Errorf("%w\n%s\neverything of it is in %s", err, daemon.lastWords(), folder)
	}
	return removeFolder()
}

// prepare puts images and manifests where podstead looks for them. Where it is
// interrupted it leaves nothing, unless there is an earlier run to take over.
func (t try) prepare(ctx context.Context) error {
	fmt.Println("building the images of the examples")
	examples, err := buildImages(ctx)
	if ctx.Err() != nil {
		if _, err := os.Stat(filepath.Join(folder, "state")); errors.Is(err, fs.ErrNotExist) {
			return removeFolder()
		}
		return nil
	}
	if err != nil {
		return err
	}
	return t.copyExamples(examples)
}

// copyExamples puts the manifests where podstead reads them.
func (t try) copyExamples(names []string) error {
	for _, name := range names {
		from := filepath.Join("examples", name+".yaml")
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

// removeFolder deletes what is left of a run that ended well.
func removeFolder() error {
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	fmt.Println("nothing is left of it")
	return nil
}
