// Inside is the program that the tests run in containers: it reports what it
// sees and may do as JSON. With the argument "hold" it keeps its namespaces,
// under the host name "web", until its input ends.
package main

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"syscall"
)

// report is read by runc_test.go.
type report struct {
	Args      []string
	Env       []string
	Cwd       string
	Hostname  string
	OOMScore  string
	Status    map[string]string
	NS        map[string]string
	Mounts    map[string]string // target: options
	CanWrite  map[string]bool
	Kcore     int // bytes readable of /proc/kcore
	NewUserNS string
	Processes int
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "hold" {
		hold()
		return
	}
	r := report{Args: os.Args, Env: os.Environ(), Status: status(), NS: namespaces(), Mounts: mounts(), CanWrite: map[string]bool{}}
	r.Cwd, _ = os.Getwd()
	r.Hostname, _ = os.Hostname()
	r.OOMScore = strings.TrimSpace(read("/proc/self/oom_score_adj"))
	for _, path := range []string{"/probe", "/proc/sys/kernel/core_pattern", "/sys/fs/cgroup/probe", "/etc/app/probe", "/tree/sub/probe", "/srv/log/probe", "/dev/shm/probe"} {
		r.CanWrite[path] = canWrite(path)
	}
	for target := range r.Mounts {
		if strings.HasSuffix(target, "/termination-log") || strings.HasSuffix(target, "/last-words") {
			_ = os.WriteFile(target, []byte("bye"), 0o600)
		}
	}
	if f, err := os.Open("/proc/kcore"); err == nil {
		r.Kcore, _ = io.ReadFull(f, make([]byte, 16))
	}
	_, _, errno := syscall.RawSyscall(syscall.SYS_UNSHARE, syscall.CLONE_NEWUTS|syscall.CLONE_NEWUSER, 0, 0)
	r.NewUserNS = errno.Error()
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if name := e.Name(); name[0] >= '0' && name[0] <= '9' {
			r.Processes++
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		os.Exit(1)
	}
}

func hold() {
	if err := syscall.Sethostname([]byte("web")); err != nil {
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString("ready\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func read(path string) string {
	data, _ := os.ReadFile(path)
	return string(data)
}

func status() map[string]string {
	m := map[string]string{}
	for _, line := range strings.Split(read("/proc/self/status"), "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok {
			m[key] = strings.Join(strings.Fields(value), " ")
		}
	}
	return m
}

func namespaces() map[string]string {
	m := map[string]string{}
	for _, kind := range []string{"net", "ipc", "uts", "pid", "mnt", "cgroup"} {
		m[kind], _ = os.Readlink("/proc/self/ns/" + kind)
	}
	return m
}

// mounts gives the options of each mount, the last one where several are at
// one target.
func mounts() map[string]string {
	m := map[string]string{}
	for _, line := range strings.Split(read("/proc/self/mountinfo"), "\n") {
		if f := strings.Fields(line); len(f) > 5 {
			m[f[4]] = f[5]
		}
	}
	return m
}

func canWrite(path string) bool {
	flags := os.O_WRONLY
	if strings.HasSuffix(path, "probe") {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err == nil {
		_ = f.Close()
		if flags&os.O_CREATE != 0 {
			_ = os.Remove(path)
		}
	}
	return err == nil
}
