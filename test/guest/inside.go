package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/podstead/podstead/test/guest/wire"
)

// commandTime is how long a command may take unless it is told otherwise.
const commandTime = 5 * time.Minute

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Try runs a command in the guest. The error tells of any exit code but 0.
func (g *Guest) Try(args ...string) (Result, error) {
	g.t.Helper()
	return g.TryCommand(wire.Command{Args: args})
}

// TryCommand runs a command with an input, an environment or a time of its
// own.
func (g *Guest) TryCommand(c wire.Command) (Result, error) {
	g.t.Helper()
	if c.Timeout == 0 {
		c.Timeout = commandTime
	}
	var r wire.Result
	if err := g.try("Run", c, &r, c.Timeout+time.Minute); err != nil {
		return Result{}, fmt.Errorf("%s: %w", strings.Join(c.Args, " "), err)
	}
	out := Result{string(r.Stdout), string(r.Stderr), r.Code}
	if r.Code != 0 || r.TimedOut {
		return out, fmt.Errorf("%s: exit code %d, timed out %v: %s%s", strings.Join(c.Args, " "), r.Code, r.TimedOut, out.Stdout, out.Stderr)
	}
	return out, nil
}

// Run runs a command in the guest and returns what it wrote to stdout. It
// fails the test when the command fails.
func (g *Guest) Run(args ...string) string {
	g.t.Helper()
	r, err := g.Try(args...)
	if err != nil {
		g.t.Fatal(err)
	}
	return r.Stdout
}

// Shell runs a script by sh, which ends at the first command that fails, and
// returns what it wrote to stdout.
func (g *Guest) Shell(script string) string {
	g.t.Helper()
	return g.Run("sh", "-euc", script)
}

// Put writes a file, by renaming it into place, with the folders above it. It
// survives a power cut from then on.
func (g *Guest) Put(path, content string, mode os.FileMode) {
	g.t.Helper()
	g.call("Write", wire.File{Path: path, Mode: uint32(mode), Content: []byte(content)}, &struct{}{}, commandTime)
}

// Get returns a file.
func (g *Guest) Get(path string) string {
	g.t.Helper()
	content, ok := g.Look(path)
	if !ok {
		g.t.Fatalf("there is no file %s in the guest", path)
	}
	return content
}

// Look returns a file, if there is one.
func (g *Guest) Look(path string) (content string, ok bool) {
	g.t.Helper()
	var f wire.File
	g.call("Read", path, &f, commandTime)
	return string(f.Content), !f.Missing
}

// Files returns the files in a folder by their names, not those in folders
// below it.
func (g *Guest) Files(dir string) map[string][]byte {
	g.t.Helper()
	var files []wire.File
	g.call("ReadDir", dir, &files, commandTime)
	byName := map[string][]byte{}
	for _, f := range files {
		byName[f.Path] = f.Content
	}
	return byName
}

// HTTP asks a server in the guest; socket is the path of a unix socket, or
// empty. into is nil or what the answer's JSON is decoded to.
func (g *Guest) HTTP(socket, url string, into any) (string, error) {
	g.t.Helper()
	var r wire.Response
	request := wire.Request{Socket: socket, URL: url, Timeout: 30 * time.Second}
	if err := g.try("Get", request, &r, 2*time.Minute); err != nil {
		return "", err
	}
	if r.Status != http.StatusOK {
		return "", fmt.Errorf("GET %s: status %d: %s", url, r.Status, r.Body)
	}
	if into == nil {
		return string(r.Body), nil
	}
	return string(r.Body), json.Unmarshal(r.Body, into)
}

// Eventually waits for a condition. A condition that does not hold says why.
func (g *Guest) Eventually(within time.Duration, condition func() error) {
	g.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("not within %s: %v", within, err)
		}
	}
}

// call calls the agent and fails the test when it can't do what is asked.
func (g *Guest) call(method string, args, reply any, within time.Duration) {
	g.t.Helper()
	if err := g.try(method, args, reply, within); err != nil {
		g.t.Fatalf("in the guest: %v", err)
	}
}

// try calls the agent. It fails the test only when the agent does not answer.
func (g *Guest) try(method string, args, reply any, within time.Duration) error {
	g.t.Helper()
	if g.link == nil {
		g.t.Fatal("the guest has no power")
	}
	err := g.link.call(method, args, reply, within)
	if errors.Is(err, errSilent) {
		g.t.Fatalf("%v (%v)", err, g.qemu.alive())
	}
	return err
}
