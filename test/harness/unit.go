package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/pkg/cap"
)

// unit runs a program as its unit does: it is started again whenever it ends.
type unit struct {
	stop chan struct{}
	done chan struct{}
}

// startUnits starts the units of containerd and of names unless they run.
func (h *Host) startUnits(config string) {
	h.t.Helper()
	if len(h.units) > 0 {
		return
	}
	h.startUnit("containerd-unit.log", filepath.Join(h.Bin, "podstead"), "containerd", "--config", config)
	h.startUnit("names-unit.log", filepath.Join(h.Bin, "podstead-names"), "--dir", filepath.Join(h.Dir, "run-names"))
}

func (h *Host) startUnit(logName string, command ...string) {
	h.t.Helper()
	log, err := os.OpenFile(filepath.Join(h.Dir, logName), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	u := &unit{stop: make(chan struct{}), done: make(chan struct{})}
	h.units = append(h.units, u)
	go func() {
		defer close(u.done)
		defer log.Close()
		for {
			cmd := exec.Command(command[0], command[1:]...)
			cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := u.run(cmd); err != nil {
				fmt.Fprintln(log, "unit:", err)
			}
			select {
			case <-u.stop:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
}

// run is one life of the unit's main process, which is killed when the unit
// stops.
func (u *unit) run(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-u.stop:
		_ = cmd.Process.Kill()
		return <-ended
	}
}

// stopUnits kills what units run and starts it no more.
func (h *Host) stopUnits() {
	for _, u := range h.units {
		close(u.stop)
		<-u.done
	}
	h.units = nil
}

// AsUnit lets podstead run as podstead.service has it from the next start on,
// with a containerd and a server of names that other units run.
func (h *Host) AsUnit(service string) { h.o.Unit = service }

// confined puts before a command what takes from it what a unit file takes from
// its service: capabilities and the right to gain some.
func confined(service string, command ...string) ([]string, error) {
	text, err := os.ReadFile(service)
	if err != nil {
		return nil, err
	}
	ours, err := cap.Current()
	if err != nil {
		return nil, err
	}
	set := []string{"-all"}
	for line := range strings.Lines(string(text)) {
		list, ok := strings.CutPrefix(strings.TrimSpace(line), "CapabilityBoundingSet=")
		for name := range strings.FieldsSeq(list) {
			if ok && slices.Contains(ours, name) {
				set = append(set, "+"+strings.ToLower(strings.TrimPrefix(name, "CAP_")))
			}
		}
	}
	if len(set) == 1 {
		return nil, fmt.Errorf("%s names no capabilities", service)
	}
	return append([]string{"setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=" + strings.Join(set, ",")}, command...), nil
}
