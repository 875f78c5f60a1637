package guest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/podstead/podstead/test/images"
)

const agentPackage = "github.com/podstead/podstead/test/guest/agent"

// agentUnit starts the agent as early and ends it as late as can be.
const agentUnit = `[Unit]
Description=The hand of the test harness
DefaultDependencies=no

[Service]
ExecStart=/run/guest/agent
Restart=always
RestartSec=200ms
OOMScoreAdjust=-900
`

// writeInitrd makes the initial RAM disk: the agent as its init, the drivers,
// and what is put into the guest's /run. So an image does not depend on the
// agent, and a guest is told apart from its image only there.
func writeInitrd(ctx context.Context, to, drivers string) (err error) {
	binary, err := images.GoBinary(ctx, agentPackage)
	if err != nil {
		return err
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := &cpio{w: bufio.NewWriter(f)}
	for _, dir := range []string{"modules", "root", "dev", "proc", "sys", "overlay", "overlay/guest", "overlay/systemd",
		"overlay/systemd/system", "overlay/systemd/system/sysinit.target.wants"} {
		w.add(dir, modeDir|0o755, nil)
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	w.add("init", modeFile|0o755, program)
	entries, err := os.ReadDir(drivers)
	if err != nil {
		return err
	}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(drivers, e.Name()))
		if err != nil {
			return err
		}
		w.add(path.Join("modules", e.Name()), modeFile|0o644, content)
	}
	const units = "overlay/systemd/system/"
	w.add(units+"guest-agent.service", modeFile|0o644, []byte(agentUnit))
	w.add(units+"sysinit.target.wants/guest-agent.service", modeLink|0o777, []byte("../guest-agent.service"))
	return w.close()
}

// Types of files in an archive.
const (
	modeFile = 0o100000
	modeDir  = 0o040000
	modeLink = 0o120000
)

// cpio writes an archive in the format "newc", which the kernel unpacks.
type cpio struct {
	w     *bufio.Writer
	inode int
	at    int
	err   error
}

// add writes a file. A link's content is where it leads.
func (c *cpio) add(name string, mode int, content []byte) {
	c.inode++
	c.printf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		c.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	c.printf("%s\x00", name)
	c.pad()
	if c.err == nil {
		_, c.err = c.w.Write(content)
	}
	c.at += len(content)
	c.pad()
}

func (c *cpio) close() error {
	c.add("TRAILER!!!", 0, nil)
	return errors.Join(c.err, c.w.Flush())
}

func (c *cpio) printf(format string, args ...any) {
	if c.err != nil {
		return
	}
	n, err := fmt.Fprintf(c.w, format, args...)
	c.at, c.err = c.at+n, err
}

// pad goes to the next multiple of four bytes.
func (c *cpio) pad() {
	n := (4 - c.at%4) % 4
	if c.err == nil {
		_, c.err = io.WriteString(c.w, "\x00\x00\x00"[:n])
	}
	c.at += n
}
