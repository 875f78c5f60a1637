package api_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/podstead/podstead/api"
	"github.com/podstead/podstead/api/apitest"
	"github.com/podstead/podstead/pod"
)

const askAt = "PODSTEAD_TEST_ASK_AT"

// TestMain lets the test binary be a client of another user.
func TestMain(m *testing.M) {
	if socket := os.Getenv(askAt); socket != "" {
		os.Exit(ask(socket))
	}
	os.Exit(m.Run())
}

func ask(socket string) int {
	if _, err := api.NewClient(socket).Version(context.Background()); err != nil {
		os.Stdout.WriteString(err.Error())
		return 1
	}
	os.Stdout.WriteString("served")
	return 0
}

func TestOnlyRootAndTheGroupAreServed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	const nobody, members = 65534, 4242
	for name, test := range map[string]struct {
		group  int
		client syscall.Credential
		want   string
	}{
		"root":                 {0, syscall.Credential{}, "served"},
		"nobody":               {0, syscall.Credential{Uid: nobody, Gid: nobody}, "user 65534 may not use podstead: only root may"},
		"root's group":         {0, syscall.Credential{Uid: nobody, Gid: 0}, "user 65534 may not use podstead"},
		"not of the group":     {members, syscall.Credential{Uid: nobody, Gid: nobody}, "only root and group 4242 may"},
		"the group":            {members, syscall.Credential{Uid: nobody, Gid: members}, "served"},
		"one of its groups":    {members, syscall.Credential{Uid: nobody, Gid: nobody, Groups: []uint32{7, members}}, "served"},
		"one of very many":     {members, syscall.Credential{Uid: nobody, Gid: nobody, Groups: append(many(1000), members)}, "served"},
		"many but not that of": {members, syscall.Credential{Uid: nobody, Gid: nobody, Groups: many(1000)}, "may not use podstead"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &apitest.Daemon{}
			d.Publish(pod.Snapshot{})
			_, socket := serve(t, d, func(c *api.Config) { c.GroupID = test.group })
			// The modes would refuse already: what is tested is the check
			// behind them.
			open(t, socket)
			cmd := exec.Command(copyOfTest(t))
			cmd.Dir = "/"
			cmd.Env = []string{askAt + "=" + socket}
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &test.client}
			out, err := cmd.Output()
			if err != nil && len(out) == 0 {
				t.Fatal(err)
			}
			if !strings.Contains(string(out), test.want) {
				t.Errorf("got %q, want %q", out, test.want)
			}
		})
	}
}

func many(n int) []uint32 {
	var groups []uint32
	for i := range n {
		groups = append(groups, uint32(10_000+i))
	}
	return groups
}

// open lets everybody reach a socket below a test's folder.
func open(t *testing.T, socket string) {
	t.Helper()
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(socket); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// copyOfTest is the test binary where every user may run it.
func copyOfTest(t *testing.T) string {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "client")
	if err := os.WriteFile(path, self, 0o755); err != nil {
		t.Fatal(err)
	}
	open(t, path)
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
