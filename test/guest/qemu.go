package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// accelEnv names another accelerator of QEMU, such as kvm.
const accelEnv = "PODSTEAD_GUEST_ACCEL"

// commandLine is the kernel's. A guest that panics ends QEMU, and the console
// tells why.
const commandLine = "root=/dev/vda rw console=ttyS0 quiet loglevel=4 systemd.show_status=0 panic=1 nokaslr tsc=reliable no_timer_check"

// Disk is an empty disk of a guest, found at /dev/disk/by-id/virtio-NAME.
type Disk struct {
	Name string // of at most 20 bytes
	Size string // as qemu-img has it: 64M
}

// machine is what outlives a power cut: the files of a guest.
type machine struct {
	dir    string
	image  image
	memory int // in MiB
	cpus   int
	disks  []Disk
	rtc    time.Time // zero for the host's time
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

// prepare makes the disks: the root is a throw-away overlay of the image.
func (m *machine) prepare(payload string) error {
	root := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-b", m.image.root(), "-F", "raw", m.path("root.qcow2"))
	if err := runTool(root); err != nil {
		return err
	}
	for _, d := range m.disks {
		if err := runTool(exec.Command("qemu-img", "create", "-q", "-f", "qcow2", m.path(d.Name+".qcow2"), d.Size)); err != nil {
			return err
		}
	}
	if payload == "" {
		return nil
	}
	return makePayload(payload, m.path("payload.ext4"))
}

// makePayload makes a file system that just fits a folder.
func makePayload(dir, out string) error {
	var total int64
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil {
			total += info.Size() + 8<<10
		}
		return err
	})
	if err != nil {
		return err
	}
	return runTool(exec.Command("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-L", "payload", "-d", dir,
		out, fmt.Sprintf("%dM", 8+total*11/10>>20)))
}

func (m *machine) args() []string {
	// One thread for all processors of a guest: with one for each, a guest's
	// kernel met an instruction that another processor was just replacing
	// (int3 of a static key) and panicked. Two guests fill two processors anyway.
	accel := "tcg,thread=single,tb-size=512"
	if other := os.Getenv(accelEnv); other != "" {
		accel = other
	}
	args := []string{
		"-name", "podstead-test", "-nodefaults", "-no-user-config", "-display", "none",
		// A reset ends QEMU too, since to start it anew is quicker than its reset,
		// which spends half a minute in the firmware.
		"-action", "reboot=shutdown", "-machine", "q35", "-accel", accel,
		// Page tables of five levels cost time and nobody needs them.
		"-cpu", "max,la57=off", "-smp", fmt.Sprint(m.cpus), "-m", fmt.Sprint(m.memory),
		"-kernel", m.image.kernel(), "-initrd", m.path("initrd"), "-append", commandLine,
		"-chardev", "file,id=console,append=on,path=" + m.path("console.log"), "-serial", "chardev:console",
		"-chardev", "socket,id=agent,server=on,wait=off,path=" + m.path("agent.sock"),
		"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=test.guest.agent",
		"-chardev", "socket,id=monitor,server=on,wait=off,path=" + m.path("monitor.sock"), "-mon", "chardev=monitor,mode=control",
		"-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net,romfile=",
		"-device", "virtio-rng-pci",
		"-rtc", "base=" + m.clock(),
	}
	disk := func(id, options string) {
		args = append(args, "-drive", "if=none,cache=writeback,id="+id+","+options, "-device", "virtio-blk-pci,drive="+id+",serial="+id)
	}
	disk("root", "discard=unmap,file="+m.path("root.qcow2"))
	for _, d := range m.disks {
		disk(d.Name, "discard=unmap,file="+m.path(d.Name+".qcow2"))
	}
	if _, err := os.Stat(m.path("payload.ext4")); err == nil {
		disk("payload", "readonly=on,format=raw,file="+m.path("payload.ext4"))
	}
	return args
}

func (m *machine) clock() string {
	if m.rtc.IsZero() {
		return "utc"
	}
	return m.rtc.UTC().Format("2006-01-02T15:04:05")
}

// qemu is a running QEMU.
type qemu struct {
	cmd  *exec.Cmd
	said *strings.Builder
	done chan struct{} // closed when it has ended and err is set
	err  error
}

// start runs QEMU for the machine.
func (m *machine) start() (*qemu, error) { return run(m.args()) }

// program is QEMU's.
const program = "qemu-system-x86_64"

// run runs QEMU in a network namespace of its own, where nothing leads out,
// until it is killed or this process ends, in whatever way.
func run(args []string) (*qemu, error) {
	q := &qemu{cmd: exec.Command(program, args...), said: new(strings.Builder), done: make(chan struct{})}
	q.cmd.Stdout, q.cmd.Stderr = q.said, q.said
	q.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNET}
	started := make(chan error)
	go func() {
		// It dies with the thread that started it, so that thread has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := q.cmd.Start()
		started <- err
		if err == nil {
			q.err = q.cmd.Wait()
			close(q.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start QEMU: %w", err)
	}
	return q, nil
}

// alive tells why QEMU has ended, or nil.
func (q *qemu) alive() error {
	select {
	case <-q.done:
		return fmt.Errorf("QEMU ended: %w: %s", q.err, q.said)
	default:
		return nil
	}
}

// used is the processor time that it took until it ended.
func (q *qemu) used() time.Duration {
	return q.cmd.ProcessState.UserTime() + q.cmd.ProcessState.SystemTime()
}

// kill cuts the power.
func (q *qemu) kill() {
	_ = q.cmd.Process.Kill()
	<-q.done
}
