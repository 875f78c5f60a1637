package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podstead/podstead/cmd/podstead/internal/config"
	"github.com/podstead/podstead/test/harness"
)

// defaultState puts an empty folder in the place of the default state folder,
// for this test's mount namespace alone.
func defaultState(t *testing.T) string {
	t.Helper()
	dir := config.Defaults().StateDir
	_, err := os.Stat(dir)
	made := errors.Is(err, os.ErrNotExist)
	must(t, os.MkdirAll(dir, 0o700))
	must(t, unix.Mount("podstead-test", dir, "tmpfs", 0, "size=64m"))
	t.Cleanup(func() {
		must(t, unix.Unmount(dir, unix.MNT_DETACH))
		if made {
			must(t, os.Remove(dir))
		}
	})
	return dir
}

func TestWhetherContainerdIsWanted(t *testing.T) {
	state := defaultState(t)
	write := func(text string) string {
		file := filepath.Join(t.TempDir(), "config.yaml")
		must(t, os.WriteFile(file, []byte("apiVersion: podstead.dev/v1alpha1\nkind: Configuration\n"+text), 0o600))
		return file
	}
	check := func(file string) error {
		var told strings.Builder
		err := Containerd(t.Context(), file, true, &told)
		if told.Len() > 0 {
			t.Errorf("a check says %q", told.String())
		}
		return err
	}
	if err := check(write("")); err != nil {
		t.Errorf("mode own: %v", err)
	}
	if err := check(write("runtime: {mode: external}\n")); !errors.Is(err, ErrNoOwnContainerd) {
		t.Errorf("mode external: %v", err)
	}
	bad := write("onExit: stop\n")
	if _, ok := errors.AsType[*config.Error](check(bad)); !ok {
		t.Errorf("what can't be used, where none ever ran: %v", check(bad))
	}
	must(t, os.WriteFile(filepath.Join(state, "containerd.toml"), nil, 0o600))
	if err := check(bad); err != nil {
		t.Errorf("what can't be used, where one ran: %v", err)
	}
}

// TestContainerdGoesOnWithoutAConfiguration: whatever somebody wrote into
// podstead's, the containerd that has the containers comes up.
func TestContainerdGoesOnWithoutAConfiguration(t *testing.T) {
	state := defaultState(t)
	bin, err := harness.Binaries()
	must(t, err)
	dir, err := os.MkdirTemp("", "pst") //nolint:usetesting // a socket in it must have a short path
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	socket, toml := filepath.Join(dir, "c.sock"), filepath.Join(state, "containerd.toml")
	must(t, os.WriteFile(toml, fmt.Appendf(nil, "version = 3\nroot = %q\nstate = %q\nimports = []\n[grpc]\n  address = %q\n[ttrpc]\n  address = %q\n",
		filepath.Join(dir, "root"), filepath.Join(dir, "state"), socket, socket+".ttrpc"), 0o600))
	bad := filepath.Join(dir, "config.yaml")
	must(t, os.WriteFile(bad, []byte("no configuration\n"), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "podstead"), "containerd", "--config", bad)
	var told strings.Builder
	cmd.Stderr = &told
	must(t, cmd.Start())
	answered := false
	for !answered && ctx.Err() == nil {
		c, err := net.Dial("unix", socket)
		if answered = err == nil; answered {
			_ = c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
	for _, want := range []string{bad + " can't be used as configuration", "containerd goes on with " + toml} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("nothing says %q:\n%s", want, told.String())
		}
	}
	if !answered {
		t.Errorf("containerd does not answer:\n%s", told.String())
	}
}
