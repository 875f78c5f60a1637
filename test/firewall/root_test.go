package firewall

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/podstead/podstead/test/images"
)

// root is a Debian in a folder, in the network namespace of the tests.
type root struct {
	t   *testing.T
	dir string
}

// newRoot does what the scripts of the packages would have done at their
// installation.
func newRoot(t *testing.T) *root {
	t.Helper()
	r := &root{t: t, dir: t.TempDir()}
	if err := images.Tree(t.Context(), r.dir, packages...); err != nil {
		t.Fatal(err)
	}
	for _, mount := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"proc", "proc", "proc", 0}, {"sysfs", "sys", "sysfs", 0}, {"/dev", "dev", "", syscall.MS_BIND}, {"tmpfs", "run", "tmpfs", 0},
	} {
		target := filepath.Join(r.dir, mount.target)
		if err := os.MkdirAll(target, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount(mount.source, target, mount.kind, mount.flags, ""); err != nil {
			t.Fatalf("mount %s: %v", target, err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
				t.Errorf("unmount %s: %v", target, err)
			}
		})
	}
	r.run(`
for x in iptables iptables-restore iptables-save ip6tables ip6tables-restore ip6tables-save; do ln -s xtables-nft-multi /usr/sbin/$x; done
ln -s mawk /usr/bin/awk
mkdir -p /etc/ufw/applications.d /run/dbus /var/lib/dbus /var/log /tmp /root
cp /usr/share/ufw/iptables/*.rules /usr/share/ufw/ufw.conf /etc/ufw
printf 'root:x:0:0:root:/root:/bin/sh\nmessagebus:x:100:100::/:/bin/false\n' > /etc/passwd
printf 'root:x:0:\nmessagebus:x:100:\n' > /etc/group`)
	return r
}

// run runs commands of a shell, and fails the test if they fail.
func (r *root) run(commands string) {
	r.t.Helper()
	if out, err := r.command("/bin/sh", "-ec", commands).CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v: %s", commands, err, out)
	}
}

func (r *root) command(program ...string) *exec.Cmd {
	cmd := exec.CommandContext(r.t.Context(), "chroot", append([]string{r.dir}, program...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	return cmd
}

// daemon starts a program that is ended with the test, or by the function that
// is returned.
func (r *root) daemon(program ...string) (end func()) {
	r.t.Helper()
	cmd := r.command(program...)
	log, err := os.Create(filepath.Join(r.t.TempDir(), program[0]+".log"))
	if err != nil {
		r.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
	}
	r.t.Cleanup(func() {
		end()
		if text, err := os.ReadFile(log.Name()); err == nil && r.t.Failed() {
			r.t.Logf("%s: %s", program[0], text)
		}
	})
	return end
}

// eventually waits until commands go well.
func (r *root) eventually(commands string) {
	r.t.Helper()
	var err error
	var out []byte
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(50 * time.Millisecond) {
		if out, err = r.command("/bin/sh", "-ec", commands).CombinedOutput(); err == nil {
			return
		}
	}
	r.t.Fatalf("%s: %v: %s", commands, err, out)
}

// nft runs a command of nft in the host's network.
func nft(t *testing.T, command string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "nft", strings.Fields(command)...).CombinedOutput()
	if err != nil {
		t.Fatalf("nft %s: %v: %s", command, err, out)
	}
	return string(out)
}

// remedyOf is the command in a warning of podstead's.
func remedyOf(warning string) (string, error) {
	_, text, found := strings.Cut(warning, ": run ")
	command, _, ended := strings.Cut(text, ", and make it last")
	if !found || !ended {
		return "", fmt.Errorf("no remedy in %q", warning)
	}
	return command, nil
}
